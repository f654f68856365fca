"""Which router processes live, and what each of them believes about the flags.

A rollback is done when every process shows it. One that cannot be asked is *not verified*, with
one exception that the lease gives: once `LEASE_SECONDS_MAX` have passed since the write was
acknowledged, it has either read the write or turned the treatment off.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice.flags.document import FlagState, OnStale
from sluice.flags.errors import FlagStoreError
from sluice.flags.keys import FlagKeys
from sluice.flags.view import FlagView

LIVE_SECONDS = 5.0
DEREGISTER_SECONDS = 60.0
LEASE_SECONDS_MAX = 1.0
POLL_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True)
class RouterProcess:
    """A process and when it last reported, in Unix seconds of the store's clock."""

    id: str
    url: str
    pid: int
    reported_at: float


class ServedFlag(BaseModel):
    """One flag as a process serves it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollout_percentage: float
    whitelist: frozenset[str] = frozenset()
    killed: bool = False
    on_stale: OnStale = "off"


class FlagsResponse(BaseModel):
    """The answer of a process's `GET /flags`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    process_id: str
    version: int
    lease_age_seconds: float | None
    stale: bool
    phases: dict[str, bool]
    flags: dict[str, ServedFlag]


@dataclass(frozen=True)
class ProcessPoll:
    """What one process answered; `seen` is None when it did not, and `error` says why."""

    process: RouterProcess
    response: FlagsResponse | None
    error: str = ""

    def exposes_at_most(self, wanted: FlagState) -> bool | None:
        """Whether it treats nobody whom `wanted` would not; None when it could not be asked."""
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
    """Which processes are known to obey (by their answer, by their lease), and which are not."""

    by_answer: Sequence[str] = field(default=())
    by_lease: Sequence[str] = field(default=())
    not_verified: Sequence[str] = field(default=())
    disobeying: Sequence[str] = field(default=())

    @property
    def is_verified(self) -> bool:
        """Whether every process is known to obey. No process at all obeys."""
        return not self.not_verified and not self.disobeying


async def heartbeat(redis: Redis, environment: str, process: RouterProcess) -> None:
    """Report a process as alive; call it every second. The store's clock replaces `process.at`."""
    try:
        entry = {"url": process.url, "pid": process.pid, "reported_at": await _store_time(redis)}
        key = FlagKeys(environment).processes
        await cast("Any", redis.hset(key, process.id, json.dumps(entry)))
    except (RedisError, OSError) as error:
        raise FlagStoreError(f"Redis did not take the report of a process: {error!r}") from error


async def live_processes(redis: Redis, environment: str) -> list[RouterProcess]:
    """Return the processes that reported within 5 s; those silent for 60 s are forgotten."""
    key = FlagKeys(environment).processes
    try:
        now = await _store_time(redis)
        entries = cast("Mapping[Any, Any]", await cast("Any", redis.hgetall(key)))
        processes = [_parse_process(name, entry) for name, entry in entries.items()]
        gone = [each.id for each in processes if now - each.reported_at > DEREGISTER_SECONDS]
        if gone:
            await cast("Any", redis.hdel(key, *gone))
    except (RedisError, OSError) as error:
        raise FlagStoreError(f"Redis did not list the processes: {error!r}") from error
    live = [each for each in processes if now - each.reported_at <= LIVE_SECONDS]
    return sorted(live, key=lambda each: each.id)


async def poll_processes(
    processes: Iterable[RouterProcess], http: httpx.AsyncClient
) -> list[ProcessPoll]:
    """Ask every process for its `/flags` at once, one second at most each. Never raises."""
    return list(await asyncio.gather(*(_poll_process(process, http) for process in processes)))


def verify(
    polls: Iterable[ProcessPoll], wanted: FlagState, *, acknowledged_seconds_ago: float
) -> Verification:
    """Say whether every process treats at most whom `wanted` does.

    The lease speaks only for flags that are off when stale: a held one must answer itself.
    """
    by_lease_now = wanted.on_stale == "off" and acknowledged_seconds_ago >= LEASE_SECONDS_MAX
    outcome: dict[str, list[str]] = {"answer": [], "lease": [], "not_verified": [], "refuted": []}
    for view in polls:
        obeys = view.exposes_at_most(wanted)
        if obeys is None:
            outcome["lease" if by_lease_now else "not_verified"].append(view.process.id)
        else:
            outcome["answer" if obeys else "refuted"].append(view.process.id)
    return Verification(
        by_answer=tuple(outcome["answer"]),
        by_lease=tuple(outcome["lease"]),
        not_verified=tuple(outcome["not_verified"]),
        disobeying=tuple(outcome["refuted"]),
    )


def flags_response(process_id: str, view: FlagView) -> dict[str, Any]:
    """Return the JSON body of `GET /flags` for this process (ARCHITECTURE.md, 'HTTP')."""
    snapshot = view.snapshot()
    age = view.lease_age_seconds()
    return {
        "process_id": process_id,
        "version": snapshot.version,
        "lease_age_seconds": age if math.isfinite(age) else None,
        "stale": view.stale,
        "phases": dict(view.phases()),
        "flags": {name: _flag_response(flag) for name, flag in snapshot.flags.items()},
    }


def _flag_response(flag: FlagState) -> dict[str, Any]:
    # A flag nobody confirmed after a loss is served as stale, so it is told as exposing nobody.
    exposes = flag.confirmed or flag.on_stale == "hold"
    return {
        "rollout_percentage": flag.rollout_percentage if exposes else 0.0,
        "whitelist": sorted(flag.whitelist) if exposes else [],
        "killed": flag.killed,
        "on_stale": flag.on_stale,
    }


async def _poll_process(process: RouterProcess, http: httpx.AsyncClient) -> ProcessPoll:
    try:
        async with asyncio.timeout(POLL_TIMEOUT_SECONDS):
            response = await http.get(f"{process.url.rstrip('/')}/flags")
        response.raise_for_status()
        seen = FlagsResponse.model_validate_json(response.content)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValidationError) as error:
        return ProcessPoll(process, None, f"{type(error).__name__}: {error}")
    if seen.process_id != process.id:
        return ProcessPoll(process, None, f"process {seen.process_id!r} answers at its address")
    return ProcessPoll(process, seen)


async def _store_time(redis: Redis) -> float:
    seconds, micros = await redis.time()
    return int(seconds) + int(micros) / 1e6


def _parse_process(name: object, entry: object) -> RouterProcess:
    identity = name.decode() if isinstance(name, bytes) else str(name)
    try:
        body = json.loads(cast("bytes", entry))
        return RouterProcess(
            identity, str(body["url"]), int(body["pid"]), float(body["reported_at"])
        )
    except (ValueError, TypeError, KeyError):
        raise FlagStoreError(
            f"the entry of process {identity!r} is not readable: {entry!r}"
        ) from None
