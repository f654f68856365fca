"""Ingestion into the real stores: only what changed, resumable, nothing left of what is gone."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from router.cache import CacheEntry, CacheLimits, CacheScope, SemanticCache
from router.knowledge.ingestion import Ingestion
from router.knowledge.ingestion_summary import IngestionSummary
from router.knowledge.record_writer import BATCH
from router.knowledge.sources import Source
from router.knowledge.store_errors import StoreWriteFailed
from router.settings import StoreSettings
from router.store_clients import StoreClients, open_redis, open_stores_for_writing
from tests.conftest import Neo4jSettings
from tests.integration.router.ingestion_process import CountingEmbedder

pytestmark = pytest.mark.integration


@pytest.fixture
async def stores(
    redis_url: str, postgres_dsn: str, neo4j_settings: Neo4jSettings, qdrant_url: str
) -> AsyncIterator[StoreClients]:
    opened = await open_stores_for_writing(
        StoreSettings(
            redis_url=redis_url,
            postgres_dsn=postgres_dsn,
            neo4j_uri=neo4j_settings.uri,
            neo4j_user=neo4j_settings.user,
            neo4j_password=neo4j_settings.password,
            neo4j_database=neo4j_settings.database,
            qdrant_url=qdrant_url,
        )
    )
    await opened.postgres.execute("DROP TABLE IF EXISTS ingested")
    yield opened
    await opened.close()


async def run_ingestion(
    stores: StoreClients, *sources: Source, embedder: CountingEmbedder | None = None
) -> IngestionSummary:
    ingestion = Ingestion(stores, embedder or CountingEmbedder(), None)
    await ingestion.prepare()
    for source in sources:
        await ingestion.ingest_source(source, lambda _: None)
    await ingestion.finish()
    return ingestion.summary


def table_source(*rows: str, name: str = "ing_parts.csv") -> Source:
    return Source(name, ".csv", "\n".join(["id,title,links", *rows]))


async def graph_count(stores: StoreClients, query: str) -> Any:  # noqa: ANN401 - any value of Cypher
    async with stores.neo4j.session(database=stores.neo4j_database) as session:
        record = await (await session.run(query)).single()
        return record[0] if record else None


async def test_a_second_time_nothing_is_written_and_changes_alone_after_it(
    stores: StoreClients,
) -> None:
    first = await run_ingestion(stores, table_source("ing-1,Axle,", "ing-2,Brake,FITS:ing-1"))
    assert (first.written, first.links, first.dangling) == (2, 1, 0)
    embedder = CountingEmbedder()
    again = await run_ingestion(
        stores, table_source("ing-1,Axle,", "ing-2,Brake,FITS:ing-1"), embedder=embedder
    )
    assert (again.written, again.unchanged, embedder.texts) == (0, 2, [])
    third = await run_ingestion(stores, table_source("ing-1,Front axle,", "ing-2,Brake,FITS:ing-1"))
    assert (third.written, third.unchanged) == (1, 1)
    assert (
        await graph_count(
            stores, "MATCH (r:SluiceRecord {id: 'ing_parts.csv#ing-1'}) RETURN r.title"
        )
        == "Front axle"
    )


async def test_what_a_source_no_longer_has_leaves_every_store(stores: StoreClients) -> None:
    await run_ingestion(stores, table_source("ing-1,Axle,", "ing-2,Brake,FITS:ing-1"))
    tally = await run_ingestion(stores, table_source("ing-1,Axle,"))
    assert (tally.removed, tally.unchanged) == (1, 1)
    assert (
        await graph_count(
            stores, "MATCH (r:SluiceRecord {id: 'ing_parts.csv#ing-2'}) RETURN count(r)"
        )
        == 0
    )
    count = "SELECT count(*) FROM records WHERE id = 'ing_parts.csv#ing-2'"
    assert await stores.postgres.fetchval(count) == 0
    near = await stores.vectors.find_nearest(
        CountingEmbedder().embed(["Brake. title: Brake"])[0].tolist(), 50
    )
    assert "ing_parts.csv#ing-2" not in {one.payload["id"] for one in near}


async def test_a_folder_can_be_forgotten_without_what_only_looks_like_it(
    stores: StoreClients,
) -> None:
    await run_ingestion(
        stores,
        table_source("ing-a,A,", name="ing/a.csv"),
        table_source("ing-b,B,", name="ing-b.csv"),
    )
    ingestion = Ingestion(stores, CountingEmbedder(), None)
    await ingestion.remove_origin("ing")
    assert ingestion.summary.removed == 1
    await ingestion.remove_origin("ing-b.csv")
    assert ingestion.summary.removed == 2


async def test_a_broken_line_removes_nothing(stores: StoreClients) -> None:
    await run_ingestion(stores, table_source("ing-1,Axle,", "ing-2,Brake,"))
    tally = await run_ingestion(stores, table_source("ing-1,Axle,", "ing-2"))
    assert (tally.removed, len(tally.problems)) == (0, 1)


async def test_a_link_waits_for_its_other_end(stores: StoreClients) -> None:
    waiting = table_source("ing-2,Brake,FITS:ing-9")
    assert (await run_ingestion(stores, waiting)).dangling == 1
    target = table_source("ing-9,Hub,", name="ing_hubs.csv")
    later = await run_ingestion(stores, waiting, target)  # also where it comes after
    assert (later.written, later.links, later.dangling) == (1, 1, 0)
    linked = "MATCH (:SluiceRecord {id: 'ing_parts.csv#ing-2'})-[l:FITS]->(:SluiceRecord {id: 'ing_hubs.csv#ing-9'}) RETURN count(l)"
    assert await graph_count(stores, linked) == 1
    await run_ingestion(
        stores, table_source("ing-1,Axle,"), table_source("ing-1,Axle,", name="ing_hubs.csv")
    )


async def test_a_link_to_a_later_record_of_the_same_file_needs_no_second_run(
    stores: StoreClients,
) -> None:
    """Records are written by the hundred: the target is of a later batch."""
    rows = [f"ing-{number},Part {number}," for number in range(BATCH)]
    first = await run_ingestion(stores, table_source("ing-x,Axle,FITS:ing-y", *rows, "ing-y,Hub,"))
    assert (first.written, first.links, first.dangling) == (BATCH + 2, 1, 0)
    await run_ingestion(stores, table_source("ing-1,Axle,"))


async def test_stopped_in_the_middle_it_goes_on_where_it_was(stores: StoreClients) -> None:
    many = table_source(*(f"ing-m{n},Part {n}," for n in range(150)), name="ing_many.csv")
    embedder = CountingEmbedder()
    embedder.calls_left = 1
    ingestion = Ingestion(stores, embedder, None)
    await ingestion.prepare()
    await ingestion.ingest_source(many, lambda _: None)
    with pytest.raises(StoreWriteFailed, match="run the same command again"):
        await ingestion.finish()
    rest = await run_ingestion(stores, many)
    assert (rest.unchanged, rest.written) == (100, 50)
    one_left = table_source("ing-m0,Part 0,", name="ing_many.csv")
    assert (await run_ingestion(stores, one_left)).removed == 149


async def test_cached_answers_that_show_a_changed_record_are_dropped(
    stores: StoreClients, redis_url: str
) -> None:
    redis = open_redis(redis_url)
    cache = SemanticCache(redis, "ingest-test", CacheLimits())
    scope = CacheScope("default", "control", 10)
    source = Source("ing_x.csv", ".csv", "id,title,source\ning-1,Axle,parts/ing-1")
    entry = CacheEntry("what fits?", {"results": []}, "decision")
    await cache.put(scope, entry, CountingEmbedder().embed(["x"])[0], ["parts/ing-1"])
    ingestion = Ingestion(stores, CountingEmbedder(), cache)
    await ingestion.prepare()
    await ingestion.ingest_source(source, lambda _: None)
    await ingestion.finish()
    assert await cache.find_exact(scope, "what fits?") is None
    with suppress(OSError):
        await redis.aclose()


async def test_a_removed_row_leaves_the_cached_answers(
    stores: StoreClients, redis_url: str
) -> None:
    """Answers are filed by the sources that they show, not by the records' ids."""
    redis = open_redis(redis_url)
    cache = SemanticCache(redis, "ingest-test", CacheLimits())
    scope = CacheScope("default", "control", 10)
    head = "id,title,source\n"
    rows = "ing-1,Axle,parts/ing-1\n", "ing-2,Hub,parts/ing-2\n"
    for kept in ("".join(rows), rows[0]):
        entry = CacheEntry("what turns?", {"results": []}, "decision")
        await cache.put(scope, entry, CountingEmbedder().embed(["x"])[0], ["parts/ing-2"])
        ingestion = Ingestion(stores, CountingEmbedder(), cache)
        await ingestion.prepare()
        await ingestion.ingest_source(Source("ing_y.csv", ".csv", head + kept), lambda _: None)
        await ingestion.finish()
    assert ingestion.summary.removed == 1
    assert await cache.find_exact(scope, "what turns?") is None
    await redis.aclose()


