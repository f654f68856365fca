"""Rehearsals on the real parts: the production workflow, the time-skipping server, Prometheus."""

from collections.abc import AsyncIterator, Iterator
from copy import copy
from datetime import timedelta
from pathlib import Path

import pytest

from rehearsal.ahead import next_breach
from rehearsal.course import Course
from rehearsal.foresight import leaves, steps_ahead
from rehearsal.guarded import Guarded
from rehearsal.outcome import disappointment, outcome_of
from rehearsal.pace import tick_seconds
from rehearsal.prometheus import own_prometheus
from rehearsal.ranges import reading
from rehearsal.rehearse import Stage
from rehearsal.run import BEGIN, stage
from rehearsal.scenario import Ending, Expectation, Scenario, library, load_scenario
from rehearsal.tape import Studio
from rehearsal.walk import Walk
from rollout.gate import GateKind
from rollout.plan import RolloutPlan
from rollout.plan_yaml import load_plan
from tests.rehearsal_plan import PHASE4, shortened

pytestmark = pytest.mark.integration
DEMO = Path(__file__).parents[2] / "plans" / "demo.yaml"
REAL = ["memory_leak", "error_burst", "nan"]
"""What the workflow itself rehearses here; the pure core does all of the library."""


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    """One Prometheus and its recordings for all: what scenarios share is recorded once."""
    with own_prometheus(tick_seconds(PHASE4)) as url, reading(url) as ranges:
        yield Studio(ranges)


@pytest.fixture
async def shared() -> AsyncIterator[Stage]:
    async with stage(PHASE4) as one:
        yield one


def plan_for(scenario: Scenario) -> RolloutPlan:
    """The step of the fault keeps its own times; a Healthy end needs all four weeks to learn in."""
    steps = [fault.step_in(PHASE4) for fault in scenario.faults]
    assert isinstance(scenario.expect, Expectation)
    if scenario.expect.end is Ending.HEALTHY or steps[0] is None:
        return PHASE4
    return shortened(steps[0].name)


@pytest.mark.parametrize("name", library())
async def test_each_scenario_ends_as_its_file_says(studio: Studio, name: str) -> None:
    """Rolled back in the right step by the right gate, held, or Healthy; by the pure core."""
    scenario = load_scenario(name)
    course = Course(plan_for(scenario), scenario, 1, studio, BEGIN)
    walk = Walk(course)
    outcome = outcome_of(await walk.to_the_end(), course, walk.now, "the pure core")
    assert isinstance(scenario.expect, Expectation)
    assert disappointment(outcome, scenario.expect) == ""


async def test_the_workflow_and_the_pure_core_come_to_the_same_end(
    shared: Stage, studio: Studio
) -> None:
    """--runs stands in for the workflow; here it stands beside it, on the same traffic."""
    for name in REAL:
        scenario = load_scenario(name)
        plan = plan_for(scenario)
        played = await shared.rehearse(plan, scenario, 1)
        assert isinstance(scenario.expect, Expectation)
        assert disappointment(played.outcome, scenario.expect) == ""
        walk = Walk(Course(plan, scenario, 1, studio, BEGIN))
        course = walk._course
        walked = outcome_of(await walk.to_the_end(), course, walk.now, "the pure core")
        assert (walked.end, walked.step) == (played.outcome.end, played.outcome.step)
        if played.outcome.delay is not None and walked.delay is not None:
            apart = abs((walked.delay - played.outcome.delay).total_seconds())
            assert apart <= 2 * tick_seconds(plan)


def test_a_step_that_was_foreseen_is_recorded_and_read_once() -> None:
    """Entered a minute later than foreseen it has the same tape; what a red flag asks was read."""
    plan = shortened("flag-infrastructure")
    with own_prometheus(tick_seconds(plan)) as url, reading(url) as ranges:
        course = Course(plan, load_scenario("healthy"), 1, Studio(ranges), BEGIN)
        ahead = copy(course)
        ahead.entries = list(course.entries)
        for _ in steps_ahead(ahead, {}):
            pass
        later = leaves(course, plan.steps[1]) + timedelta(minutes=1)
        course.enter(1, later)
        tape = course.entries[-1].tape
        assert tape is ahead.entries[1].tape
        written, read = tape.recorded_until, dict(tape._ticks)
        flags = [one for one in plan.steps[1].red_flags if one.kind is not GateKind.BASELINE]
        guarded = Guarded(flags, plan.metrics, {}, plan.watch_interval.total_seconds())
        assert not next_breach(course, guarded, later, later + timedelta(hours=12)).names
    assert read
    assert (tape.recorded_until, list(tape._ticks)) == (written, list(read))


async def test_a_plan_of_seconds_is_recorded_for_hours_not_days() -> None:
    """What is recorded ahead is so many ticks, and the demo's are seconds."""
    demo = load_plan(DEMO)
    with own_prometheus(tick_seconds(demo)) as url, reading(url) as ranges:
        course = Course(demo, load_scenario("healthy"), 1, Studio(ranges), BEGIN)
        state = await Walk(course).to_the_end()
    assert state.step_index > 2
    recorded = sum(entry.tape._until - entry.tape.base for entry in course.entries)
    assert recorded < len(course.entries) * 4 * 3600


async def test_a_burst_is_found_within_minutes_and_its_cost_is_counted(shared: Stage) -> None:
    """Detection takes a scrape or two, not an hour; what was served meanwhile is told."""
    scenario = load_scenario("error_burst")
    outcome = (await shared.rehearse(shortened("ramp-25"), scenario, 7)).outcome
    assert outcome.end is Ending.ROLLED_BACK
    assert outcome.delay is not None
    assert outcome.delay.total_seconds() <= 300
    assert outcome.errors > 0
    assert outcome.queries > outcome.errors
    assert 0 < outcome.users <= scenario.world.users
