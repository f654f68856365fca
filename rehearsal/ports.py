"""The ports of a rehearsed rollout: recorded metrics, flags in memory, both on the workflow's time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from temporalio import activity

from activities.errors import MetricsQueryError
from activities.memory_flags import MemoryFlags
from activities.models import FlagReceipt, FlagTarget, ReportReceipt, ReportRequest
from rehearsal.distant import DistantCourse
from rehearsal.errors import RehearsalError

NO_REPORT = "none, it is a rehearsal"


def workflow_time() -> datetime:
    """When the attempt that runs was started, by the test server's clock.

    Not when it was scheduled: for a retry that is the end of the attempt before it.
    """
    return activity.info().started_time


class Recorded(Protocol):
    """What a course says of its recording."""

    def query(self, promql: str, at: datetime) -> float | None:
        """Answer as Prometheus would have at ``at``."""

    def remembered(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """The same where that takes no waiting; else None."""


@dataclass(frozen=True)
class RecordedMetrics:
    """The metrics port: what Prometheus says about the recording at the workflow's time."""

    course: Recorded

    def query(self, promql: str, at: datetime) -> float | None:
        """See ``activities.ports.Metrics``."""
        try:
            return self.course.query(promql, at)
        except RehearsalError as error:
            raise MetricsQueryError(str(error)) from error

    def remembered(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """See ``activities.ports.Remembering``: a rehearsal asks tens of thousands of times."""
        return self.course.remembered(promql, at)


class RehearsedFlags(MemoryFlags):
    """Flags in memory; entering a step puts that step's tape on."""

    def __init__(self, course: DistantCourse) -> None:
        super().__init__()
        self._course = course

    async def apply(self, target: FlagTarget) -> FlagReceipt:
        """See ``activities.ports.Flags``."""
        receipt = await super().apply(target)
        self._note(target)
        return receipt

    def _note(self, target: FlagTarget) -> None:
        """Tell the course when the target is a step's: its title is the reason of the write."""
        steps = self._course.plan.steps
        last = steps.index(self._course.steps[-1])
        for index in range(last + 1, len(steps)):
            if steps[index].title == target.reason:
                self._course.enter(index, workflow_time())
                return


@activity.defn(name="write_report")
async def no_report(_request: ReportRequest) -> ReportReceipt:
    """A rehearsal writes no post-mortem: nothing happened, and its pictures take seconds.

    What it has to tell is its own timeline, and the page of ``--html``.
    """
    return ReportReceipt(markdown=NO_REPORT, html=NO_REPORT)
