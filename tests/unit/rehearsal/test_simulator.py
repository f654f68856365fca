"""The seeded simulator: what must hold of every rollout, held against thousands; and that it can fail."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from sluice.cli.commands.simulate import replay_command
from sluice.rehearsal.simulation import simulator, world
from sluice.rehearsal.simulation.simulator import simulate
from sluice.rehearsal.simulation.world import SimulationResult
from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine import decide as deciding
from sluice.rollout.engine.decide import (
    Decision,
    EnterStep,
    Pause,
    Promote,
    RecordFinding,
    RollBack,
    Wait,
)
from sluice.rollout.engine.state import State, Status

SEEDS = 400
SEED_PARTS = 4
OUTAGES = (
    "the store refuses write",
    "without a verdict",
    "the workflow is reset",
    "its workflow was reset",
    "a second plan takes the phases",
    "a second plan is refused the phases",
)
"""Lines of the trace of what is rare, and of its finding."""
Decide = Callable[[State, datetime], Decision]


def failure_message(one: SimulationResult) -> str:
    return "\n".join(
        [*one.trace, f"seed {one.seed}: {one.violation}", f"replay: {replay_command(one.seed)}"]
    )


@pytest.mark.parametrize("part", range(SEED_PARTS))
def test_no_seed_breaks_a_rule(part: int) -> None:
    """Never a raise without a good check or a person; after a P0 zero; legal ends; and so on."""
    ends: Counter[str] = Counter()
    drawn: set[str] = set()
    for seed in range(part * SEEDS // SEED_PARTS, (part + 1) * SEEDS // SEED_PARTS):
        one = simulate(seed)
        assert not one.violation, failure_message(one)
        ends[one.status] += 1
        drawn |= {kind for kind in OUTAGES if any(kind in line for line in one.trace)}
    assert drawn == set(OUTAGES)
    assert set(ends) == {Status.HEALTHY, Status.ABORTED}
    assert min(ends.values()) > SEEDS // SEED_PARTS // 20, "the drawn worlds are all alike"


def test_a_seed_gives_the_same_trail_again() -> None:
    assert simulate(7) == simulate(7)


def p0_only_pauses(state: State, now: datetime) -> Decision:
    decision = deciding.decide(state, now)
    finding = state.red_flags.finding
    mutated = Pause("mutated", finding=finding)
    return mutated if isinstance(decision, RollBack) and finding else decision


def promotes_on_time_alone(state: State, now: datetime) -> Decision:
    decision, step = deciding.decide(state, now), state.step
    is_soaked = step and state.clock.started_at and state.soak_time(now) >= step.hold
    if step and isinstance(decision, Wait) and is_soaked:
        return Promote(step, "mutated")
    return decision


def enters_without_waiting(state: State, now: datetime) -> Decision:
    decision = deciding.decide(state, now)
    if state.step is None:
        return decision
    waits = not state.is_live
    going = state.status is Status.PROGRESSING and not state.red_flags.finding
    return EnterStep(state.step) if isinstance(decision, Wait) and waits and going else decision


def goes_on_by_itself_after_a_rollback(state: State, now: datetime) -> Decision:
    decision = deciding.decide(state, now)
    if state.step is None or state.status is not Status.DEGRADED:
        return decision
    return EnterStep(state.step) if isinstance(decision, Wait) else decision


def pauses_without_auto_rollback(state: State, now: datetime) -> Decision:
    decision = deciding.decide(state, now)
    return replace(decision, auto_rollback_at=None) if isinstance(decision, Pause) else decision


def notes_a_p0(state: State, now: datetime) -> Decision:
    finding = state.red_flags.finding
    if finding is not None and finding.verdict.severity is Severity.P0:
        return RecordFinding(finding)
    return deciding.decide(state, now)


MUTANTS: list[tuple[Decide, str]] = [
    (p0_only_pauses, "P0"),
    (notes_a_p0, "P0"),
    (promotes_on_time_alone, "without a Successful check"),
    (enters_without_waiting, "approvals"),
    (goes_on_by_itself_after_a_rollback, "without a"),
    (pauses_without_auto_rollback, "a P1 was not acted on"),
]


@pytest.mark.parametrize(("mutant", "rule"), MUTANTS, ids=[m.__name__ for m, _ in MUTANTS])
def test_a_broken_decide_is_caught(
    mutant: Decide, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simulator that can't fail proves nothing: each way to break the rules is found, and named."""
    monkeypatch.setattr(simulator, "decide", mutant)
    monkeypatch.setattr(world, "decide", mutant)
    assert any(rule in simulate(seed).violation for seed in range(150))
