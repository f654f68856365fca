"""Rehearsals on the real parts: the production workflow, the time-skipping server, Prometheus."""

from collections.abc import AsyncIterator, Iterator
from copy import copy
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sluice.cli.registry import build_app
from sluice.rehearsal.lookahead.lookahead import next_breach
from sluice.rehearsal.lookahead.prefetch import expected_exit, prefetch_steps
from sluice.rehearsal.lookahead.watch_spec import WatchSpec
from sluice.rehearsal.prometheus.ephemeral_server import ephemeral_prometheus
from sluice.rehearsal.prometheus.range_query import open_client
from sluice.rehearsal.results.result import build_result, expectation_mismatch
from sluice.rehearsal.runner.core_runner import CoreRunner
from sluice.rehearsal.runner.session import CORE_RUN_BEGIN, rehearsal_environment
from sluice.rehearsal.runner.temporal_rehearsal import RehearsalEnvironment
from sluice.rehearsal.ticks import tick_seconds
from sluice.rehearsal.timeline.read_ahead_cache import CHECKS_AHEAD
from sluice.rehearsal.timeline.step_recording import RecordingPool
from sluice.rehearsal.timeline.timeline import Timeline
from sluice.rehearsal.traffic.scenario import (
    Expectation,
    RehearsalEnding,
    Scenario,
    load_scenario,
    scenario_names,
)
from sluice.rollout.analysis.gate import GateKind
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.plan.schema import RolloutPlan
from tests.phase4_plan import PHASE4, phase4_shortened

pytestmark = pytest.mark.integration
DEMO = Path(__file__).parents[3] / "plans" / "demo.yaml"
WORKFLOW_SCENARIOS = ["memory_leak", "nan"]
"""What the workflow itself rehearses here; the pure core does all of the library."""
ONE_STEP = """
name: small
flag: small
metrics:
  answers: {query: 'sum(rate(router_queries_total{cohort=~"$cohort"}[$window]))', unit: per_second}
steps:
  - name: half
    title: Half
    percentage: 50
    interval: 10m
    hold: 10m
    deadline: 1h
    gates: [{metric: answers, threshold: 0.001, direction: above, window: 10m}]
"""


@pytest.fixture(scope="module")
def recording_pool() -> Iterator[RecordingPool]:
    """One Prometheus and its recordings for all: what scenarios share is recorded once."""
    with ephemeral_prometheus(tick_seconds(PHASE4)) as url, open_client(url) as ranges:
        yield RecordingPool(ranges)


@pytest.fixture
async def environment() -> AsyncIterator[RehearsalEnvironment]:
    async with rehearsal_environment(PHASE4) as one:
        yield one


def plan_for(scenario: Scenario) -> RolloutPlan:
    """Shorten the plan around the fault; a Healthy end needs all four weeks for learning."""
    steps = [fault.find_step(PHASE4) for fault in scenario.faults]
    assert isinstance(scenario.expect, Expectation)
    if scenario.expect.ending is RehearsalEnding.HEALTHY or steps[0] is None:
        return PHASE4
    return phase4_shortened(steps[0].name)


@pytest.mark.parametrize("name", scenario_names())
async def test_each_scenario_ends_as_its_file_says(
    recording_pool: RecordingPool, name: str
) -> None:
    """Rolled back in the right step by the right gate, held, or Healthy; by the pure core."""
    scenario = load_scenario(name)
    course = Timeline(plan_for(scenario), scenario, 1, recording_pool, CORE_RUN_BEGIN)
    walk = CoreRunner(course)
    outcome = build_result(await walk.run(), course, walk.now, "the pure core")
    assert isinstance(scenario.expect, Expectation)
    assert expectation_mismatch(outcome, scenario.expect) == ""


async def test_the_workflow_and_the_pure_core_come_to_the_same_end(
    environment: RehearsalEnvironment, recording_pool: RecordingPool
) -> None:
    """--runs replaces the workflow; here both run on the same traffic."""
    for name in WORKFLOW_SCENARIOS:
        scenario = load_scenario(name)
        plan = plan_for(scenario)
        played = await environment.rehearse(plan, scenario, 1)
        assert isinstance(scenario.expect, Expectation)
        assert expectation_mismatch(played.result, scenario.expect) == ""
        walk = CoreRunner(Timeline(plan, scenario, 1, recording_pool, CORE_RUN_BEGIN))
        course = walk._timeline
        walked = build_result(await walk.run(), course, walk.now, "the pure core")
        assert (walked.ending, walked.step) == (played.result.ending, played.result.step)
        if played.result.detection_delay is not None and walked.detection_delay is not None:
            apart = abs((walked.detection_delay - played.result.detection_delay).total_seconds())
            assert apart <= 2 * tick_seconds(plan)


