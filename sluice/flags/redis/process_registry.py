"""The registry in Redis of the processes that serve an environment's flags."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice.flags.errors import FlagStoreError
from sluice.flags.keys import FlagKeys

HEARTBEAT_SECONDS = 1.0
LIVE_SECONDS = 5.0
DEREGISTER_SECONDS = 60.0


@dataclass(frozen=True)
class ServiceProcess:
    """A process, the URL that answers `GET /flags` for it, and its last heartbeat.

    `reported_at` is Unix seconds of the store's clock.
    """

    id: str
    url: str
    pid: int
    reported_at: float = 0.0

    @classmethod
    def this_process(cls, url: str) -> ServiceProcess:
        """Return this process under a new id: a restarted process is another process."""
        identity = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        return cls(identity, url, os.getpid())


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
    """Return the processes with a heartbeat within 5 s; delete those without one for 60 s."""
    key = FlagKeys(environment).processes
    try:
        now = _unix_seconds(await redis.time())
        entries = cast("Mapping[Any, Any]", await cast("Any", redis.hgetall(key)))
        processes = [_parse_process(name, entry) for name, entry in entries.items()]
        gone = [each.id for each in processes if now - each.reported_at > DEREGISTER_SECONDS]
        if gone:
            await cast("Any", redis.hdel(key, *gone))
    except (RedisError, OSError) as error:
        raise FlagStoreError(f"Redis did not list the processes: {error!r}") from error
    live = [each for each in processes if now - each.reported_at <= LIVE_SECONDS]
    return sorted(live, key=lambda each: each.id)


def _unix_seconds(time_reply: tuple[Any, Any]) -> float:
    seconds, micros = time_reply
    return int(seconds) + int(micros) / 1e6


def _parse_process(name: object, entry: object) -> ServiceProcess:
    identity = name.decode() if isinstance(name, bytes) else str(name)
    try:
        body = json.loads(cast("bytes", entry))
        return ServiceProcess(
            identity, str(body["url"]), int(body["pid"]), float(body["reported_at"])
        )
    except (ValueError, TypeError, KeyError):
        raise FlagStoreError(
            f"the entry of process {identity!r} is not readable: {entry!r}"
        ) from None
