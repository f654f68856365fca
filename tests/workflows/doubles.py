"""Scripted ports of a rollout under test, which the test changes while it runs."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.contract.errors import (
    MetricsUnreachableError,
    NoticeRefusedError,
    NoticeUndeliveredError,
)
from activities.contract.models import (
    Confirmation,
    ConfirmRequest,
    ReportReceipt,
    ReportRequest,
    RevertReceipt,
    RevertRequest,
    WatchCheckpoint,
    WatchRequest,
    WatchResult,
)
from activities.doubles.flags import MemoryFlags
from activities.watch import RedFlagWatch, WatchActivities
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.plan.notification import Notice

HEALTHY = {"errors": 0.004, "reward": 0.8, "queries": 1000.0}


SAMPLE_AGE_PREFIX = "time() - ("


@dataclass
class ScriptedMetrics:
    """The metrics port of a test: values by metric, changed while the rollout runs."""

    values: dict[str, float | None] = field(default_factory=lambda: dict(HEALTHY))
    reachable: bool = True
    query_times: list[datetime] = field(default_factory=list)

    def query(self, promql: str, at: datetime) -> float | None:
        self.query_times.append(at)
        if not self.reachable:
            raise MetricsUnreachableError("Prometheus does not answer")
        if promql.startswith(SAMPLE_AGE_PREFIX):
            return 0.0
        expression = promql.split(maxsplit=1)[0]
        return self.values[expression if expression in self.values else promql.partition("{")[0]]


@dataclass
class ScriptedReports:
    """Keeps what a report would be written from; with a ``digest`` as if the ledger had its rows."""

    requests: list[ReportRequest] = field(default_factory=list)
    digest: str = ""

    @activity.defn(name="write_report")
    async def write_report(self, request: ReportRequest) -> ReportReceipt:
        self.requests.append(request)
        return ReportReceipt(markdown="report.md", html="report.html", digest=self.digest)


@dataclass
class RecordingNotices:
    """A channel that stores its notices, and can be made to fail."""

    delivered: list[Notice] = field(default_factory=list)
    unreachable: bool = False
    refuses: bool = False

    async def send(self, notice: Notice) -> str:
        if self.refuses:
            raise NoticeRefusedError("the address is unknown")
        if self.unreachable:
            raise NoticeUndeliveredError("nobody answers")
        self.delivered.append(notice)
        return "heard"


@dataclass
class ScriptedCodeRepository:
    """The code port of a test: notes what it was asked, and ends as the test says."""

    requests: list[RevertRequest] = field(default_factory=list)
    error: Exception | None = None

    async def revert(self, request: RevertRequest) -> RevertReceipt:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        return RevertReceipt(commit="a" * 40, text="reverted and deployed")


@dataclass(frozen=True)
class PollingWatch:
    """The watch, one turn per attempt: the server skips time between attempts, never during one."""

    watch: WatchActivities
    failures: list[str] = field(default_factory=list)
    """Reasons for which the next turns end the whole activity."""

    @activity.defn(name="watch_red_flags")
    async def watch_red_flags(self, request: WatchRequest) -> WatchResult:
        if self.failures:
            raise ApplicationError(self.failures.pop(), non_retryable=True)
        if finding := await RedFlagWatch(
            self.watch, request, WatchCheckpoint(flag_drift_count=1)
        ).poll_once():
            return WatchResult(finding=finding)
        raise ApplicationError(
            "nothing yet",
            next_retry_delay=timedelta(minutes=4),
            category=ApplicationErrorCategory.BENIGN,
        )


class RecordingFlags(MemoryFlags):
    """Memory flags that remember each percentage written, and can be made slow or to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.percentages: list[float] = []
        self.broken: Exception | None = None
        self.slow_seconds = 0.0
        self.confirmation_errors: list[Exception] = []
        """Errors of the next confirmations; the last one stays."""

    async def apply(self, write: FlagWrite) -> FlagReceipt:
        if self.broken is not None:
            raise self.broken
        await asyncio.sleep(self.slow_seconds)
        receipt = await super().apply(write)
        self.percentages.append(receipt.percentage)
        return receipt

    async def confirm(self, request: ConfirmRequest) -> Confirmation:
        errors = self.confirmation_errors
        if errors:
            raise errors.pop(0) if len(errors) > 1 else errors[0]
        return await super().confirm(request)
