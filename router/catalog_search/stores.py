"""The stores of a catalogue, opened read-only, and the reader over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

from router.backends.base import Backend
from router.backends.point_search import PointSearch
from router.catalog.document import load_catalog
from router.catalog.errors import CatalogError
from router.catalog.model import Catalog
from router.catalog_search.postgres_search import PostgresFormSearch, open_read_only_pool
from router.catalog_search.reader import CatalogReader
from router.catalog_search.text_search import EMBEDDING_SECONDS, TextSearch
from router.catalog_search.value_source import ValueSource
from router.catalog_search.value_store import ValueStore
from router.embedding import Embedder, OpenAIEmbedder
from router.errors import RouterSettingsError
from router.llm import LLMSettings
from router.settings import Settings
from router.store_clients import StoreClients, open_point_search

if TYPE_CHECKING:
    import openai

OPENAI, OPENAI_DIMENSION = "openai:", 1536


@dataclass(frozen=True, slots=True)
class CatalogStores:
    """Clients, backends and the reader of a catalogue."""

    reader: CatalogReader
    backends: Sequence[Backend]
    pool: Any
    qdrant: PointSearch | None
    openai: "openai.OpenAI | None" = None

    async def close(self) -> None:
        """Close the pool and the clients."""
        await self.pool.close()
        if self.openai is not None:
            self.openai.close()
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
    openai_client = open_openai(catalog, settings.llm)
    backends: list[Backend] = []
    if any(catalog.of_store("postgres")):
        backends.append(PostgresFormSearch(pool, catalog, "pgbouncer=true" in dsn))
    if any(catalog.of_store("graph")):
        from router.catalog_search.graph_search import GraphFormSearch  # noqa: PLC0415 - slow

        backends.append(GraphFormSearch(stores.neo4j, stores.neo4j_database, catalog))
    if qdrant is not None and any(catalog.of_store("qdrant")):
        embedders = collection_embedders(catalog, openai_client) if openai_client else {}
        backends.append(TextSearch(qdrant, catalog, embedders))
    source = ValueSource(pool, stores.neo4j, stores.neo4j_database)
    reader = CatalogReader(catalog, embedder, source, ValueStore(redis, settings.environment))
    return CatalogStores(reader, backends, pool, qdrant, openai_client)


def open_openai(catalog: Catalog, llm: LLMSettings) -> "openai.OpenAI | None":
    """Return the client of the OpenAI models that collections name, where a key is set."""
    if not llm.openai_api_key or not any(_openai_dimensions(catalog)):
        return None
    import openai  # noqa: PLC0415 - slow

    return openai.OpenAI(
        api_key=llm.openai_api_key, base_url=llm.openai_base_url, timeout=llm.timeout
    )


def collection_embedders(catalog: Catalog, client: "openai.OpenAI") -> dict[str, Embedder]:
    """Return an embedder for each OpenAI model that collections name."""
    return {
        name: OpenAIEmbedder(
            client,
            model=name.removeprefix(OPENAI),
            dimension=dimension,
            timeout=EMBEDDING_SECONDS,
        )
        for name, dimension in _openai_dimensions(catalog).items()
    }


def _openai_dimensions(catalog: Catalog) -> dict[str, int]:
    return {
        kind.embedding: kind.dimension or OPENAI_DIMENSION
        for _, kind in catalog.of_store("qdrant")
        if kind.embedding is not None and kind.embedding.startswith(OPENAI)
    }
