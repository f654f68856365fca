"""The time of Temporal's server, so that a worker's wrong clock never moves a measurement."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

GRID = timedelta(milliseconds=250)
"""Readings at the same time can share one request: a wider grid shares more, and reads older samples."""


@dataclass(frozen=True)
class ServerClock:
    """The server's time at the start of an activity, and the seconds that have passed since."""

    started_at: datetime
    monotonic: Callable[[], float] = time.monotonic
    _start_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_start_seconds", self.monotonic())

    def __call__(self) -> datetime:
        """Return the server's time now (UTC), down to a multiple of ``GRID``."""
        now = self.started_at + timedelta(seconds=self.monotonic() - self._start_seconds)
        return now - (now - datetime.min.replace(tzinfo=UTC)) % GRID
