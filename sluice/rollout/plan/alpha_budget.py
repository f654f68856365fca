"""The plan's α, split over its statistical gates, and over the steps of those that count users."""

from collections.abc import Iterator, Mapping
from typing import Literal

from sluice.flag_rules import FULL_PERCENTAGE
from sluice.rollout.analysis.gate import Gate, GateKind
from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.analysis.statistic import counts_users
from sluice.rollout.analysis.stats.alpha_allocation import AlphaBudget, AlphaClaim
from sluice.rollout.plan.schema import RolloutPlan

RuleGroup = Literal["gates", "red_flags"]
FIRST_STEP_WEIGHT = 4 / 3
"""The first step's part, beside 1 of each later one: a fault meets the fewest treated users there."""


def statistical_gates(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    return tuple(gate for gate in gates if gate.kind is GateKind.STATISTICAL)


def alpha_claims(plan: RolloutPlan) -> Iterator[tuple[str, Gate]]:
    """Yield every statistical gate once, by its evidence key; one in many steps continues through all."""
    seen: set[str] = set()
    for place, gate in plan.rules():
        key = f"{place[2]}/{gate.name}"
        if gate.kind is GateKind.STATISTICAL and key not in seen:
            seen.add(key)
            yield key, gate


def allocate_alpha(
    plan: RolloutPlan, states: Mapping[str, SequentialState] | None = None
) -> AlphaBudget | None:
    """Split the plan's α over its gates and mark the spent parts; None without statistical gates.

    Checks and the watch gather evidence each for itself, so each has a part of its own.
    """
    tracks = {key: (states or {}).get(key, SequentialState()) for key, _ in alpha_claims(plan)}
    parts = tuple(
        AlphaClaim(
            name=key,
            weight=gate.weight,
            spent=bool(tracks[key].blocks or tracks[key].attempt),
        )
        for key, gate in alpha_claims(plan)
    )
    return AlphaBudget(total=plan.alpha, claims=parts) if parts else None


def gate_alpha(
    plan: RolloutPlan, where: tuple[RuleGroup, str], gate: Gate, split: AlphaBudget | None = None
) -> float:
    """Return the gate's part of α; ``where``: its group, and the step's name.

    A gate that counts users starts again in each step, so its part is split over the steps with two
    cohorts. ``split`` is the plan's budget, where the caller has it.

    Raises:
        KeyError: the gate is not statistical.
    """
    group, step_name = where
    split = split or allocate_alpha(plan)
    part = split.alpha(f"{group}/{gate.name}") if split else 0.0
    if not gate_counts_users(plan, gate):
        return part
    steps = _steps_of_gate(plan, group, gate.name)
    first = FIRST_STEP_WEIGHT if len(steps) > 1 else 1.0
    weight = first if step_name == next(iter(steps), step_name) else 1.0
    return part * weight / (first + max(len(steps) - 1, 0))


def gate_counts_users(plan: RolloutPlan, gate: Gate) -> bool:
    statistic = plan.metrics[gate.metric].statistic
    return statistic is not None and counts_users(statistic)


def _steps_of_gate(plan: RolloutPlan, group: RuleGroup, gate_name: str) -> list[str]:
    """Return the names of the steps with two cohorts that have the gate, in order."""
    return [
        step.name
        for step, percentage in plan.exposures()
        if 0 < percentage < FULL_PERCENTAGE
        and any(gate.name == gate_name for gate in getattr(step, group))
    ]
