"""Seeding is done once, and again as soon as a store has lost something."""

from dataclasses import fields

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from router.embedding import LocalEmbedder
from sluice.demo.company import generate_records
from sluice.demo.seed import digest, seed
from tests.company_fixtures import RECORDS
from tests.conftest import Neo4jSettings

pytestmark = pytest.mark.integration


@pytest.fixture
def environment(
    redis_url: str, postgres_dsn: str, neo4j_settings: Neo4jSettings, qdrant_url: str
) -> dict[str, str]:
    graph = {
        f"NEO4J_{f.name.upper()}": getattr(neo4j_settings, f.name) for f in fields(Neo4jSettings)
    }
    stores = {"REDIS_URL": redis_url, "POSTGRES_DSN": postgres_dsn, "QDRANT_URL": qdrant_url}
    return {"SLUICE_ENVIRONMENT": "seeding", **stores, **graph}


def test_digest_notices_any_change() -> None:
    assert digest(generate_records(7)) == digest(generate_records(7)) != digest(generate_records(8))


async def test_a_second_seed_finds_it_done_and_a_lost_record_is_written_again(
    environment: dict[str, str],
) -> None:
    said: list[str] = []
    embedder = LocalEmbedder()  # one for all three, so that vectors are computed once
    first = await seed(environment, said.append, embedder=embedder, records=RECORDS)
    assert not first.skipped
    assert first.records == len(RECORDS)
    assert (await seed(environment, embedder=embedder, records=RECORDS)).skipped
    connection = await asyncpg.connect(environment["POSTGRES_DSN"])
    await connection.execute("DELETE FROM records WHERE id = 'DRV-1'")
    assert not (await seed(environment, embedder=embedder, records=RECORDS)).skipped
    assert await connection.fetchval("SELECT count(*) FROM records WHERE id = 'DRV-1'") == 1
    await connection.close()
    assert any("writing" in line for line in said)
