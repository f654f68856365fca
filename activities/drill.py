"""Throw-away flags: the path that a rollback takes, tried out and timed where it hurts nobody.

Each is raised to 100 % first and must be seen so by every router process: a drill on a flag that
nobody had read would prove nothing.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from redis.asyncio import Redis

from activities.checklist_models import Found
from activities.errors import FlagRefusedError, FlagsUnreachableError
from activities.flag_writes import store_errors
from activities.models import ConfirmRequest, FlagReceipt, FlagTarget
from activities.ports import Flags
from router.flags.processes import ProcessView, live_processes, seen_by_processes

SEEN_SECONDS_MAX = 5.0
POLL_SECONDS = 0.02
ACTOR = "sluice checklist"


@dataclass
class Throwaway:
    """One flag that exists for the length of a check."""

    store: Flags
    environment: str
    name: str
    run_id: str
    sequence: int = 0

    async def write(
        self, reason: str, percentage: float = 0, *, delete: bool = False
    ) -> FlagReceipt:
        """Write as a rollout does: absolute, fenced, read back."""
        self.sequence += 1
        return await self.store.apply(
            FlagTarget(
                environment=self.environment,
                flag=self.name,
                run_id=self.run_id,
                sequence=self.sequence,
                actor=ACTOR,
                reason=reason,
                percentage=percentage,
                create=not delete,
                delete=delete,
            )
        )


@dataclass(frozen=True)
class Drill:
    """Flags and the router processes that read them."""

    store: Flags
    redis: Redis
    http: httpx.AsyncClient

    async def views(self, environment: str) -> list[ProcessView]:
        """What every live router process says of its flags now."""
        async with store_errors():
            processes = await live_processes(self.redis, environment)
        return await seen_by_processes(processes, self.http)

    async def raised(self, environment: str) -> Found:
        """Raise a flag and wait until every process serves it."""
        async with self._flag(environment, "sluice-check") as flag:
            return await self._raise(flag)

    async def rolled_back(self, environment: str, seconds_max: float) -> Found:
        """Raise a flag, then take it to 0 % and wait until no process serves it; timed."""
        async with self._flag(environment, "sluice-drill") as flag:
            if not (raised := await self._raise(flag)).passed:
                return raised
            began = time.monotonic()
            receipt = await flag.write("rollback drill", 0)
            request = ConfirmRequest(
                environment=environment, flag=flag.name, percentage=0, version=receipt.version
            )
            confirmation = await self.store.confirm(request)
            seconds = time.monotonic() - began
        text = f"100 % → 0 % in {seconds:.2f} s in {confirmation.processes} router processes"
        if confirmation.expired:
            return Found(passed=False, because=f"{text}; {confirmation.expired} gave no answer")
        if seconds > seconds_max:
            return Found(passed=False, because=f"{text}; the limit is {seconds_max:g} s")
        return Found(passed=True, because=text)

    async def _raise(self, flag: Throwaway) -> Found:
        began = time.monotonic()
        await flag.write("does a raise arrive?", 100)
        while True:
            views = await self.views(flag.environment)
            silent = [view.process.id for view in views if not serves(view, flag.name)]
            seconds = time.monotonic() - began
            if views and not silent:
                return Found(
                    passed=True, because=f"{len(views)} router processes saw it in {seconds:.2f} s"
                )
            if seconds > SEEN_SECONDS_MAX:
                return Found(passed=False, because=_unseen(silent))
            await asyncio.sleep(POLL_SECONDS)

    @asynccontextmanager
    async def _flag(self, environment: str, prefix: str) -> AsyncIterator[Throwaway]:
        run_id = uuid.uuid4().hex
        flag = Throwaway(self.store, environment, f"{prefix}-{run_id[:12]}", run_id)
        try:
            yield flag
        finally:
            await self._delete(flag)

    async def _delete(self, flag: Throwaway) -> None:
        try:
            await flag.write("the check is over", delete=True)
        except (FlagsUnreachableError, FlagRefusedError):
            return  # it serves nothing that any router asks for; `sluice flags` shows it


def serves(view: ProcessView, name: str) -> bool:
    """Whether the process itself says that it serves the flag to everybody."""
    flag = view.seen.flags.get(name) if view.seen is not None else None
    return flag is not None and flag.rollout_percentage == 100  # noqa: PLR2004  everybody


def _unseen(silent: list[str]) -> str:
    if not silent:
        return "no router process lives: start one with `sluice router`"
    return f"after {SEEN_SECONDS_MAX:g} s not seen by {', '.join(silent)}"
