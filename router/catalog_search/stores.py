"""The stores of a catalogue, opened read-only, and the reader over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from router.backends.base import Backend
from router.backends.point_search import PointSearch
from router.catalog.document import load_catalog
from router.catalog.errors import CatalogError
from router.catalog.model import Catalog
from router.catalog_search.postgres_search import PostgresFormSearch, open_read_only_pool
from router.catalog_search.reader import CatalogReader
from router.catalog_search.text_search import TextSearch
from router.catalog_search.value_source import ValueSource
from router.catalog_search.value_store import ValueStore
from router.embedding import Embedder
from router.errors import RouterSettingsError
from router.settings import Settings
from router.store_clients import StoreClients, open_point_search


@dataclass(frozen=True, slots=True)
class CatalogStores:
    """Clients, backends and the reader of a catalogue."""

    reader: CatalogReader
    backends: Sequence[Backend]
    pool: Any
    qdrant: PointSearch | None

    async def close(self) -> None:
        """Close the pool and the client."""
        await self.pool.close()
        if self.qdrant is not None:
            await self.qdrant.close()


async def open_catalog_stores(
    settings: Settings, stores: StoreClients, embedder: Embedder, redis: Redis
) -> CatalogStores | None:
    """Open the stores that the catalogue of ``settings`` names, and contact none of them.

    Return None where no catalogue is set.

    Raises:
        RouterSettingsError: the catalogue cannot be read, or names a store without an address.
    """
    if settings.catalog is None:
        return None
    try:
        catalog = load_catalog(settings.catalog)
    except CatalogError as error:
        raise RouterSettingsError(f"SLUICE_CATALOG: {error}") from error
    return await open_catalog(catalog, settings, stores, (embedder, redis))


async def open_catalog(
    catalog: Catalog,
    settings: Settings,
    stores: StoreClients,
    embedder_and_redis: tuple[Embedder, Redis],
) -> CatalogStores:
    """Open the stores that ``catalog`` names, and contact none of them.

    Raises:
        RouterSettingsError: it names a store without an address.
    """
    embedder, redis = embedder_and_redis
    dsn, url = settings.stores.postgres_dsn, settings.stores.qdrant_url
    if any(catalog.of_store("qdrant")) and not url:
        raise RouterSettingsError("SLUICE_CATALOG: it has collections: set QDRANT_URL (a server)")
    pool = await open_read_only_pool(dsn)
    qdrant = open_point_search(url) if url else None
    backends: list[Backend] = []
    if any(catalog.of_store("postgres")):
        backends.append(PostgresFormSearch(pool, catalog, "pgbouncer=true" in dsn))
    if any(catalog.of_store("graph")):
        from router.catalog_search.graph_search import GraphFormSearch  # noqa: PLC0415 - slow

        backends.append(GraphFormSearch(stores.neo4j, stores.neo4j_database, catalog))
    if qdrant is not None and any(catalog.of_store("qdrant")):
        backends.append(TextSearch(qdrant, catalog))
    source = ValueSource(pool, stores.neo4j, stores.neo4j_database)
    reader = CatalogReader(catalog, embedder, source, ValueStore(redis, settings.environment))
    return CatalogStores(reader, backends, pool, qdrant)
