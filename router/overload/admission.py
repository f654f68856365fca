"""Admission control: the one decision whether a process takes a query.

Three limits apply in the order of their cost. Load shedding refuses a query unread while the event
loop is late. The in-flight limit bounds all queries. The search limiter bounds the queries that the
cache did not answer. Each limit is shared fairly between tenants, so that a tenant above its share
is refused first (Google SRE book, "Handling Overload").
"""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass

from router.errors import Overloaded, QuotaExceeded
from router.observability.metrics import UNKNOWN_COHORT, RouterMetrics
from router.overload.event_loop_lag import EventLoopLag
from router.overload.search_limiter import SearchLimiter
from router.overload.tenant_shares import TenantShares

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

    def __init__(self, limits: AdmissionLimits, metrics: RouterMetrics) -> None:
        self._limits = limits
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
            self._shed_late_load(tenant)
        except Overloaded as error:
            self._metrics.refused.labels(UNKNOWN_COHORT, error.kind).inc()
            raise

    def _shed_late_load(self, tenant: str) -> None:
        above = self._tenants.tenants_above_share()
        if tenant in above:
            if self._lag.should_shed(urgency=2.0):
                raise QuotaExceeded(f"tenant {tenant!r} sends more than its share")
        elif self._should_shed_fair_load(is_any_above=bool(above)):
            raise Overloaded("this process has more to do than it can")

    def _should_shed_fair_load(self, *, is_any_above: bool) -> bool:
        """Shed a tenant within its share only after all load above the shares is refused."""
        if is_any_above:
            return self._lag.should_shed(urgency=0.5, start=FAIR_START)
        return self._lag.should_shed(urgency=0.5 if self._tenants.are_shared else 1.0)

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
        """Adapt the number of search slots to the event loop's lag until cancelled."""
        await self._lag.run(self._adapt)

    def _adapt(self) -> None:
        self._searches.adapt(busy=self._lag.is_busy)
        self._metrics.loop_lag_seconds.set(self._lag.seconds)
        self._metrics.searches_allowed.set(self._searches.capacity)
