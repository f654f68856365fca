"""Admission control: the one decision whether a process takes a query.

Three limits apply in the order of their cost. Load shedding refuses a query unread while the event
loop is late. The in-flight limit bounds all queries. The search limiter bounds the queries that the
cache did not answer. Each limit is shared fairly between tenants, so that a tenant above its share
is refused first (Google SRE book, "Handling Overload").
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass

from router.errors import Overloaded, QuotaExceeded
from router.observability.metrics import UNKNOWN_COHORT, RouterMetrics
from router.overload.event_loop_lag import EventLoopLag
from router.overload.search_limiter import SearchLimiter
from router.overload.tenant_shares import Shares, TenantShares

MODELS_LATE_SECONDS = 0.01
MODELS_BUSY_SECONDS = 0.03
"""A longer wait for the models' thread means that more questions at once would only wait for it."""
FAIR_START = 2.0
"""Multiple of the first shedding lag; load above the shares is refused completely from 1.5 on."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Limits of one process; a quota of 0 queries per second limits no tenant."""

    in_flight: int = 128
    concurrent_searches: int = 16
    wait_seconds: float = 0.3
    tenant_queries_per_second: float = 0.0


class AdmissionControl:
    """Limits of one process, shared by its tenants. One event loop calls it."""

    def __init__(
        self,
        limits: AdmissionLimits,
        metrics: RouterMetrics,
        models_wait: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Search less at once while questions wait for the models: ``models_wait`` is in seconds."""
        self._limits = limits
        self._models_wait = models_wait
        self._metrics = metrics
        self._in_flight = 0
        self._lag = EventLoopLag()
        self._tenants = TenantShares(limits.tenant_queries_per_second)
        self._searches = SearchLimiter(limits.concurrent_searches, limits.wait_seconds)

    def require_capacity(self, tenant: str) -> None:
        """Admit one arriving query of ``tenant``, before its body is read.

        Raises:
            QuotaExceeded: the tenant is above its quota or its fair share.
            Overloaded: the event loop is late.
        """
        try:
            self._tenants.record_arrival(tenant)
            self._shed_load(tenant)
        except Overloaded as error:
            self._metrics.refused.labels(UNKNOWN_COHORT, error.kind).inc()
            raise

    def _shed_load(self, tenant: str) -> None:
        shares = self._tenants.current()
        self._searches.follow(shares)
        if tenant in shares.above:
            if self._lag.should_shed(urgency=2.0) or self._searches.is_full(tenant):
                raise QuotaExceeded(f"tenant {tenant!r} sends more than its share")
        elif self._should_shed_fair_load(shares):
            raise Overloaded("this process has more to do than it can")

    def _should_shed_fair_load(self, shares: Shares) -> bool:
        """Shed a tenant within its share only after all load above the shares is refused."""
        if shares.above:
            return self._lag.should_shed(urgency=0.5, start=FAIR_START)
        return self._lag.should_shed(urgency=0.5 if shares.active > 1 else 1.0)

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count one query in flight. Raises Overloaded at the limit."""
        if self._in_flight >= self._limits.in_flight:
            raise Overloaded(f"{self._limits.in_flight} queries are already in flight")
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def search_slot(self, tenant: str) -> AbstractAsyncContextManager[bool]:
        """Hold one search slot; the value is True if the query waited. Raises Overloaded."""
        return self._searches.acquire(tenant)

    def record_lag(self, seconds: float) -> None:
        """Add one measurement of the event loop's lag."""
        self._lag.record(seconds)

    async def run(self) -> None:
        """Adapt the number of search slots to the process's backlog until cancelled."""
        await self._lag.run(self._adapt)

    def _adapt(self) -> None:
        waited = self._models_wait()
        self._searches.adapt(
            busy=self._lag.is_busy or waited > MODELS_BUSY_SECONDS,
            late=self._lag.is_late or waited > MODELS_LATE_SECONDS,
        )
        self._searches.follow(self._tenants.current())
        self._metrics.loop_lag_seconds.set(self._lag.seconds)
        self._metrics.searches_allowed.set(self._searches.capacity)
