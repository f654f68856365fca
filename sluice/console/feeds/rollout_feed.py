"""One poll for each rollout that anybody looks at, shared by all its open pages."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog

from activities.contract.models import WatchCheckpoint
from sluice.cli.errors import CliError, Exit
from sluice.console.feeds.check_history import RecordedHistory
from sluice.console.feeds.rollout_source import RolloutSource
from sluice.rollout.engine.state import State

POLL_SECONDS = 0.5
WATCH_VALID_FOR = timedelta(seconds=3)
REMEMBERED_MAX = 200
TEMPORAL_AWAY = "Temporal or its worker does not answer: this page shows the state as last read."
_logger = structlog.get_logger(__name__)
LoadHistory = Callable[[State], Awaitable[RecordedHistory]]


@dataclass(frozen=True, slots=True)
class RolloutSnapshot:
    """A rollout as last read. ``problems`` are set while a store is away.

    ``watch`` is the last heartbeat of the red flags' watch, read every few seconds.
    """

    state: State
    waiting_for: str
    waiting_until: datetime | None
    history: RecordedHistory
    read_at: datetime
    problems: tuple[str, ...] = ()
    watch: WatchCheckpoint | None = None
    watch_read_at: datetime | None = None


@dataclass(slots=True)
class _Channel:
    """The poll of one rollout and the pages that wait for its next change."""

    task: asyncio.Task[None] | None = None
    subscribers: int = 0
    revision: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def publish(self) -> None:
        async with self.changed:
            self.revision += 1
            self.changed.notify_all()

    async def wait_beyond(self, revision: int) -> int:
        """Wait for a change after ``revision``; return the newest revision."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.revision != revision)
            return self.revision


class RolloutFeed:
    """Snapshots of rollouts; keeps the last one of each for when Temporal is away."""

    def __init__(self, source: RolloutSource, load_history: LoadHistory) -> None:
        self._source = source
        self._load_history = load_history
        self._last: dict[str, RolloutSnapshot] = {}
        self._channels: dict[str, _Channel] = {}

    async def read(self, flag: str) -> RolloutSnapshot:
        """Return the rollout as it is now, or as last read while Temporal is away.

        Raises:
            CliError: NOT_FOUND, or nothing was ever read.
        """
        try:
            return await self._refresh(flag)
        except CliError as error:
            last = self._last.get(flag)
            if error.code is not Exit.UNREACHABLE or last is None:
                raise
            _logger.warning("temporal away", error=str(error))
            return self._mark_stale(flag, last)

    async def follow(self, flag: str) -> AsyncGenerator[RolloutSnapshot]:
        """Yield the rollout now and after each change; polls only while somebody follows."""
        channel = self._channels.setdefault(flag, _Channel())
        channel.subscribers += 1
        if channel.task is None:
            channel.task = asyncio.create_task(self._poll(flag, channel))
        try:
            revision = channel.revision
            yield await self.read(flag)
            while True:
                revision = await channel.wait_beyond(revision)
                yield self._last[flag]
        finally:
            channel.subscribers -= 1
            if not channel.subscribers and channel.task is not None:
                channel.task.cancel()
                self._channels.pop(flag, None)

    async def _poll(self, flag: str, channel: _Channel) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            before = self._last.get(flag)
            try:
                after = await self.read(flag)
            except CliError as error:
                _logger.warning("rollout unreadable", flag=flag, error=str(error))
                continue
            if before is None or _differ(before, after):
                await channel.publish()

    async def _refresh(self, flag: str) -> RolloutSnapshot:
        state = await self._source.fetch_state(flag)
        waiting_for, waiting_until = await self._source.fetch_waiting(flag)
        last = self._last.get(flag)
        history = (
            last.history if last and _same_history(last, state) else await self._load_history(state)
        )
        problems = (history.problem,) if history.problem else ()
        watch, watch_read_at = await self._read_watch(flag, last)
        snapshot = RolloutSnapshot(
            state=state,
            waiting_for=waiting_for,
            waiting_until=waiting_until,
            history=history,
            read_at=datetime.now(UTC),
            problems=problems,
            watch=watch,
            watch_read_at=watch_read_at,
        )
        self._remember(flag, snapshot)
        return snapshot

    async def _read_watch(
        self, flag: str, last: RolloutSnapshot | None
    ) -> tuple[WatchCheckpoint | None, datetime]:
        now = datetime.now(UTC)
        if last and last.watch_read_at and now - last.watch_read_at < WATCH_VALID_FOR:
            return last.watch, last.watch_read_at
        return await self._source.fetch_watch(flag), now

    def _mark_stale(self, flag: str, last: RolloutSnapshot) -> RolloutSnapshot:
        if TEMPORAL_AWAY not in last.problems:
            last = replace(last, problems=(TEMPORAL_AWAY, *last.problems))
            self._remember(flag, last)
        return last

    def _remember(self, flag: str, snapshot: RolloutSnapshot) -> None:
        self._last.pop(flag, None)
        self._last[flag] = snapshot
        if len(self._last) > REMEMBERED_MAX:
            del self._last[next(iter(self._last))]


def _same_history(last: RolloutSnapshot, state: State) -> bool:
    same_check = last.state.latest_check == state.latest_check
    same_run = last.state.run_id == state.run_id
    return same_run and same_check and last.state.timeline == state.timeline and not last.problems


def _differ(before: RolloutSnapshot, after: RolloutSnapshot) -> bool:
    if before is after:
        return False
    return (
        before.state,
        before.waiting_for,
        before.waiting_until,
        before.problems,
        before.watch,
    ) != (after.state, after.waiting_for, after.waiting_until, after.problems, after.watch)
