"""The time of Temporal's server, so that a worker's wrong clock never moves a measurement."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class ServerClock:
    """The server's time at the start of an activity, and the seconds that have passed since."""

    started_at: datetime
    monotonic: Callable[[], float] = time.monotonic
    _start_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_start_seconds", self.monotonic())

    def __call__(self) -> datetime:
        """Return the server's time now (UTC)."""
        return self.started_at + timedelta(seconds=self.monotonic() - self._start_seconds)
