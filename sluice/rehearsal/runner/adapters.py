"""The ports of a rehearsed rollout: recorded metrics, flags in memory, both on the workflow's time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from temporalio import activity

from activities.contract.errors import MetricsQueryError
from activities.contract.models import FlagReceipt, ReportReceipt, ReportRequest
from activities.doubles.flags import MemoryFlags
from sluice.rehearsal.errors import RehearsalError
from sluice.rehearsal.recorder.remote_timeline import RemoteTimeline
from sluice.rollout.engine.flag_target import FlagWrite

NO_REPORT = "none, it is a rehearsal"


def workflow_time() -> datetime:
    """When the attempt that runs was started, by the test server's clock.

    Not when it was scheduled: for a retry that is the end of the attempt before it.
    """
    return activity.info().started_time


class TimelineSource(Protocol):
    """What a course says of its recording."""

    def query(self, promql: str, at: datetime) -> float | None:
        """Answer as Prometheus would have at ``at``."""

    def cached(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """The same where that takes no waiting; else None."""


@dataclass(frozen=True)
class RecordedMetrics:
    """The metrics port: what Prometheus says about the recording at the workflow's time."""

    timeline: TimelineSource

    def query(self, promql: str, at: datetime) -> float | None:
        """See ``activities.contract.ports.MetricsProvider``."""
        try:
            return self.timeline.query(promql, at)
        except RehearsalError as error:
            raise MetricsQueryError(str(error)) from error

    def cached(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """See ``activities.contract.ports.CachedMetrics``: a rehearsal asks tens of thousands of times."""
        return self.timeline.cached(promql, at)


class RehearsalFlags(MemoryFlags):
    """Flags in memory; entering a step puts that step's tape on."""

    def __init__(self, course: RemoteTimeline) -> None:
        super().__init__()
        self._timeline = course

    async def apply(self, write: FlagWrite) -> FlagReceipt:
        """See ``activities.contract.ports.Flags``."""
        receipt = await super().apply(write)
        self._enter_matching_step(write)
        return receipt

    def _enter_matching_step(self, target: FlagWrite) -> None:
        """Tell the course when the target is a step's: its title is the reason of the write."""
        steps = self._timeline.plan.steps
        last = steps.index(self._timeline.steps[-1])
        for index in range(last + 1, len(steps)):
            if steps[index].title == target.reason:
                self._timeline.enter_step(index, workflow_time())
                return


@activity.defn(name="write_report")
async def skip_report(_request: ReportRequest) -> ReportReceipt:
    """A rehearsal writes no post-mortem: nothing happened, and its pictures take seconds.

    What it has to tell is its own timeline, and the page of ``--html``.
    """
    return ReportReceipt(markdown=NO_REPORT, html=NO_REPORT)
