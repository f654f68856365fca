"""Poll every live process for the flags it serves, and judge whether a rollback reached it.

A rollback is complete when every process shows it. A process that does not answer is not verified,
with one exception: once `LEASE_SECONDS_MAX` have passed since the write was acknowledged, it has
read the write or its lease has expired, and the treatment is off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import httpx
from pydantic import ValidationError

from sluice.flags.document import FlagState
from sluice.flags.redis.process_registry import ServiceProcess
from sluice.flags.service.readback import FlagsResponse

LEASE_SECONDS_MAX = 1.0
POLL_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True)
class ProcessPoll:
    """The answer of one process; `response` is None when there was none, and `error` says why."""

    process: ServiceProcess
    response: FlagsResponse | None
    error: str = ""

    def exposes_at_most(self, wanted: FlagState) -> bool | None:
        """Return False if it treats a user whom `wanted` does not; None without an answer."""
        if self.response is None:
            return None
        flag = self.response.flags.get(wanted.name)
        if flag is None or flag.killed or (self.response.stale and flag.on_stale == "off"):
            return True
        return (
            not wanted.killed
            and flag.rollout_percentage <= wanted.rollout_percentage
            and flag.whitelist <= wanted.whitelist
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


async def poll_processes(
    processes: Iterable[ServiceProcess], http: httpx.AsyncClient
) -> list[ProcessPoll]:
    """Request every process's `/flags` at once, one second at most each. Never raises."""
    return list(await asyncio.gather(*(_poll_process(process, http) for process in processes)))


def verify(
    polls: Iterable[ProcessPoll], wanted: FlagState, *, acknowledged_seconds_ago: float
) -> Verification:
    """Sort the processes by whether each treats at most the users of `wanted`.

    The lease counts only for flags that are off when stale: a held one needs the process's answer.
    """
    lease_expired = wanted.on_stale == "off" and acknowledged_seconds_ago >= LEASE_SECONDS_MAX
    outcome: dict[str, list[str]] = {"answer": [], "lease": [], "not_verified": [], "refuted": []}
    for poll in polls:
        obeys = poll.exposes_at_most(wanted)
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


async def _poll_process(process: ServiceProcess, http: httpx.AsyncClient) -> ProcessPoll:
    try:
        async with asyncio.timeout(POLL_TIMEOUT_SECONDS):
            response = await http.get(f"{process.url.rstrip('/')}/flags")
        response.raise_for_status()
        body = FlagsResponse.model_validate_json(response.content)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValidationError) as error:
        return ProcessPoll(process, None, f"{type(error).__name__}: {error}")
    if body.process_id != process.id:
        return ProcessPoll(process, None, f"process {body.process_id!r} answers at its address")
    return ProcessPoll(process, body)
