"""Scenario files: one clear line for each mistake, and a library that can be relied on."""

from pathlib import Path

import pytest

from rehearsal.errors import NotRehearsableError
from rehearsal.run import placed, rehearsable
from rehearsal.scenario import Ending, Expectation, library, load_scenario, parse_scenario
from rehearsal.traffic import series_names
from rollout.errors import PlanError
from rollout.plan_yaml import load_plan
from router.metrics import Metrics

PLAN = load_plan(Path(__file__).parents[2] / "plans" / "phase4.yaml")
REQUIRED = "healthy latency latency_tail error_burst error_creep reward_collapse queue_growth"
REQUIRED += " memory_leak dead_learner cache_collapse scrape_outage nan shared_outage redis_errors"


def mistakes(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_scenario(text)
    return str(caught.value).splitlines()


def test_the_library_has_every_fault_of_the_guide() -> None:
    assert set(REQUIRED.split()) <= set(library())


@pytest.mark.parametrize("name", library())
def test_each_scenario_says_how_it_ends_on_the_guides_plan(name: str) -> None:
    """Its steps and gates are there, so that the expectation can come true."""
    scenario = load_scenario(name)
    assert scenario.name == name
    placed(PLAN, scenario)
    assert isinstance(scenario.expect, Expectation)
    if scenario.expect.step is not None:
        step = PLAN.step(scenario.expect.step)
        assert set(scenario.expect.by) <= {g.name for g in (*step.gates, *step.red_flags)}
    assert (scenario.expect.end is Ending.HEALTHY) == (scenario.expect.step is None)


def test_every_mistake_is_one_line_with_its_place() -> None:
    text = "name: x\ntitle: t\nfaults:\n  - {kind: errors, step: a, after: 1h}\n  - {kind: fire}\nextra: 1\n"
    assert mistakes(text) == [
        "line 4: faults[0]: a errors fault needs size: share of queries that fail besides the usual",
        "line 5: faults[1].kind: " + mistakes(text)[1].split(": ", 2)[2],
        "line 5: faults[1].after: is missing; add it",
        "line 6: extra: is not a known field; check the spelling",
    ]


def test_faults_in_two_steps_are_refused() -> None:
    """The detection delay counts from one beginning."""
    faults = "[{kind: nan, step: a, after: 1h}, {kind: nan, step: b, after: 1h}]"
    (line,) = mistakes(f"name: x\ntitle: t\nfaults: {faults}\n")
    assert "same step" in line


def test_a_fault_without_its_step_is_told() -> None:
    scenario = parse_scenario("name: x\ntitle: t\nfaults: [{kind: nan, step: moon, after: 1h}]\n")
    with pytest.raises(NotRehearsableError, match="moon"):
        placed(PLAN, scenario)


def test_recorded_series_are_the_routers_own() -> None:
    """Names that the router never exports would let a plan pass here and find nothing in production."""
    ours = {"up", "process_resident_memory_bytes"}
    real = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    assert series_names() - ours - real <= {"router_probe_total"}  # has no series before a probe


def test_the_guides_plan_can_be_rehearsed() -> None:
    rehearsable(PLAN)


def test_a_plan_on_other_metrics_is_told_which() -> None:
    metric = PLAN.metrics["error_rate"].model_copy(update={"query": "sum(my_errors_total)"})
    other = PLAN.model_copy(update={"metrics": {**PLAN.metrics, "error_rate": metric}})
    with pytest.raises(NotRehearsableError, match="my_errors_total"):
        rehearsable(other)