def test_a_step_that_was_foreseen_is_recorded_and_read_once() -> None:
    """Entered a minute later than foreseen it has the same tape; what a red flag asks was read."""
    plan = phase4_shortened("flag-infrastructure")
    with ephemeral_prometheus(tick_seconds(plan)) as url, open_client(url) as ranges:
        course = Timeline(plan, load_scenario("healthy"), 1, RecordingPool(ranges), CORE_RUN_BEGIN)
        ahead = copy(course)
        ahead.entries = list(course.entries)
        for _ in prefetch_steps(ahead, {}):
            pass
        later = expected_exit(course, plan.steps[1]) + timedelta(minutes=1)
        course.enter_step(1, later)
        tape = course.entries[-1].recording
        assert tape is ahead.entries[1].recording
        written, read = tape.end_epoch, dict(tape.readings._tick_readings)
        flags = [one for one in plan.steps[1].red_flags if one.kind is not GateKind.BASELINE]
        guarded = WatchSpec(flags, plan.metrics, {}, plan.watch_interval.total_seconds())
        assert not next_breach(course, guarded, later, later + timedelta(hours=12)).names
    assert read
    assert (tape.end_epoch, list(tape.readings._tick_readings)) == (written, list(read))


def test_a_query_that_may_be_sent_once_is_not_read_ahead(recording_pool: RecordingPool) -> None:
    """A window cut to the time live is another query at each check; one that recurs is read ahead."""
    course = Timeline(PHASE4, load_scenario("healthy"), 1, recording_pool, CORE_RUN_BEGIN)
    readings = course.entries[0].recording.readings
    query = 'sum(increase(router_queries_total{cohort=~"control"}[47m11s]))'
    for hour, expected in ((1, 1), (2, CHECKS_AHEAD)):
        assert course.query(query, CORE_RUN_BEGIN + timedelta(hours=hour))
        batches, _ = readings.readings_after(len(readings._batches) - 1)
        assert 1 <= len(batches[query]) <= expected
        assert (len(batches[query]) == 1) is (hour == 1)


async def test_a_plan_of_seconds_is_recorded_for_hours_not_days() -> None:
    """The prefetched span is a number of ticks, and the demo's ticks are seconds."""
    demo = load_plan(DEMO)
    with ephemeral_prometheus(tick_seconds(demo)) as url, open_client(url) as ranges:
        course = Timeline(demo, load_scenario("healthy"), 1, RecordingPool(ranges), CORE_RUN_BEGIN)
        state = await CoreRunner(course).run()
    assert state.step_index > 2
    recorded = sum(
        entry.recording._end_epoch - entry.recording.base_epoch for entry in course.entries
    )
    assert recorded < len(course.entries) * 4 * 3600


async def test_a_burst_is_found_within_minutes_and_its_cost_is_counted(
    recording_pool: RecordingPool,
) -> None:
    """Detection takes a scrape or two, not an hour; the exposure meanwhile is reported."""
    scenario = load_scenario("error_burst")
    timeline = Timeline(plan_for(scenario), scenario, 1, recording_pool, CORE_RUN_BEGIN)
    runner = CoreRunner(timeline)
    outcome = build_result(await runner.run(), timeline, runner.now, "the pure core")
    assert outcome.ending is RehearsalEnding.ROLLED_BACK
    assert outcome.detection_delay is not None
    assert outcome.detection_delay.total_seconds() <= 300
    assert outcome.errors > 0
    assert outcome.queries > outcome.errors
    assert 0 < outcome.users <= scenario.traffic.users


def test_one_run_needs_no_second_process(tmp_path: Path) -> None:
    """On one processor, and with few runs, the pure core runs in the command's own process."""
    (tmp_path / "plan.yaml").write_text(ONE_STEP)
    arguments = ["rehearse", str(tmp_path / "plan.yaml"), "--runs", "1", "--no-fit", "--qps", "1"]
    outcome = CliRunner().invoke(build_app(arguments), arguments)
    assert "1 runs by the pure core: 1 × Healthy" in outcome.output
    assert outcome.exit_code == 0
