"""Evidence of users restarts in each step, at a part of the gate's α; that of requests continues."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.engine.evidence_context import build_evidence_context
from sluice.rollout.engine.state import State
from sluice.rollout.engine.step_progress import LiveStep
from sluice.rollout.plan.alpha_budget import RuleGroup, allocate_alpha, gate_alpha
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.schema import RolloutPlan

PHASE4 = Path(__file__).parents[4] / "plans" / "phase4.yaml"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OF_REQUESTS = """
    statistic:
      test: rate
      events: router_queries_total{cohort=~"$cohort",outcome="error"}
      units: router_queries_total{cohort=~"$cohort"}
"""
OF_USERS = """
    statistic:
      test: sample_ratio
      users: router_users_new_total{cohort=~"$cohort"}
"""
PLAN = """
name: short
flag: learning
alpha: 6%
metrics:
  errors:
    query: sum(rate(router_queries_total{cohort=~"$cohort",outcome="error"}[$window]))
    unit: ratio STATISTIC
steps:
  - {name: dark, title: t, stage: 3, percentage: 0, interval: 1h, hold: 3d, deadline: 4d, gates: [{name: still, metric: errors, threshold: 1%, window: 1h}], red_flags: [&flag {name: harm, metric: errors, kind: statistical, window: 5m}]}
  - {name: some, title: t, stage: 4, percentage: 5, rollback_to: dark, interval: 1h, hold: 3d, deadline: 4d, gates: [&gate {name: g, metric: errors, kind: statistical, window: 1h}], red_flags: [*flag]}
  - {name: more, title: t, stage: 4, percentage: 25, rollback_to: some, interval: 1h, hold: 3d, deadline: 4d, gates: [*gate], red_flags: [*flag]}
"""


def plan(statistic: str) -> RolloutPlan:
    return parse_plan(PLAN.replace(" STATISTIC", statistic))


def track_of_second_step(rollout_plan: RolloutPlan, until: datetime) -> SequentialState | None:
    """Return the state from which the gate at 25 % continues after ``until``."""
    state = State(rollout_id="r", run_id="r", plan=rollout_plan, started_at=NOW)
    state.percentage, state.live = 25, LiveStep(since=NOW)
    state.sequential_states = {"gates/g": SequentialState(until=until, blocks=7)}
    found = build_evidence_context(state, "gates", rollout_plan.steps[2])
    assert found is not None
    return found.sequential_states.get("g")


@pytest.mark.parametrize(("statistic", "goes_on"), [(OF_REQUESTS, True), (OF_USERS, False)])
def test_user_evidence_resets_and_request_evidence_continues_in_the_next_step(
    statistic: str, goes_on: bool
) -> None:
    earlier = track_of_second_step(plan(statistic), NOW)
    assert bool(earlier and earlier.blocks) is goes_on
    assert track_of_second_step(plan(statistic), NOW + timedelta(hours=1)) is not None


@pytest.mark.parametrize("place", ["gates", "red_flags"])
def test_a_step_in_which_nobody_is_treated_takes_no_part_of_alpha(place: RuleGroup) -> None:
    for statistic, part, first in ((OF_REQUESTS, 0.03, 1), (OF_USERS, 0.015, 8 / 7)):
        of = plan(statistic)
        (gate,) = getattr(of.steps[1], place)
        assert gate_alpha(of, (place, "some"), gate) == pytest.approx(part * first)
        later = gate_alpha(of, (place, "more"), gate)
        assert later == pytest.approx(0.03 if statistic == OF_REQUESTS else 0.03 - part * first)


def test_all_parts_of_the_guides_plan_add_up_to_its_alpha() -> None:
    of = parse_plan(PHASE4.read_text())
    places: tuple[RuleGroup, ...] = ("gates", "red_flags")
    compared = [step for step in of.steps if step.percentage in (5, 25, 50)]
    parts = {
        (place, gate.name, step.name): gate_alpha(of, (place, step.name), gate)
        for place in places
        for step in compared
        for gate in getattr(step, place)
        if gate.kind == "statistical"
    }
    split = allocate_alpha(of)
    assert split is not None
    assert sum(parts.values()) == pytest.approx(split.total)
    assert {f"{place}/{name}" for place, name, _ in parts} == set(split.names)
