"""The registry in Redis of the processes that serve an environment's flags."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from sluice.flags.errors import FlagStoreError
from sluice.flags.keys import FlagKeys

HEARTBEAT_SECONDS = 1.0
LIVE_SECONDS = 5.0
DEREGISTER_SECONDS = 60.0
CLOCK_TOLERANCE_SECONDS = 1.0


@dataclass(frozen=True)
class ServiceProcess:
    """A process, the URL that answers `GET /flags` for it, and its last heartbeat.

    `reported_at` is Unix seconds of the store's clock. `problem` is set when its entry in the
    registry is not readable: it may be live, but nobody can ask it.
    """

    id: str
    url: str
    pid: int
    reported_at: float = 0.0
    problem: str = ""

    @classmethod
    def this_process(cls, url: str) -> ServiceProcess:
        """Return this process under a new id: a restarted process is another process."""
        identity = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        return cls(identity, url, os.getpid())


@dataclass(frozen=True)
class RegisteredProcesses:
    """The registry at one moment: processes with a heartbeat within 5 s, and silent ones."""

    live: tuple[ServiceProcess, ...] = ()
    silent: tuple[ServiceProcess, ...] = ()


async def heartbeat(redis: Redis, environment: str, process: ServiceProcess) -> None:
    """Register the process as live; call it every second. Raises FlagStoreError."""
    try:
        entry = registry_entry(process, _unix_seconds(await redis.time()))
        await cast("Any", redis.hset(FlagKeys(environment).processes, process.id, entry))
    except (RedisError, OSError) as error:
        raise FlagStoreError(f"Redis did not store the heartbeat: {error!r}") from error


def registry_entry(process: ServiceProcess, reported_at: float) -> str:
    """Return the JSON value of the process's field in the registry's hash."""
    entry = {"url": process.url, "pid": process.pid, "reported_at": reported_at}
    return json.dumps(entry)


async def live_processes(redis: Redis, environment: str) -> list[ServiceProcess]:
    """Return the processes with a heartbeat within 5 s whose entry is readable."""
    live = (await list_processes(redis, environment)).live
    return [process for process in live if not process.problem]


async def list_processes(redis: Redis, environment: str) -> RegisteredProcesses:
    """List the registry; delete processes without a heartbeat for 60 s, and unreadable entries.

    A live process writes its entry again within a second, so a foreign entry is listed once only.
    """
    key = FlagKeys(environment).processes
    try:
        now = _unix_seconds(await redis.time())
        entries = cast("Mapping[Any, Any]", await cast("Any", redis.hgetall(key)))
        processes = [_parse_entry(name, entry, now) for name, entry in entries.items()]
        expired_ids = [
            process.id for process in processes if now - process.reported_at > DEREGISTER_SECONDS
        ]
        unreadable = [process.id for process in processes if process.problem]
        if expired_ids or unreadable:
            with suppress(ResponseError):  # a Redis that refuses writes still lists
                await cast("Any", redis.hdel(key, *expired_ids, *unreadable))
    except (RedisError, OSError) as error:
        raise FlagStoreError(f"Redis did not list the processes: {error!r}") from error
    remaining = sorted(
        (process for process in processes if process.id not in expired_ids),
        key=lambda process: process.id,
    )
    return RegisteredProcesses(
        live=tuple(process for process in remaining if now - process.reported_at <= LIVE_SECONDS),
        silent=tuple(process for process in remaining if now - process.reported_at > LIVE_SECONDS),
    )


def _unix_seconds(time_reply: tuple[Any, Any]) -> float:
    seconds, micros = time_reply
    return int(seconds) + int(micros) / 1e6


def _parse_entry(name: object, entry: object, now: float) -> ServiceProcess:
    """Parse one entry; one that is not readable counts as a live process that nobody can ask."""
    identity = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    try:
        return _parse_process(identity, entry, now)
    except (ValueError, TypeError, KeyError) as error:
        problem = f"its entry in the registry is not readable: {error!r} in {entry!r}"
        return ServiceProcess(identity, "", 0, now, problem)


def _parse_process(identity: str, entry: object, now: float) -> ServiceProcess:
    """Parse one entry. Raises ValueError, TypeError or KeyError."""
    body = json.loads(cast("bytes", entry))
    url, reported_at = str(body["url"]), float(body["reported_at"])
    _require_plain_url(url)
    if not reported_at <= now + CLOCK_TOLERANCE_SECONDS:  # NaN is refused too
        raise ValueError(f"reported_at {reported_at} is in the future")
    return ServiceProcess(identity, url, int(body["pid"]), reported_at)


def _require_plain_url(url: str) -> None:
    """Refuse all but ``http://host:port``; `process_networks` decides which hosts are reached."""
    parts = urlsplit(url)
    is_plain = parts.scheme in ("http", "https") and parts.hostname
    if (
        not is_plain
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or parts.username
    ):
        raise ValueError(f"url {url!r} is not http://host:port")
