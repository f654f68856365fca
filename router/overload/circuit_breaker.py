"""Circuit breaker: after repeated failures a dependency gets no calls for a while, then one probe."""

import time
from dataclasses import dataclass, field

FAILURES_MAX = 5
OPEN_SECONDS = 2.0
PROBE_SECONDS = 10.0


@dataclass(slots=True)
class CircuitBreaker:
    """Breaker that opens for ``open_seconds`` after ``failures_max`` consecutive failures.

    While it is open it admits one probe per ``open_seconds``, so a frozen server costs one deadline
    each time instead of one per query. A probe that never reports expires after ``PROBE_SECONDS``.
    """

    failures_max: int = FAILURES_MAX
    open_seconds: float = OPEN_SECONDS
    consecutive_failures: int = field(default=0, init=False)
    _open_until: float = field(default=0.0, init=False)

    def allows_request(self) -> bool:
        """Return True if a call may proceed. While open, the breaker admits one probe."""
        if self.consecutive_failures < self.failures_max:
            return True
        now = time.monotonic()
        if now < self._open_until:
            return False
        self._open_until = now + PROBE_SECONDS
        return True

    def record_success(self) -> None:
        self.consecutive_failures = 0

    def record_failure(self) -> None:
        self.consecutive_failures += 1
        if self.consecutive_failures >= self.failures_max:
            self._open_until = time.monotonic() + self.open_seconds
