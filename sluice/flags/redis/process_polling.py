"""Poll every live process for the flags it serves, and judge whether a rollback reached it.

A rollback is complete when every process shows it. A process that does not answer is not verified,
with one exception: once `LEASE_SECONDS_MAX` have passed since the write was acknowledged, it has
read the write or its lease has expired, and the treatment is off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from sluice.flags.document import FlagState
from sluice.flags.redis.process_registry import ServiceProcess
from sluice.flags.redis.process_request import ProcessRequestError, fetch_flags
from sluice.flags.service.readback import FlagsResponse

LEASE_SECONDS_MAX = 1.0
POLL_TIMEOUT_SECONDS = 1.0
REQUESTS_MAX = 100


@dataclass(frozen=True)
class ProcessPoll:
    """The answer of one process; `response` is None when there was none, and `error` says why."""

    process: ServiceProcess
    response: FlagsResponse | None
    error: str = ""

    def exposes_at_most(self, permitted_flag: FlagState) -> bool | None:
        """Return False if it treats a user whom `permitted_flag` does not; None without an answer."""
        if self.response is None:
            return None
        flag = self.response.flags.get(permitted_flag.name)
        if flag is None or flag.killed or (self.response.stale and flag.on_stale == "off"):
            return True
        return (
            not permitted_flag.killed
            and flag.rollout_percentage <= permitted_flag.rollout_percentage
            and flag.whitelist <= permitted_flag.whitelist
        )


@dataclass(frozen=True)
class Verification:
    """Process ids by outcome: verified by answer or by lease, not verified, disobeying."""

    by_answer: Sequence[str] = field(default=())
    by_lease: Sequence[str] = field(default=())
    not_verified: Sequence[str] = field(default=())
    disobeying: Sequence[str] = field(default=())

    @property
    def is_verified(self) -> bool:
        """True when no process may exceed the flag; also when no process is live."""
        return not self.not_verified and not self.disobeying


async def poll_processes(processes: Iterable[ServiceProcess]) -> list[ProcessPoll]:
    """Request every process's `/flags`, one second at most each. Never raises.

    The second of a process begins with its request, so that many processes do not count as silent
    because this one is busy.
    """
    slots = asyncio.Semaphore(REQUESTS_MAX)
    polls = (_poll_process(process, slots) for process in processes)
    return list(await asyncio.gather(*polls))


class ReadBack:
    """The read-back of one write. A process that was verified is not asked again."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._wanted: FlagState | None = None
        self.by_answer: set[str] = set()
        self.by_lease: set[str] = set()

    @property
    def seconds(self) -> float:
        """Seconds since the write was acknowledged."""
        return time.monotonic() - self._began

    async def poll(self, processes: Iterable[ServiceProcess], permitted_flag: FlagState) -> bool:
        """Poll the processes that are not verified yet; return True when all are.

        Another value of the flag than in the last poll begins again.
        """
        if permitted_flag != self._wanted:
            self._wanted = permitted_flag
            self.by_answer.clear()
            self.by_lease.clear()
        verified = self.by_answer | self.by_lease
        polls = await poll_processes(process for process in processes if process.id not in verified)
        result = verify(polls, permitted_flag, acknowledged_seconds_ago=self.seconds)
        self.by_answer.update(result.by_answer)
        self.by_lease.update(result.by_lease)
        return result.is_verified


def verify(
    polls: Iterable[ProcessPoll], permitted_flag: FlagState, *, acknowledged_seconds_ago: float
) -> Verification:
    """Sort the processes by whether each treats at most the users of `permitted_flag`.

    The lease counts only for flags that are off when stale: a held one needs the process's answer.
    """
    lease_expired = (
        permitted_flag.on_stale == "off" and acknowledged_seconds_ago >= LEASE_SECONDS_MAX
    )
    outcome: dict[str, list[str]] = {"answer": [], "lease": [], "not_verified": [], "refuted": []}
    for poll in polls:
        obeys = poll.exposes_at_most(permitted_flag)
        if obeys is None:
            outcome["lease" if lease_expired else "not_verified"].append(poll.process.id)
        else:
            outcome["answer" if obeys else "refuted"].append(poll.process.id)
    return Verification(
        by_answer=tuple(outcome["answer"]),
        by_lease=tuple(outcome["lease"]),
        not_verified=tuple(outcome["not_verified"]),
        disobeying=tuple(outcome["refuted"]),
    )


async def _poll_process(process: ServiceProcess, slots: asyncio.Semaphore) -> ProcessPoll:
    if process.problem:
        return ProcessPoll(process, None, process.problem)
    try:
        async with slots, asyncio.timeout(POLL_TIMEOUT_SECONDS):
            body = FlagsResponse.model_validate_json(await fetch_flags(process.url))
    except (ProcessRequestError, TimeoutError, ValidationError) as error:
        return ProcessPoll(process, None, f"{type(error).__name__}: {error}")
    if body.process_id != process.id:
        return ProcessPoll(process, None, f"process {body.process_id!r} answers at its address")
    return ProcessPoll(process, body)
