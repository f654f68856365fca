"""Scenario files: one clear line for each mistake, and a library that can be relied on."""

from pathlib import Path

import pytest

from activities.measuring.blindness import BLIND
from router.observability.metrics import RouterMetrics
from sluice.rehearsal.errors import NotRehearsableError
from sluice.rehearsal.runner.session import require_recorded_series, require_scenario_fits
from sluice.rehearsal.traffic.scenario import (
    Expectation,
    RehearsalEnding,
    load_scenario,
    parse_scenario,
    scenario_names,
)
from sluice.rehearsal.traffic.synthetic_metrics import series_names
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import load_plan

PLAN = load_plan(Path(__file__).parents[3] / "plans" / "phase4.yaml")
REQUIRED_SCENARIOS = (
    "healthy latency latency_tail error_burst error_creep reward_collapse queue_growth"
)
REQUIRED_SCENARIOS += (
    " memory_leak dead_learner cache_collapse scrape_outage nan shared_outage redis_errors"
)


def scenario_problems(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_scenario(text)
    return str(caught.value).splitlines()


def test_the_library_has_every_fault_of_the_guide() -> None:
    assert set(REQUIRED_SCENARIOS.split()) <= set(scenario_names())


@pytest.mark.parametrize("name", scenario_names())
def test_each_scenario_says_how_it_ends_on_the_guides_plan(name: str) -> None:
    """Its steps and gates are there, so that the expectation can come true."""
    scenario = load_scenario(name)
    assert scenario.name == name
    require_scenario_fits(PLAN, scenario)
    assert isinstance(scenario.expect, Expectation)
    if scenario.expect.step is not None:
        step = PLAN.step(scenario.expect.step)
        rules = {gate.name for gate in (*step.gates, *step.red_flags)}
        assert set(scenario.expect.triggered_by) <= {BLIND, *rules}
    assert (scenario.expect.ending is RehearsalEnding.HEALTHY) == (scenario.expect.step is None)


def test_every_mistake_is_one_line_with_its_place() -> None:
    text = "name: x\ntitle: t\nfaults:\n  - {kind: errors, step: a, after: 1h}\n  - {kind: fire}\nextra: 1\n"
    assert scenario_problems(text) == [
        "line 4: faults[0]: a errors fault needs size: share of queries that fail besides the usual",
        "line 5: faults[1].kind: " + scenario_problems(text)[1].split(": ", 2)[2],
        "line 5: faults[1].after: is missing; add it",
        "line 6: extra: is not a known field; check the spelling",
    ]


def test_faults_in_two_steps_are_refused() -> None:
    """The detection delay counts from one beginning."""
    faults = "[{kind: nan, step: a, after: 1h}, {kind: nan, step: b, after: 1h}]"
    (line,) = scenario_problems(f"name: x\ntitle: t\nfaults: {faults}\n")
    assert "same step" in line


def test_a_fault_of_a_missing_step_is_rejected() -> None:
    scenario = parse_scenario("name: x\ntitle: t\nfaults: [{kind: nan, step: moon, after: 1h}]\n")
    with pytest.raises(NotRehearsableError, match="moon"):
        require_scenario_fits(PLAN, scenario)


def test_recorded_series_are_the_routers_own() -> None:
    """Names that the router never exports would let a plan pass here and find nothing in production."""
    ours = {"up", "process_resident_memory_bytes"}
    real = {
        sample.name for family in RouterMetrics().registry.collect() for sample in family.samples
    }
    before_queries = {
        "router_probe_total",
        "router_tenant_queries_total",
    }  # their labels are unknown
    assert series_names() - ours - real <= before_queries


def test_the_guides_plan_can_be_rehearsed() -> None:
    require_recorded_series(PLAN)


def test_a_plan_with_unknown_metrics_is_rejected_by_name() -> None:
    metric = PLAN.metrics["error_rate"].model_copy(update={"query": "sum(my_errors_total)"})
    other = PLAN.model_copy(update={"metrics": {**PLAN.metrics, "error_rate": metric}})
    with pytest.raises(NotRehearsableError, match="my_errors_total"):
        require_recorded_series(other)
