"""Settings of a router whose stores hold the freight company's records."""

import pytest

from router.settings import Settings
from tests.company_fixtures import RECORDS, fill_stores, store_addresses
from tests.conftest import Neo4jSettings


@pytest.fixture
def settings(
    redis_url: str, postgres_dsn: str, neo4j_settings: Neo4jSettings, qdrant_url: str
) -> Settings:
    stores = store_addresses(redis_url, postgres_dsn, neo4j_settings, qdrant_url)
    return Settings(environment="router-test", stores=stores)


@pytest.fixture
async def seeded_settings(settings: Settings) -> Settings:
    """Ingest the records into every store twice: ingestion is idempotent."""
    first, second = await fill_stores(settings)
    assert first == second
    assert (first.records, first.dangling) == (len(RECORDS), 0)
    return settings
