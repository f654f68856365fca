"""Commands that do not fit the rollout's state are refused with the reason and the way on."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine import transitions
from sluice.rollout.engine.admission import rejection_reason
from sluice.rollout.engine.approvals import signer_rejection
from sluice.rollout.engine.commands import Command, Signer, Verb
from sluice.rollout.engine.state import CodeRevert, RollbackKind
from sluice.rollout.plan.loader import parse_plan
from tests.unit.rollout.engine.precondition_world import START, PreconditionWorld, command_by
from tests.unit.rollout.engine.test_decide import ALICE, RolloutMachine, finding
from tests.workflows.harness import PLAN

CODE_PLAN = PLAN.replace("metrics:", "rollbacks: {code: {commit: abcdef1}}\nmetrics:", 1)


def machine_at_five(plan: str = PLAN) -> RolloutMachine:
    machine = RolloutMachine()
    machine.state.plan = parse_plan(plan)
    while machine.state.percentage != 5:
        machine.run(steps=1)
    return machine


def refusal(machine: RolloutMachine, verb: Verb, command: Command = ALICE) -> str:
    return rejection_reason(machine.state, verb, command, machine.now)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"emergency": True, "graceful": True}, "choose one of emergency, graceful"),
        ({"graceful": True, "to": "dark"}, "choose one of graceful, to"),
        ({"confirmed": True}, "confirmed belongs to a code rollback"),
        ({"code": True}, "the plan names no commit to revert"),
        ({"to": "ramp-100"}, "can step back to dark; not to 'ramp-100'"),
    ],
)
def test_a_rollback_is_of_one_kind(fields: dict[str, object], words: str) -> None:
    command = ALICE.model_copy(update=fields)
    assert words in refusal(machine_at_five(), Verb.ROLLBACK, command)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"confirmed_by": "bob"}, "the revert is under way, confirmed by bob"),
        ({"outcome": "reverted", "text": "abcdef1 is out"}, "reverted already: abcdef1 is out"),
        ({}, ""),
        ({"outcome": "conflict", "confirmed_by": "bob"}, ""),
    ],
)
def test_a_revert_runs_once_unless_it_failed(fields: dict[str, str], words: str) -> None:
    machine = machine_at_five(CODE_PLAN)
    revert = CodeRevert(requested_at=machine.now, requested_by="alice")
    machine.state.code_revert = revert.model_copy(update=fields)
    assert refusal(machine, Verb.ROLLBACK, ALICE.model_copy(update={"code": True})) == words


@pytest.mark.parametrize("verb", [Verb.PROMOTE, Verb.AMEND])
def test_nothing_is_overruled_while_a_red_flag_is_up(verb: Verb) -> None:
    machine = machine_at_five()
    transitions.raise_finding(machine.state, machine.now, finding(Severity.P1))
    command = ALICE.model_copy(update={"plan": machine.state.plan})
    assert refusal(machine, verb, command).startswith("a red flag is up: ")


def test_a_freeze_holds_against_a_promotion() -> None:
    """The step that waits would raise traffic within the freeze."""
    world = PreconditionWorld()
    world.run_until_waiting()
    world.now = START + timedelta(days=5, hours=1)
    assert "weekend" in world.submit(Verb.PROMOTE, command_by("ann"))


def test_an_approval_that_outlasts_a_short_freeze_is_taken() -> None:
    """A freeze that ends before the approval is too old does not void it."""
    world = PreconditionWorld()
    world.run_until_waiting()
    world.now = START + timedelta(days=6, hours=15, minutes=45)
    world.check_now()
    assert world.submit(Verb.APPROVE, command_by("ann", world.newest_evidence_id())) == ""


def test_nothing_waits_for_approval_while_a_step_is_live() -> None:
    assert refusal(machine_at_five(), Verb.APPROVE) == "nothing waits for approval"


def test_the_starter_may_approve_where_the_plan_allows_it() -> None:
    machine = RolloutMachine()
    while machine.state.step is None or machine.state.step.name != "ramp-100":
        machine.run(steps=1)
    state, alice = machine.state, Signer(name="alice", fingerprint="SHA256:a")
    state.decisions = state.decisions.model_copy(update={"started_by": "alice"})
    assert "started the rollout and may not approve it" in signer_rejection(state, alice)
    allowed = PLAN.replace(
        "required_approvals: 1", "required_approvals: 1, starter_may_approve: true"
    )
    state.plan = parse_plan(allowed)
    assert signer_rejection(state, alice) == ""


@pytest.mark.parametrize(
    ("state_at", "is_none"), [(RolloutMachine, True), (machine_at_five, False)]
)
def test_only_a_live_step_has_a_time_of_promotion(
    state_at: Callable[[], RolloutMachine], is_none: bool
) -> None:
    assert (state_at().state.promotable_at is None) is is_none


def test_a_stop_of_lower_rank_does_not_replace_an_emergency() -> None:
    machine = machine_at_five()
    transitions.start_rollback(machine.state, machine.now, RollbackKind.EMERGENCY, ALICE)
    transitions.raise_finding(machine.state, machine.now, finding(Severity.P1))
    machine.run(steps=1)
    assert machine.percentages[-1] == 0
    assert machine.state.rollback is not None
    assert machine.state.rollback.kind is RollbackKind.EMERGENCY
