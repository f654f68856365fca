"""Clients of the Redis behind a URL: a server, or the master that Sentinels agree on.

`redis://`, `rediss://` and `unix://` are redis-py's. Redis has no address for a master behind
Sentinels; here it is

    redis+sentinel://[user:password@]host[:26379][,host[:26379]...]/service[/db]

(`rediss+sentinel://` with TLS to the master). `?sentinel_username=&sentinel_password=` are for the
Sentinels themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

SENTINEL_SUFFIX = "+sentinel"
SENTINEL_PORT = 26379
_FORM = "redis+sentinel://host:26379,host:26379/service/0"


@dataclass(frozen=True)
class SentinelUrl:
    """A master by its service name, and the Sentinels that know it."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    master_options: dict[str, Any]
    sentinel_options: dict[str, Any]


def connect(url: str, **options: Any) -> redis.asyncio.Redis:  # noqa: ANN401 - redis-py's
    """Return an asyncio client; `options` as for `Redis.from_url`. Raises ValueError."""
    address = parse_sentinel_url(url)
    if address is None:
        return redis.asyncio.Redis.from_url(url, **options)
    client = _connect_to_master(redis.asyncio.sentinel.Sentinel, _AsyncPool, address, options)
    return cast("redis.asyncio.Redis", client)


def connect_blocking(url: str, **options: Any) -> redis.Redis:  # noqa: ANN401 - redis-py's
    """Return a blocking client; `options` as for `Redis.from_url`. Raises ValueError."""
    address = parse_sentinel_url(url)
    if address is None:
        return redis.Redis.from_url(url, **options)
    return cast("redis.Redis", _connect_to_master(redis.sentinel.Sentinel, _Pool, address, options))


def parse_sentinel_url(url: str) -> SentinelUrl | None:
    """Parse a Sentinel URL; return None for a server's. Raises ValueError with the wrong part."""
    parts = urlsplit(url)
    if not parts.scheme.endswith(SENTINEL_SUFFIX):
        return None
    user, _, hosts = parts.netloc.rpartition("@")
    service, _, db = parts.path.strip("/").partition("/")
    if not hosts or not service or not (db or "0").isdigit():
        raise ValueError(f"write it as {_FORM}")
    asking = dict(parse_qsl(parts.query))
    if unknown := asking.keys() - {"sentinel_username", "sentinel_password"}:
        raise ValueError(f"unknown option {min(unknown)!r}: write it as {_FORM}")
    name, _, password = user.partition(":")
    master = {
        "db": int(db or 0),
        "username": unquote(name) or None,
        "password": unquote(password) or None,
        "ssl": parts.scheme.startswith("rediss"),
    }
    return SentinelUrl(
        sentinels=tuple(_parse_host(host) for host in hosts.split(",")),
        service=service,
        master_options=master,
        sentinel_options={key.removeprefix("sentinel_"): value for key, value in asking.items()},
    )


def _parse_host(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"{text!r} is not a host: write it as {_FORM}")
    return parts.hostname, parts.port or SENTINEL_PORT


def _connect_to_master(
    sentinel: Callable[..., Any], pool: type, address: SentinelUrl, options: dict[str, Any]
) -> object:
    names = ("socket_timeout", "socket_connect_timeout")
    limits = {name: options[name] for name in names if name in options}
    sentinel_client = sentinel(address.sentinels, sentinel_kwargs=address.sentinel_options | limits)
    return sentinel_client.master_for(
        address.service, connection_pool_class=pool, **address.master_options, **options
    )


class _Pool(redis.sentinel.SentinelConnectionPool):
    """Closes the connections to the Sentinels with its own."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        super().disconnect(inuse_connections)
        for sentinel in self.sentinel_manager.sentinels:
            sentinel.close()


class _AsyncPool(redis.asyncio.sentinel.SentinelConnectionPool):
    """Closes the connections to the Sentinels with its own."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()
