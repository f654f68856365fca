"""Arrival rates per tenant: a quota for each, and a fair share of an overloaded process."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from router.errors import QuotaExceeded

RATE_WINDOW_SECONDS = 2.0
"""Time constant of the decaying arrival counts."""
ACTIVE_ARRIVALS_MIN = 0.05
"""A tenant below this decayed count is idle: about six seconds after a single query."""
SHARE_TOLERANCE = 1.5
"""A tenant is above its share when it sends more than this multiple of an equal share."""
TENANTS_MAX = 10_000
BURST_SECONDS = 1.0
SECONDS_PER_TENANT = 20e-6
"""Age of the shares for each tenant: 0.2 s with 10,000, whose count takes some 5 ms."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The number of tenants that sent queries recently, and those that send more than their share."""

    active: int = 0
    above: frozenset[str] = frozenset()

    def favours(self, tenant: str) -> bool:
        """Return True for a tenant within its share while another one is above its own."""
        return bool(self.above) and tenant not in self.above


@dataclass(slots=True)
class _TenantRate:
    """Decaying arrival count and token bucket of one tenant."""

    updated_at: float
    tokens: float
    arrivals: float = 0.0


class TenantShares:
    """Quotas and shares by tenant. ``queries_per_second`` 0 sets no quota."""

    def __init__(
        self, queries_per_second: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._quota = queries_per_second
        self._burst = max(1.0, queries_per_second * BURST_SECONDS)
        self._clock = clock
        self._rates: dict[str, _TenantRate] = {}
        self._shares: Shares | None = None
        self._counted_at = 0.0

    def record_arrival(self, tenant: str) -> None:
        """Count one query. Raises QuotaExceeded when the tenant's token bucket is empty."""
        now = self._clock()
        if len(self._rates) >= TENANTS_MAX:
            self._remove_idle(now)
        rate = self._rates.setdefault(tenant, _TenantRate(now, self._burst))
        elapsed = now - rate.updated_at
        rate.updated_at = now
        rate.arrivals = rate.arrivals * _decay(elapsed) + 1.0
        if not self._quota:
            return
        rate.tokens = min(self._burst, rate.tokens + elapsed * self._quota)
        if rate.tokens < 1.0:
            raise QuotaExceeded(
                f"tenant {tenant!r} is over its quota of {self._quota:g} queries per second"
            )
        rate.tokens -= 1.0

    def current(self) -> Shares:
        """Return the shares of now, or of a moment ago: with many tenants the count takes long."""
        now = self._clock()
        if self._shares is None or now - self._counted_at > len(self._rates) * SECONDS_PER_TENANT:
            self._shares, self._counted_at = self._count_shares(), now
        return self._shares

    def _count_shares(self) -> Shares:
        active = self._active()
        if len(active) <= 1:
            return Shares(len(active))
        limit = SHARE_TOLERANCE * sum(active.values()) / len(active)
        above = frozenset(tenant for tenant, count in active.items() if count > limit)
        return Shares(len(active), above)

    def _active(self) -> dict[str, float]:
        now = self._clock()
        counts = {
            tenant: rate.arrivals * _decay(now - rate.updated_at)
            for tenant, rate in self._rates.items()
        }
        return {tenant: count for tenant, count in counts.items() if count > ACTIVE_ARRIVALS_MIN}

    def _remove_idle(self, now: float) -> None:
        self._rates = {
            tenant: rate
            for tenant, rate in self._rates.items()
            if rate.arrivals * _decay(now - rate.updated_at) > ACTIVE_ARRIVALS_MIN
        }


def _decay(seconds: float) -> float:
    return math.exp(-seconds / RATE_WINDOW_SECONDS)
