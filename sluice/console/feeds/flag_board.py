"""Flags as the store has them, and as each router process serves them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from sluice.cli.clients.flags import flag_client
from sluice.cli.context import Context
from sluice.cli.errors import CliError
from sluice.flags import FlagState, WriteMetadata
from sluice.flags.redis.process_polling import ProcessPoll
from sluice.rollout.printable import escape_line

REDIS_AWAY = "The flag store (Redis) does not answer: this page shows the flags as last read."
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FlagBoardView:
    """Flags and processes as last read. ``problem`` is set while Redis is away."""

    flags: Sequence[FlagState]
    processes: Sequence[ProcessPoll]
    read_at: datetime
    problem: str = ""


class FlagBoard:
    """Reads the flags of one environment, and sets their kill latch."""

    def __init__(self, context: Context, now: Callable[[], datetime]) -> None:
        self._context = context
        self._now = now
        self._last: FlagBoardView | None = None

    async def read(self) -> FlagBoardView:
        """Return flags and processes; the last ones while Redis is away, or none if never read."""
        try:
            async with flag_client(self._context) as client:
                flags = await client.flags.list_flags()
                self._last = FlagBoardView(flags, await client.poll_processes(), self._now())
        except CliError as error:
            _logger.warning("redis away", error=str(error))
            last = self._last or FlagBoardView((), (), self._now())
            return FlagBoardView(last.flags, last.processes, last.read_at, REDIS_AWAY)
        return self._last

    async def kill(self, flag: str, actor: str, reason: str) -> None:
        """Set a flag's kill latch: 0 % for everyone until a person clears it.

        Raises:
            CliError: no such flag, or Redis is away.
        """
        async with flag_client(self._context) as client:
            metadata = WriteMetadata.shortened(actor, escape_line(reason))
            await client.flags.kill(flag, metadata=metadata)
