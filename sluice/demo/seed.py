"""Seeding of the stores with the freight company; a second call skips it."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from router.embedding import Embedder, LocalEmbedder
from router.knowledge.record_writer import ingest_records
from router.knowledge.records import Record
from router.settings import Settings
from router.store_clients import StoreClients, open_stores_for_writing
from sluice.demo.company import generate_records

SEED_TABLE = """
    CREATE TABLE IF NOT EXISTS demo_seed (
        environment text PRIMARY KEY, digest text NOT NULL, at timestamptz NOT NULL DEFAULT now()
    )
"""
READ_DIGEST = "SELECT digest FROM demo_seed WHERE environment = $1"
WRITE_DIGEST = """
    INSERT INTO demo_seed (environment, digest) VALUES ($1, $2)
    ON CONFLICT (environment) DO UPDATE SET digest = excluded.digest, at = now()
"""
COUNT_ROWS = "SELECT count(*) FROM records WHERE id = ANY($1)"
COUNT_NODES = "MATCH (r:SluiceRecord) RETURN count(r) AS nodes"

OnProgress = Callable[[str], None]
COMPANY_SEED = 7


@dataclass(frozen=True, slots=True)
class SeedReport:
    """The result of seeding; ``skipped`` when the stores had this content already."""

    records: int
    links: int
    seconds: float
    skipped: bool


async def seed(
    environment: Mapping[str, str],
    on_progress: OnProgress | None = None,
    *,
    records: Sequence[Record] | None = None,
    embedder: Embedder | None = None,
) -> SeedReport:
    """Write every record (of the freight company, by default) to the stores in ``environment``.

    It takes about 12 s, mostly for sentence vectors on one core, and a second when it is skipped.

    Raises:
        RouterSettingsError: an invalid setting.
        RuntimeError: some links were not written, so that the knowledge base is incomplete.
    """
    say = on_progress or (lambda _: None)
    began = time.monotonic()
    settings = Settings.from_environment(environment)
    records = list(records or generate_records(COMPANY_SEED))
    links = sum(len(set(record.links)) for record in records)
    stores = await open_stores_for_writing(settings.stores)
    try:
        embedder = embedder or LocalEmbedder()
        skipped = await _is_seeded(stores, settings.environment, records, embedder)
        if not skipped:
            say(f"writing {len(records)} records to the graph, Postgres and Qdrant")
            await _write_records(stores, settings.environment, records, embedder)
        say(f"{len(records)} records " + ("exist already" if skipped else "written"))
    finally:
        await stores.close()
    return SeedReport(len(records), links, round(time.monotonic() - began, 2), skipped)


def digest(records: Sequence[Record]) -> str:
    """Return a digest of every word of every record."""
    text = json.dumps([asdict(record) for record in records], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


async def _write_records(
    stores: StoreClients, environment: str, records: list[Record], embedder: Embedder
) -> None:
    report = await ingest_records(records, stores, embedder)
    if report.dangling:
        raise RuntimeError(f"{report.dangling} links of the company were not written to the graph")
    await stores.postgres.execute(WRITE_DIGEST, environment, digest(records))


async def _is_seeded(
    stores: StoreClients, environment: str, records: list[Record], embedder: Embedder
) -> bool:
    """Check the mark, and that each store still holds the records."""
    await stores.postgres.execute(SEED_TABLE)
    if await stores.postgres.fetchval(READ_DIGEST, environment) != digest(records):
        return False
    rows = await stores.postgres.fetchval(COUNT_ROWS, [record.id for record in records])
    async with stores.neo4j.session(database=stores.neo4j_database) as session:
        answer = await (await session.run(COUNT_NODES)).single(strict=True)
    last = records[-1]
    vector = embedder.embed([f"{last.title}. {last.text}"])[0].tolist()
    neighbours = await stores.vectors.find_nearest(vector, 1)
    has_last = bool(neighbours) and neighbours[0].payload.get("id") == last.id
    return rows == len(records) and answer["nodes"] >= len(records) and has_last
