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

    @property
    def are_shared(self) -> bool:
        """True while more than one tenant is active."""
        return len(self._active()) > 1

    def tenants_above_share(self) -> frozenset[str]:
        """Return the tenants that send clearly more than an equal share of recent queries."""
        active = self._active()
        if len(active) <= 1:
            return frozenset()
        limit = SHARE_TOLERANCE * sum(active.values()) / len(active)
        return frozenset(tenant for tenant, count in active.items() if count > limit)

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
