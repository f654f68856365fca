"""The watch gathers statistical evidence block by block, keeps it in its heartbeat, and hands it over."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.memory_flags import MemoryFlags
from activities.memory_ledger import MemoryLedger
from activities.memory_metrics import MemoryMetrics
from activities.models import WatchEnd, WatchNotes, WatchRequest
from activities.watch import WatchActivities
from rollout.blocks import growth, looks, resets
from rollout.gate import Gate, Metric
from rollout.statistic import Rate
from rollout.track import Exposure, Track

SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, STALE_AFTER = timedelta(minutes=1), timedelta(minutes=2)
RATE = Rate(events='e{c=~"$cohort"}', units='u{c=~"$cohort"}')
GATE = Gate.model_validate(
    {"name": "evidence", "metric": "m", "kind": "statistical", "window": "1m", "on_no_data": "hold"}
)


def counting(events: float) -> MemoryMetrics:
    answers = {
        growth(RATE.events, "treatment", MINUTE): events,
        growth(RATE.units, "treatment", MINUTE): 500.0,
        growth(RATE.events, "control", MINUTE): 8.0,
        growth(RATE.units, "control", MINUTE): 1600.0,
        resets(RATE.units, MINUTE, STALE_AFTER): 0.0,
        looks(RATE.units, MINUTE, STALE_AFTER): 1.0,
    }
    return MemoryMetrics(answers)


class Guard:
    """One watch whose clock stands still, and what its heartbeat carried."""

    def __init__(self, metrics: MemoryMetrics, minutes: int) -> None:
        self.beats: list[WatchNotes] = []
        self.environment = ActivityEnvironment()
        self.environment.on_heartbeat = self._beat
        at = SINCE + minutes * MINUTE
        self.activities = WatchActivities(metrics, MemoryFlags(), MemoryLedger(), lambda: at)

    def _beat(self, *details: Any) -> None:  # noqa: ANN401  whatever the activity sends
        self.beats.append(WatchNotes.model_validate(details[0]))

    def resume(self, notes: WatchNotes) -> None:
        details = [notes.model_dump(mode="json")]
        self.environment.info = dataclasses.replace(
            self.environment.info, heartbeat_details=details
        )

    async def watch(self, shift_seconds: float = 0.3, **tracks: Track) -> WatchEnd:
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
            exposure=Exposure(since=SINCE, share=0.25, alphas={"evidence": 0.01}, tracks=tracks),
            shift_seconds=shift_seconds,
        )
        end: WatchEnd = await self.environment.run(self.activities.watch, request)
        return end


async def test_each_block_counts_once_however_often_the_watch_looks() -> None:
    guard = Guard(counting(1.0), minutes=3)
    end = await guard.watch()
    assert end.finding is None
    assert end.tracks["evidence"].blocks == 3
    assert (
        guard.activities.metrics.asked.count(  # type: ignore[attr-defined]  # the double's own
            (growth(RATE.events, "treatment", MINUTE), SINCE + MINUTE)
        )
        == 1
    )


async def test_shown_harm_ends_the_watch_with_its_evidence() -> None:
    end = await Guard(counting(60.0), minutes=3).watch(shift_seconds=20)
    assert end.finding is not None
    assert end.finding.name == "evidence"
    assert "worse at α = 0.01" in end.finding.verdict.because
    assert end.tracks["evidence"].until == SINCE + 3 * MINUTE


async def test_another_worker_goes_on_from_the_heartbeat() -> None:
    first = await Guard(counting(1.0), minutes=3).watch()
    guard = Guard(counting(1.0), minutes=5)
    guard.resume(WatchNotes(tracks=first.tracks))
    resumed = (await guard.watch()).tracks["evidence"]
    whole = (await Guard(counting(1.0), minutes=5).watch()).tracks["evidence"]
    assert guard.beats[0].tracks == first.tracks
    assert (resumed.until, resumed.blocks) == (whole.until, whole.blocks)
    assert resumed.state["wealth"]["log_stakes"] == pytest.approx(
        whole.state["wealth"]["log_stakes"], rel=1e-6
    )


async def test_a_gap_is_passed_over() -> None:
    metrics = counting(60.0)
    metrics.answers[resets(RATE.units, MINUTE, STALE_AFTER)] = 1.0
    end = await Guard(metrics, minutes=3).watch()
    assert end.finding is None
    assert end.tracks["evidence"].blocks == 0
    assert "a counter was reset" in end.tracks["evidence"].problem
