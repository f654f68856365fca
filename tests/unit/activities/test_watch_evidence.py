"""The watch gathers statistical evidence block by block, keeps it in its heartbeat, and hands it over."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.contract.models import WatchCheckpoint, WatchRequest, WatchResult
from activities.doubles.flags import MemoryFlags
from activities.doubles.metrics import MemoryMetrics
from activities.watch import WatchActivities
from sluice.rollout.analysis.blocks import coverage_query, increase_query, reset_query
from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.sequential_state import EvidenceContext, SequentialState
from sluice.rollout.analysis.statistic import EventRate

SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, STALE_AFTER = timedelta(minutes=1), timedelta(minutes=2)
RATE = EventRate(events='e{c=~"$cohort"}', units='u{c=~"$cohort"}')
GATE = Gate.model_validate(
    {"name": "evidence", "metric": "m", "kind": "statistical", "window": "1m", "on_no_data": "hold"}
)


RESET = reset_query(RATE.units, MINUTE, STALE_AFTER)


def block_metrics(events: float) -> MemoryMetrics:
    answers = {
        increase_query(RATE.events, "treatment", MINUTE, RESET): events,
        increase_query(RATE.units, "treatment", MINUTE, RESET): 500.0,
        increase_query(RATE.events, "control", MINUTE, RESET): 8.0,
        increase_query(RATE.units, "control", MINUTE, RESET): 1600.0,
        coverage_query(RATE.units, MINUTE, STALE_AFTER): 1.0,
    }
    return MemoryMetrics(answers)


class FrozenClockWatch:
    """Run one watch with a frozen clock, and return the content of its heartbeats."""

    def __init__(self, metrics: MemoryMetrics, minutes: int) -> None:
        self.heartbeats: list[WatchCheckpoint] = []
        self.environment = ActivityEnvironment()
        self.environment.on_heartbeat = self._record_heartbeat
        at = SINCE + minutes * MINUTE
        self.activities = WatchActivities(metrics, MemoryFlags(), lambda: at)

    def _record_heartbeat(self, *details: Any) -> None:  # noqa: ANN401  whatever the activity sends
        self.heartbeats.append(WatchCheckpoint.model_validate(details[0]))

    def resume(self, notes: WatchCheckpoint) -> None:
        details = [notes.model_dump(mode="json")]
        self.environment.info = dataclasses.replace(
            self.environment.info, heartbeat_details=details
        )

    async def watch(self, shift_seconds: float = 0.3, **tracks: SequentialState) -> WatchResult:
        request = WatchRequest(
            rollout_id="r",
            step="canary",
            environment="default",
            flag="f",
            percentage=None,
            interval_seconds=0.01,
            metrics={"m": Metric(query="up", unit="ratio", statistic=RATE)},
            red_flags=(GATE,),
            baseline={},
            evidence_context=EvidenceContext(
                since=SINCE, share=0.25, alphas={"evidence": 0.01}, sequential_states=tracks
            ),
            handover_seconds=shift_seconds,
        )
        end: WatchResult = await self.environment.run(self.activities.watch, request)
        return end


async def test_each_block_counts_once_however_often_the_watch_looks() -> None:
    guard = FrozenClockWatch(block_metrics(1.0), minutes=3)
    end = await guard.watch()
    assert end.finding is None
    assert end.sequential_states["evidence"].blocks == 3
    assert (
        guard.activities.metrics.queries.count(  # type: ignore[attr-defined]  # the double's own
            (increase_query(RATE.events, "treatment", MINUTE, RESET), SINCE + MINUTE)
        )
        == 1
    )


async def test_shown_harm_ends_the_watch_with_its_evidence() -> None:
    end = await FrozenClockWatch(block_metrics(60.0), minutes=3).watch(shift_seconds=20)
    assert end.finding is not None
    assert end.finding.name == "evidence"
    assert "worse at α = 0.009" in end.finding.verdict.reason
    assert end.sequential_states["evidence"].until == SINCE + 3 * MINUTE


async def test_another_worker_goes_on_from_the_heartbeat() -> None:
    first = await FrozenClockWatch(block_metrics(1.0), minutes=3).watch()
    guard = FrozenClockWatch(block_metrics(1.0), minutes=5)
    guard.resume(WatchCheckpoint(sequential_states=first.sequential_states))
    resumed = (await guard.watch()).sequential_states["evidence"]
    whole = (await FrozenClockWatch(block_metrics(1.0), minutes=5).watch()).sequential_states[
        "evidence"
    ]
    assert guard.heartbeats[0].sequential_states == first.sequential_states
    assert (resumed.until, resumed.blocks) == (whole.until, whole.blocks)
    assert resumed.test_state["wealth"]["log_stakes"] == pytest.approx(
        whole.test_state["wealth"]["log_stakes"], rel=1e-6
    )


async def test_a_gap_is_passed_over() -> None:
    metrics = block_metrics(60.0)
    metrics.answers[coverage_query(RATE.units, MINUTE, STALE_AFTER)] = 0.0
    end = await FrozenClockWatch(metrics, minutes=3).watch()
    assert end.finding is None
    assert end.sequential_states["evidence"].blocks == 0
    assert "nothing was scraped" in end.sequential_states["evidence"].problem
