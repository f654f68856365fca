"""A circuit breaker: something that keeps failing is left alone for a while, then tried by one."""

import time
from dataclasses import dataclass, field

FAILURES_MAX = 5
OPEN_SECONDS = 2.0
TRIAL_SECONDS = 10.0


@dataclass(slots=True)
class Breaker:
    """After ``failures_max`` failures in a row ``admits`` refuses for ``open_seconds``.

    Then one caller may try while the others are still refused, so a frozen server costs one
    deadline every ``open_seconds`` and not one for each query. A trial that never reports (it was
    cancelled) is forgotten after ten seconds.
    """

    failures_max: int = FAILURES_MAX
    open_seconds: float = OPEN_SECONDS
    in_a_row: int = field(default=0, init=False)
    _closed_until: float = field(default=0.0, init=False)

    def admits(self) -> bool:
        """Whether to try now; a True while it is open is the one trial."""
        if self.in_a_row < self.failures_max:
            return True
        now = time.monotonic()
        if now < self._closed_until:
            return False
        self._closed_until = now + TRIAL_SECONDS
        return True

    def succeeded(self) -> None:
        self.in_a_row = 0

    def failed(self) -> None:
        self.in_a_row += 1
        if self.in_a_row >= self.failures_max:
            self._closed_until = time.monotonic() + self.open_seconds
