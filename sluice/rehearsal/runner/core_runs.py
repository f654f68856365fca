"""Many rehearsals of one scenario by the pure core, one process per core of the machine."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from sluice.rehearsal.errors import RecorderFailedError
from sluice.rehearsal.prometheus.ephemeral_server import ephemeral_prometheus
from sluice.rehearsal.prometheus.range_query import open_client
from sluice.rehearsal.results.result import RehearsalResult, build_result
from sluice.rehearsal.runner.core_runner import CoreRunner
from sluice.rehearsal.runner.session import (
    CORE_RUN_BEGIN,
    require_recorded_series,
    require_scenario_fits,
)
from sluice.rehearsal.ticks import tick_seconds
from sluice.rehearsal.timeline.step_recording import RecordingPool
from sluice.rehearsal.timeline.timeline import Timeline
from sluice.rehearsal.traffic.scenario import Scenario
from sluice.rollout.plan.schema import RolloutPlan

RUNS_PER_SERVER = 2
Progress = Callable[[int], None]
RunSeeds = Callable[[Sequence[int]], list[RehearsalResult]]


def run_core(
    plan: RolloutPlan, scenario: Scenario, seeds: Sequence[int], progress: Progress
) -> list[RehearsalResult]:
    """Run the pure core once for each seed; call ``progress`` with the number done.

    Each seed's result is the same in any process, and comes in the order of ``seeds``.
    """
    require_recorded_series(plan)
    require_scenario_fits(plan, scenario)
    parts = [seeds[i : i + RUNS_PER_SERVER] for i in range(0, len(seeds), RUNS_PER_SERVER)]
    done: dict[int, RehearsalResult] = {}
    for results in _each_part(partial(_run_seeds, plan, scenario), parts):
        done |= {result.seed: result for result in results}
        progress(len(done))
    return [done[seed] for seed in seeds]


def _each_part(run: RunSeeds, parts: Sequence[Sequence[int]]) -> Iterator[list[RehearsalResult]]:
    """Yield the results of each part as soon as it is done."""
    processes = min(len(parts), len(os.sched_getaffinity(0)))
    if processes < 2:  # noqa: PLR2004  another process would only cost its start
        yield from map(run, parts)
        return
    # Spawned, not forked: a fork would copy locks of threads that exist in the parent only.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context) as pool:
        waiting = [pool.submit(run, part) for part in parts]
        try:
            for part in as_completed(waiting):
                yield part.result()
        except BrokenProcessPool as gone:
            raise RecorderFailedError("a rehearsing process ended; its output is above") from gone
        finally:
            pool.shutdown(cancel_futures=True)


def _run_seeds(
    plan: RolloutPlan, scenario: Scenario, seeds: Sequence[int]
) -> list[RehearsalResult]:
    """Run seeds one after the other, on a Prometheus of their own."""
    with ephemeral_prometheus(tick_seconds(plan)) as url, open_client(url) as client:
        pool = RecordingPool(client)  # one per server, so that its recordings never overlap
        return [_run_seed(Timeline(plan, scenario, seed, pool, CORE_RUN_BEGIN)) for seed in seeds]


def _run_seed(timeline: Timeline) -> RehearsalResult:
    runner = CoreRunner(timeline)
    state = asyncio.run(runner.run())
    return build_result(state, timeline, runner.now, "the pure core")
