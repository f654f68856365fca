"""The list of rollouts, read at most once every two seconds however many pages are open."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from sluice.cli.errors import CliError
from sluice.console.feeds.rollout_feed import TEMPORAL_AWAY
from sluice.console.feeds.rollout_source import RolloutRow, RolloutSource

VALID_FOR = timedelta(seconds=2)
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RolloutRows:
    """Rows, newest first. ``problem`` is set while Temporal is away."""

    rows: tuple[RolloutRow, ...]
    read_at: datetime
    problem: str = ""


class RolloutList:
    """Rows as last read."""

    def __init__(self, source: RolloutSource, now: Callable[[], datetime]) -> None:
        self._source = source
        self._now = now
        self._lock = asyncio.Lock()
        self._last: RolloutRows | None = None

    async def read(self) -> RolloutRows:
        """Return the rows; the last ones while Temporal is away, or none if never read."""
        async with self._lock:
            last = self._last
            if last and not last.problem and self._now() - last.read_at < VALID_FOR:
                return last
            try:
                self._last = RolloutRows(tuple(await self._source.fetch_rows()), self._now())
            except CliError as error:
                _logger.warning("temporal away", error=str(error))
                rows, read_at = (last.rows, last.read_at) if last else ((), self._now())
                self._last = RolloutRows(rows, read_at, TEMPORAL_AWAY)
            return self._last


def filter_rows(rows: tuple[RolloutRow, ...], search: str, status: str) -> list[RolloutRow]:
    """Keep the rows whose flag or step holds the text, and whose status is the given one."""
    text = search.strip().lower()
    return [
        row
        for row in rows
        if (not text or text in f"{row.flag} {row.step}".lower())
        and (not status or row.status == status)
    ]
