"""A fitted plan lets chance decide nothing, and leaves a plan with enough traffic as it is written."""

from datetime import timedelta
from pathlib import Path

import pytest

from sluice.rollout.analysis.gate import Gate
from sluice.rollout.plan.fit import NIGHT_SHARE, fit_plan, samples_needed
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan

PHASE4 = Path(__file__).parents[4] / "plans" / "phase4.yaml"
GATES = ("latency_p99", "error_rate", "latency_against_control")


@pytest.fixture(scope="module")
def plan() -> RolloutPlan:
    return load_plan(PHASE4)


def traffic(per_second: float) -> ExpectedTraffic:
    return ExpectedTraffic(queries_per_day=86_400 * per_second, users=200 * per_second)


def gates_by_name(plan: RolloutPlan, step: str, group: str) -> dict[str, Gate]:
    return {gate.name: gate for gate in getattr(plan.step(step), group)}


def test_less_traffic_takes_longer_windows(plan: RolloutPlan) -> None:
    windows = [
        gates_by_name(fit_plan(plan, traffic(rate))[0], "ramp-5", "gates")["latency_p99"].window
        for rate in (1000, 10, 1)
    ]
    assert windows[0] == timedelta(hours=1) < windows[1] < windows[2]


def test_a_window_holds_the_samples_that_its_gate_needs_at_night(plan: RolloutPlan) -> None:
    comes = traffic(10)
    gates = gates_by_name(fit_plan(plan, comes)[0], "ramp-25", "gates")
    for name in ("latency_p99", "error_rate"):
        gate = gates[name]
        at_night = 10 * 0.25 * gate.window.total_seconds() * NIGHT_SHARE
        assert at_night >= samples_needed(plan, gate, comes)
        assert gate.min_samples <= at_night


def test_a_red_flag_that_would_need_days_becomes_a_dry_run(plan: RolloutPlan) -> None:
    fitted = fit_plan(plan, traffic(1))[0]
    flags = gates_by_name(fitted, "ramp-5", "red_flags")
    assert flags["latency_spike"].dry_run
    assert not flags["latency_evidence"].dry_run
    assert not flags["error_spike"].dry_run
    assert flags["error_spike"].min_samples > 20


def test_a_step_holds_at_least_its_longest_window(plan: RolloutPlan) -> None:
    for step in fit_plan(plan, traffic(1))[0].steps:
        assert step.hold >= max(gate.window for gate in step.gates)
        assert step.deadline >= step.hold


def test_each_change_says_what_it_was_and_is(plan: RolloutPlan) -> None:
    texts = [change.text() for change in fit_plan(plan, traffic(1))[1]]
    assert any(text.startswith("ramp-5/latency_p99: window: 1h → ") for text in texts)
    assert any("dry_run: False → True" in text for text in texts)


def test_a_gate_that_chance_always_decides_needs_no_samples(plan: RolloutPlan) -> None:
    """A threshold at or below the healthy rate is lint's to report: no count of samples helps."""
    gate = gates_by_name(plan, "ramp-5", "gates")["error_rate"]
    strict = gate.model_copy(update={"threshold": 0.0001})
    assert samples_needed(plan, gate, traffic(10)) > 0
    assert samples_needed(plan, strict, traffic(10)) == 0


def test_a_rollout_that_becomes_much_longer_checks_less_often() -> None:
    """A plan of seconds that must wait hours for its samples would be checked each second."""
    example = load_plan(Path(__file__).parents[4] / "examples" / "own_service" / "plan.yaml")
    fitted, changes = fit_plan(example, traffic(10))
    total = sum((step.hold for step in fitted.steps), timedelta())
    assert all(total / step.interval < 1400 for step in fitted.steps)
    assert all(step.deadline > step.hold + step.stable_for for step in fitted.steps)
    assert any("error_evidence: window: 10s → 2m" in change.text() for change in changes)
    unchanged, _ = fit_plan(example, traffic(1_000_000))
    assert [step.interval for step in unchanged.steps] == [step.interval for step in example.steps]