async def test_a_link_by_a_files_own_id_finds_its_record_or_waits(stores: StoreClients) -> None:
    """The same id in two other files means neither of them; a full id is always exact."""
    await run_ingestion(
        stores,
        table_source("7,Hub,", name="ing_hubs.csv"),
        table_source("7,Axle,", name="ing_axles.csv"),
    )
    ambiguous = await run_ingestion(stores, table_source("1,Brake,FITS:7", name="ing_brakes.csv"))
    exact = await run_ingestion(
        stores, table_source("1,Brake,FITS:ing_hubs.csv#7", name="ing_brakes.csv")
    )
    assert (ambiguous.dangling, exact.dangling, exact.links) == (1, 0, 1)


async def test_a_record_that_a_store_refuses_is_in_no_store(
    stores: StoreClients,
) -> None:
    await stores.postgres.execute(
        "ALTER TABLE records ADD CONSTRAINT no_axle CHECK (title <> 'Refused')"
    )
    try:
        summary = await run_ingestion(stores, table_source("ing-1,Refused,", "ing-2,Brake,"))
    finally:
        await stores.postgres.execute("ALTER TABLE records DROP CONSTRAINT no_axle")
    assert (summary.written, [p.location for p in summary.problems]) == (
        1,
        ["ing_parts.csv#ing-1"],
    )
    count = "MATCH (r:SluiceRecord {id: 'ing_parts.csv#ing-1'}) RETURN count(r)"
    assert await graph_count(stores, count) == 0


async def test_a_file_that_a_folder_lost_is_found(stores: StoreClients) -> None:
    await run_ingestion(
        stores,
        table_source("1,A,", name="ing_folder/a.csv"),
        table_source("1,B,", name="ing_folder/b.csv"),
        table_source("1,C,", name="ing_folder-c.csv"),
    )
    ingestion = Ingestion(stores, CountingEmbedder(), None)
    lost = await ingestion.lost_origins("ing_folder", ["ing_folder/a.csv"])
    assert lost == {"ing_folder/b.csv": 1}
