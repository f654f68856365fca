"""The narrow seams between the activities and the world; drivers live behind them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from activities.contract.errors import MetricsQueryError
from activities.contract.models import (
    Confirmation,
    ConfirmRequest,
    LedgerEntry,
    LedgerKind,
    ProbeResult,
    RevertReceipt,
    RevertRequest,
)
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.engine.state import State
from sluice.rollout.plan.notification import Notice


class MetricsProvider(Protocol):
    """The source of readings (Prometheus)."""

    def query(self, promql: str, at: datetime) -> float | None:
        """Evaluate at ``at``; None is *no data* (empty, NaN, infinite).

        Raises:
            MetricsUnreachableError: transient: connection, timeout, 5xx.
            MetricsQueryError: permanent: refused query (400, 422), more than one series.
        """
        ...


BatchAnswer = float | MetricsQueryError | None
"""One answer among many: the value, None for no data, or an error instead of a single value."""


@runtime_checkable
class BatchMetrics(MetricsProvider, Protocol):
    """Metrics that answer many expressions in one request."""

    def query_many(self, promqls: Sequence[str], at: datetime) -> list[BatchAnswer]:
        """Evaluate expressions that give instant vectors, in their order.

        Raises:
            MetricsUnreachableError: as ``query``.
            MetricsQueryError: one of them is refused, it is not known which.
        """
        ...


@runtime_checkable
class SharedMetrics(Protocol):
    """Metrics whose requests many askers share."""

    async def query_shared(self, promql: str, at: datetime) -> float | None:
        """Evaluate as ``MetricsProvider.query`` does, together with what others ask at ``at``."""
        ...


@runtime_checkable
class CachedMetrics(Protocol):
    """Metrics that have read ahead: a cached answer needs no thread and no waiting."""

    def cached(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """Return the answer of ``MetricsProvider.query`` as a 1-tuple; None if it is not cached."""
        ...


class Flags(Protocol):
    """The flag store and the processes that read it."""

    async def apply(self, write: FlagWrite) -> FlagReceipt:
        """Write the flag and read it back.

        Raises:
            FlagsUnreachableError: transient.
            FlagRefusedError: permanent: fenced off, killed, or no such flag.
        """
        ...

    async def read(self, environment: str, flag: str) -> FlagReceipt | None:
        """Return the stored flag; None when the store has no such flag.

        Raises:
            FlagsUnreachableError: transient.
        """
        ...

    async def kill(self, environment: str, flag: str, reason: str) -> None:
        """Set the kill latch, in place of a rollout that does not act.

        Raises:
            FlagsUnreachableError: transient.
            FlagRefusedError: permanent: the environment has no such flag.
        """
        ...

    async def askers(self, environment: str, flag: str) -> tuple[str, ...]:
        """Return the live processes that still ask for a flag which the store does not have.

        Raises:
            FlagsUnreachableError: transient.
        """
        ...

    async def confirm(self, request: ConfirmRequest) -> Confirmation:
        """Return once no live process can serve more than asked for; the caller limits the time.

        Raises:
            FlagsUnreachableError: transient.
        """
        ...


class Ledger(Protocol):
    """Append-only evidence (Postgres)."""

    async def append(self, entry: LedgerEntry) -> LedgerEntry:
        """Add one entry and return what the ledger holds under its rollout and key.

        When an entry is there already, the first one is kept and returned.

        Raises:
            LedgerUnreachableError: transient.
            LedgerRefusedError: permanent: for example a body that is not JSON.
        """
        ...

    async def endings(self, prefix: str) -> Sequence[LedgerEntry]:
        """Return the last states of ended rollouts whose id starts with ``prefix``, newest first.

        Raises:
            LedgerUnreachableError: transient.
        """
        ...

    async def latest_rollout_id(self, prefix: str) -> str | None:
        """Return the id of the rollout that wrote last among those whose id starts with ``prefix``.

        Raises:
            LedgerUnreachableError: transient.
        """
        ...

    async def evidence(self, rollout_id: str) -> Sequence[LedgerEntry]:
        """Return all entries but events, in the order of writing.

        Raises:
            LedgerUnreachableError: transient.
        """
        ...

    async def entries(self, rollout_id: str, kind: LedgerKind) -> Sequence[LedgerEntry]:
        """Return all entries of one kind, oldest first.

        Raises:
            LedgerUnreachableError: transient.
        """
        ...


class EnvironmentProbe(Protocol):
    """The place that the rollout runs in, for the checks of its checklists.

    Every method raises a TransientError of ``activities.contract.errors`` when it gets no answer.
    """

    async def check_stores(self, environment: str) -> ProbeResult:
        """Check that every store answers each live router process; without a process it fails."""
        ...

    async def check_scrape_targets(
        self, environment: str, at: datetime, jobs: tuple[str, ...] = ()
    ) -> ProbeResult:
        """Check that Prometheus scrapes at ``at`` each live router process, all of them up."""
        ...

    async def check_dashboards(self, titles: tuple[str, ...]) -> ProbeResult:
        """Check that Grafana has a dashboard of each title."""
        ...

    async def check_alert_rules(self, names: tuple[str, ...]) -> ProbeResult:
        """Check that Prometheus has each alert rule loaded and can evaluate it."""
        ...

    async def check_flag_propagation(self, environment: str) -> ProbeResult:
        """Raise a throw-away flag, wait until every live router process serves it, then delete it."""
        ...

    async def check_excluded_flags(self, environment: str, flags: tuple[str, ...]) -> ProbeResult:
        """Check that none of the flags treats a part of the users; everybody or nobody is well."""
        ...

    async def check_required_rollouts(self, environment: str, keys: tuple[str, ...]) -> ProbeResult:
        """Check that the last rollout of each ``flag@environment`` ended Healthy."""
        ...

    async def run_rollback_drill(self, environment: str, seconds_max: float) -> ProbeResult:
        """Take a throw-away flag from 100 % to 0 %; pass if all processes follow in time."""
        ...


class Archive(Protocol):
    """The store of post-mortems."""

    def write(self, state: State, name: str, text: str) -> str:
        """Write one file atomically and return its path.

        Raises:
            ArchiveUnwritableError: transient.
        """
        ...


class NoticeChannel(Protocol):
    """A way to notify people."""

    async def send(self, notice: Notice) -> str:
        """Send the notice and return the answer in a few words; a repetition has the same key.

        Raises:
            NoticeUndeliveredError: transient.
            NoticeRefusedError: permanent.
        """
        ...


class CodeRepository(Protocol):
    """The code that is deployed."""

    async def revert(self, request: RevertRequest) -> RevertReceipt:
        """Revert the commit on the branch that is deployed, and deploy; repeating it is safe.

        Raises:
            CodeUnreachableError: transient.
            CodeConflictError, CodeRefusedError: permanent. Nothing half-done is left.
        """
        ...
