"""Clients of the stores: opened once per process from settings, closed together.

Opening a client contacts no server. An unreachable store degrades answers; it does not stop the
process.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import httpx
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis

from router.backends.point_search import ConnectionLimits, PointSearch
from router.backends.postgres_pool import PostgresPool, keep_session, split_pooler_option
from router.backends.vector_store import AbsentVectorStore, EmbeddedVectorStore, VectorStore
from router.errors import RouterSettingsError
from router.settings import StoreSettings
from sluice.flags.redis.urls import connect, parse_sentinel_url

if TYPE_CHECKING:
    from neo4j import AsyncDriver
    from qdrant_client import AsyncQdrantClient

CONNECT_SECONDS = 2
SEARCH_SECONDS_MAX, WRITE_SECONDS_MAX = 5, 60
"""A search gives up soon, and its answer is degraded. An ingestion may wait for a busy store."""
POOL_SIZE = 16
CACHE_CONNECTIONS_MAX = 256
"""More than the lookups and writes that a process lets run at once."""
KEEP_ALIVE_SECONDS = 2.0
"""Less than Qdrant's own 5: it must not close a connection just as a search goes out on it."""


@dataclass(frozen=True, slots=True)
class StoreClients:
    """One client per store; ``neo4j_database`` is the graph's database name."""

    neo4j: "AsyncDriver"
    neo4j_database: str
    postgres: PostgresPool
    vectors: VectorStore

    async def close(
        self, *, neo4j: bool = True, postgres: bool = True, vectors: bool = True
    ) -> None:
        """Close the named clients; a failure of one does not keep the others open."""
        closing = []
        if neo4j:
            closing.append(self.neo4j.close())
        if postgres:
            closing.append(_close_pool(self.postgres))
        if vectors:
            closing.append(self.vectors.close())
        await asyncio.gather(*closing, return_exceptions=True)


def open_neo4j(stores: StoreSettings) -> "AsyncDriver":
    """Return a driver that gives up within seconds instead of the default minute."""
    from neo4j import AsyncGraphDatabase  # noqa: PLC0415 - slow

    auth = (stores.neo4j_user, stores.neo4j_password) if stores.neo4j_password else None
    return AsyncGraphDatabase.driver(
        stores.neo4j_uri,
        auth=auth,
        connection_timeout=CONNECT_SECONDS,
        connection_acquisition_timeout=CONNECT_SECONDS,
        max_transaction_retry_time=1.0,
        max_connection_pool_size=POOL_SIZE,
        notifications_min_severity="OFF",
        telemetry_disabled=True,  # else one more message with each statement
    )


def open_vectors(
    stores: StoreSettings, *, required: bool = True, seconds_max: int = CONNECT_SECONDS
) -> VectorStore:
    """Return the client of a server if an address is set, else the embedded engine in a folder.

    ``seconds_max`` is for each request of the client.

    Raises:
        RouterSettingsError: neither QDRANT_URL nor QDRANT_PATH is set, and one is ``required``.
    """
    if stores.qdrant_url:
        from qdrant_client import AsyncQdrantClient  # noqa: PLC0415 - slow

        # By default the client opens a connection for each search when the server is local.
        limits = httpx.Limits(
            max_connections=POOL_SIZE,
            max_keepalive_connections=POOL_SIZE,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
        )
        client = AsyncQdrantClient(
            url=stores.qdrant_url,
            timeout=seconds_max,
            check_compatibility=False,
            limits=limits,
        )
        return server_vector_store(client, stores.qdrant_url)
    if stores.qdrant_path:
        return EmbeddedVectorStore(Path(stores.qdrant_path))
    if not required:
        return AbsentVectorStore()
    raise RouterSettingsError("set QDRANT_URL (a server) or QDRANT_PATH (a folder for the engine)")


def server_vector_store(client: "AsyncQdrantClient", url: str | None = None) -> VectorStore:
    """Return the vector store on a Qdrant server; with its ``url`` the searches go around ``client``."""
    from router.backends.server_vector_store import ServerVectorStore  # noqa: PLC0415 - slow

    return ServerVectorStore(client, searches=open_point_search(url) if url else None)


def open_point_search(url: str) -> PointSearch:
    """Return the searches of a Qdrant server, without contacting it yet."""
    return PointSearch(url, ConnectionLimits(POOL_SIZE, KEEP_ALIVE_SECONDS, CONNECT_SECONDS))


async def open_postgres(
    stores: StoreSettings, *, seconds_max: float = SEARCH_SECONDS_MAX
) -> PostgresPool:
    """Return a pool that connects on first use; ``seconds_max`` is for each statement.

    ``pgbouncer=true`` in the address is for a transaction pooler. It is our own parameter, which the
    server would refuse.
    """
    dsn, is_pooled = split_pooler_option(stores.postgres_dsn)
    pool: PostgresPool = await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=POOL_SIZE,
        timeout=CONNECT_SECONDS,
        command_timeout=seconds_max,
        reset=keep_session,
        # Behind a transaction pooler a prepared statement must not outlive its transaction.
        statement_cache_size=0 if is_pooled else 100,
    )
    return pool


async def open_stores(stores: StoreSettings, *, vectors_required: bool = True) -> StoreClients:
    """Return clients for searches in every store, without contacting a server yet."""
    vectors = open_vectors(stores, required=vectors_required)
    pool = await open_postgres(stores)
    return StoreClients(open_neo4j(stores), stores.neo4j_database, pool, vectors)


async def open_stores_for_writing(stores: StoreSettings) -> StoreClients:
    """Return clients that wait longer for an answer than a search does."""
    vectors = open_vectors(stores, seconds_max=WRITE_SECONDS_MAX)
    pool = await open_postgres(stores, seconds_max=WRITE_SECONDS_MAX)
    return StoreClients(open_neo4j(stores), stores.neo4j_database, pool, vectors)


def open_redis(url: str) -> "Redis":
    """Return the client for cache, flags and learning; its replies are bytes."""
    limits = {"socket_timeout": CONNECT_SECONDS, "socket_connect_timeout": CONNECT_SECONDS}
    if parse_sentinel_url(url):
        return connect(url, **limits)
    pool = BlockingConnectionPool.from_url(
        url, max_connections=POOL_SIZE * 2, timeout=CONNECT_SECONDS, **limits
    )
    return Redis.from_pool(pool)


def open_redis_clients(
    supplied: "Redis | None", stores: StoreSettings
) -> "tuple[Redis, Redis | None]":
    """Return the client of the flags, and the cache's own unless both are ``supplied``."""
    if supplied is not None:
        cache = _open_cache_redis(stores.redis_cache_url) if stores.redis_cache_url else None
        return supplied, cache
    cache = _open_cache_redis(stores.redis_cache_url or stores.redis_url)
    return open_redis(stores.redis_url), cache


def _open_cache_redis(url: str) -> "Redis":
    """Return the cache's client. Each use has a deadline, so the driver needs none.

    The driver starts a task for the deadline of each command that it sends. A pool in which nobody
    waits for a connection takes less time too.
    """
    if parse_sentinel_url(url):
        return open_redis(url)
    pool = ConnectionPool.from_url(
        url, max_connections=CACHE_CONNECTIONS_MAX, socket_connect_timeout=CONNECT_SECONDS
    )
    return Redis.from_pool(pool)


async def _close_pool(pool: PostgresPool) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(pool.close(), CONNECT_SECONDS)
