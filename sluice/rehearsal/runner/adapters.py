"""Adapters of a rehearsed rollout: recorded metrics and flags in memory, on workflow time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from temporalio import activity

from activities.contract.errors import MetricsQueryError
from activities.contract.models import ReportReceipt, ReportRequest
from activities.doubles.flags import MemoryFlags
from sluice.rehearsal.errors import RehearsalError
from sluice.rehearsal.recorder.remote_timeline import RemoteTimeline
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite

NO_REPORT = "none, because this is a rehearsal"


def workflow_time() -> datetime:
    """Return the start of the current attempt, by the test server's clock.

    The scheduled time of a retry is the end of the previous attempt, so it is not used.
    """
    return activity.info().started_time


class TimelineSource(Protocol):
    """Port of a timeline's readings."""

    def query(self, promql: str, at: datetime) -> float | None:
        """Return the value that Prometheus has at ``at``."""

    def cached(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """Return the value when it is cached; else None."""


@dataclass(frozen=True)
class RecordedMetrics:
    """Metrics provider that reads the recording at the workflow's time."""

    timeline: TimelineSource

    def query(self, promql: str, at: datetime) -> float | None:
        """Query the recording; see ``activities.contract.ports.MetricsProvider``."""
        try:
            return self.timeline.query(promql, at)
        except RehearsalError as error:
            raise MetricsQueryError(str(error)) from error

    def cached(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """Return a cached value; see ``activities.contract.ports.CachedMetrics``."""
        return self.timeline.cached(promql, at)


class RehearsalFlags(MemoryFlags):
    """Flags in memory; a write that enters a step selects its recording."""

    def __init__(self, timeline: RemoteTimeline) -> None:
        super().__init__()
        self._timeline = timeline

    async def apply(self, write: FlagWrite) -> FlagReceipt:
        """Write a flag; see ``activities.contract.ports.Flags``."""
        receipt = await super().apply(write)
        self._enter_matching_step(write)
        return receipt

    def _enter_matching_step(self, target: FlagWrite) -> None:
        """Enter the step whose title is the reason of the write."""
        steps = self._timeline.plan.steps
        last = steps.index(self._timeline.steps[-1])
        for index in range(last + 1, len(steps)):
            if steps[index].title == target.reason:
                self._timeline.enter_step(index, workflow_time())
                return


@activity.defn(name="write_report")
async def skip_report(_request: ReportRequest) -> ReportReceipt:
    """Return a receipt without a report: a rehearsal writes no post-mortem, whose plots take seconds.

    Its output is the timeline and the page of ``--html``.
    """
    return ReportReceipt(markdown=NO_REPORT, html=NO_REPORT)
