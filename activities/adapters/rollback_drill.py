"""A rollback on a throw-away flag, timed.

The flag is raised to 100 % first, and every router process must serve it so. A drill on a flag that
no process had read would prove nothing.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from activities.adapters.stored_flags import store_errors
from activities.contract.errors import FlagRefusedError, FlagsUnreachableError
from activities.contract.models import ConfirmRequest, ProbeResult
from activities.contract.ports import Flags
from sluice.flags.redis.process_polling import ProcessPoll, poll_processes
from sluice.flags.redis.process_registry import list_processes
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.units import format_count

SEEN_SECONDS_MAX = 5.0
POLL_SECONDS = 0.02
ACTOR = "sluice checklist"


def no_process_message(environment: str) -> str:
    """Return the reason why a check finds no process, with the ways to announce one."""
    return (
        f"no process is announced in environment {environment}: start one with `sluice router` or "
        "`sluice flags serve`, or add SluiceMiddleware or announce() to your service (docs/flags.md)"
    )


@dataclass
class DrillFlag:
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
            FlagWrite(
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
class RollbackDrill:
    """Flags and the router processes that read them."""

    store: Flags
    redis: Redis

    async def list_process_views(self, environment: str) -> list[ProcessPoll]:
        """Return the flags that every live router process reports now."""
        async with store_errors():
            processes = await list_processes(self.redis, environment)
        return await poll_processes(processes.live)

    async def check_propagation(self, environment: str) -> ProbeResult:
        """Raise a flag and wait until every process serves it."""
        async with self._drill_flag(environment, "sluice-check") as flag:
            return await self._raise_to_full(flag)

    async def run(self, environment: str, seconds_max: float) -> ProbeResult:
        """Raise a flag, then take it to 0 % and wait until no process serves it; timed."""
        async with self._drill_flag(environment, "sluice-drill") as flag:
            if not (raised := await self._raise_to_full(flag)).passed:
                return raised
            began = time.monotonic()
            receipt = await flag.write("rollback drill", 0)
            request = ConfirmRequest(
                environment=environment, flag=flag.name, percentage=0, version=receipt.version
            )
            confirmation = await self.store.confirm(request)
            seconds = time.monotonic() - began
        processes = format_count(confirmation.processes, "process")
        text = f"100 % → 0 % in {seconds:.2f} s in {processes}"
        if confirmation.expired:
            return ProbeResult(
                passed=False, reason=f"{text}; {confirmation.expired} gave no answer"
            )
        if seconds > seconds_max:
            return ProbeResult(passed=False, reason=f"{text}; the limit is {seconds_max:g} s")
        return ProbeResult(passed=True, reason=text)

    async def _raise_to_full(self, flag: DrillFlag) -> ProbeResult:
        began = time.monotonic()
        await flag.write("does a raise arrive?", 100)
        while True:
            views = await self.list_process_views(flag.environment)
            silent = [view.process.id for view in views if not serves_everyone(view, flag.name)]
            seconds = time.monotonic() - began
            if views and not silent:
                return ProbeResult(
                    passed=True,
                    reason=f"{format_count(len(views), 'process')} saw it in {seconds:.2f} s",
                )
            if seconds > SEEN_SECONDS_MAX:
                return ProbeResult(
                    passed=False,
                    reason=_unseen_message(silent)
                    if views
                    else no_process_message(flag.environment),
                )
            await asyncio.sleep(POLL_SECONDS)

    @asynccontextmanager
    async def _drill_flag(self, environment: str, prefix: str) -> AsyncIterator[DrillFlag]:
        run_id = uuid.uuid4().hex
        flag = DrillFlag(self.store, environment, f"{prefix}-{run_id[:12]}", run_id)
        try:
            yield flag
        finally:
            await self._delete(flag)

    async def _delete(self, flag: DrillFlag) -> None:
        try:
            await flag.write("the check is over", delete=True)
        except (FlagsUnreachableError, FlagRefusedError):
            return  # it serves nothing that any router asks for; `sluice flags` shows it


def serves_everyone(view: ProcessPoll, name: str) -> bool:
    """Return True if the process itself reports that it serves the flag to everybody."""
    flag = view.response.flags.get(name) if view.response is not None else None
    return flag is not None and flag.rollout_percentage == 100  # noqa: PLR2004  everybody


def _unseen_message(silent: list[str]) -> str:
    return f"after {SEEN_SECONDS_MAX:g} s not seen by {', '.join(silent)}"
