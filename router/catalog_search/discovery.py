"""Discovery over the addresses of the environment, each store in a session that only reads."""

from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import httpx

from router.catalog.discovery import StoreParts, merge_catalogs
from router.catalog.model import Catalog
from router.catalog.postgres_discovery import discover_postgres
from router.catalog.qdrant_discovery import discover_qdrant
from router.settings import StoreSettings
from router.store_clients import open_neo4j

DISCOVERY_SECONDS = 60
QDRANT_SECONDS = 2
Progress = Callable[[str, str], None]
"""Called with a store's name and what came of it."""


async def discover(stores: StoreSettings, progress: Progress) -> Catalog:
    """Read every store that answers; one that does not is reported and left out."""
    parts = [
        await _discover_or_report("postgres", _postgres(stores), progress),
        await _discover_or_report("graph", _graph(stores), progress),
        await _discover_or_report("qdrant", _qdrant(stores), progress),
    ]
    return merge_catalogs(part for part in parts if part is not None)


async def _discover_or_report(
    name: str, work: Coroutine[Any, Any, StoreParts], progress: Progress
) -> StoreParts | None:
    try:
        kinds, links = await work
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, the other stores are read
        progress(name, f"left out: {type(error).__name__}: {error}")
        return None
    progress(name, f"{len(kinds)} kinds")
    return kinds, tuple(links)


async def _postgres(stores: StoreSettings) -> StoreParts:
    connection = await asyncpg.connect(stores.postgres_dsn, timeout=5)
    try:
        async with connection.transaction(readonly=True):
            await connection.execute(f"SET LOCAL statement_timeout = '{DISCOVERY_SECONDS}s'")
            discovery = await discover_postgres(connection)
    finally:
        await connection.close()
    return discovery.kinds, discovery.links


async def _graph(stores: StoreSettings) -> StoreParts:
    from neo4j import READ_ACCESS  # noqa: PLC0415 - slow

    from router.catalog.graph_discovery import discover_graph  # noqa: PLC0415 - slow

    driver = open_neo4j(stores)
    try:
        async with driver.session(
            database=stores.neo4j_database, default_access_mode=READ_ACCESS
        ) as session:
            discovery = await discover_graph(session)
    finally:
        await driver.close()
    return discovery.kinds, discovery.links


async def _qdrant(stores: StoreSettings) -> StoreParts:
    if not stores.qdrant_url:
        raise httpx.UnsupportedProtocol("QDRANT_URL is not set")
    async with httpx.AsyncClient(
        base_url=stores.qdrant_url, timeout=QDRANT_SECONDS, trust_env=False
    ) as client:
        return await discover_qdrant(client), ()
