"""A circuit breaker: something that keeps failing is left alone for a while, then tried by one."""

import time
from dataclasses import dataclass, field

FAILURES_MAX = 5
OPEN_SECONDS = 2.0
PROBE_SECONDS = 10.0


@dataclass(slots=True)
class CircuitBreaker:
    """After ``failures_max`` failures in a row ``admits`` refuses for ``open_seconds``.

    Then one caller may try while the others are still refused, so a frozen server costs one
    deadline every ``open_seconds`` and not one for each query. A trial that never reports (it was
    cancelled) is forgotten after ten seconds.
    """

    failures_max: int = FAILURES_MAX
    open_seconds: float = OPEN_SECONDS
    consecutive_failures: int = field(default=0, init=False)
    _open_until: float = field(default=0.0, init=False)

    def allows_request(self) -> bool:
        """Whether to try now; a True while it is open is the one trial."""
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
