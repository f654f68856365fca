"""Sources into all stores, only what changed: the ledger knows each record's digest and origin.

A batch is in the ledger once every store has it, so an ingestion that was stopped goes on where it
was; links follow when their ends exist. What a source no longer has is removed.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from neo4j.exceptions import DriverError, Neo4jError
from redis.exceptions import RedisError

from router.backends.postgres_pool import PostgresPool
from router.cache import SemanticCache
from router.embedding import Embedder
from router.errors import RouterError, StoreUnavailable
from router.knowledge.batching import batches
from router.knowledge.record_writer import (
    BATCH,
    delete_records,
    prepare_stores,
    replace_links,
    wait_for_indexes,
    write_batch,
)
from router.knowledge.records import Record
from router.knowledge.sources import Source, SourceProblem, parse_source
from router.store_clients import StoreClients

INGESTED_TABLE = """
    CREATE TABLE IF NOT EXISTS ingested (
        id text PRIMARY KEY, origin text NOT NULL, digest text NOT NULL,
        linked boolean NOT NULL, at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX IF NOT EXISTS ingested_origin ON ingested (origin);
"""
SELECT_INGESTED = "SELECT id, digest, linked FROM ingested WHERE origin = $1"
SELECT_IDS_BY_ORIGIN = (
    "SELECT id FROM ingested WHERE origin = $1 OR starts_with(origin, $1 || '/') ORDER BY id"
)
UPSERT_INGESTED = """
    INSERT INTO ingested (id, origin, digest, linked) VALUES ($1, $2, $3, $4)
    ON CONFLICT (id) DO UPDATE SET origin = excluded.origin, digest = excluded.digest,
        linked = excluded.linked, at = now()
"""
DELETE_INGESTED = "DELETE FROM ingested WHERE id = ANY($1::text[])"
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, Neo4jError, DriverError, OSError)
Progress = Callable[[int], None]
"""Called with the number of records that are done since the last call."""


class StoreWriteFailed(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """A store did not take a batch: run the same command again, it goes on where it was."""


@dataclass(slots=True)
class IngestionSummary:
    """What came of the sources. ``dangling`` links wait for records that no store has yet."""

    sources: int = 0
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    links: int = 0
    dangling: int = 0
    problems: list[SourceProblem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _PendingLinks:
    """A batch with links whose other end was not there, and what was counted of it."""

    origin: str
    records: list[Record]
    digests: Mapping[str, str]
    made: int
    missing: int


class Ingestion:
    """Call ``prepare`` first, ``finish`` and ``settle`` last. ``cache`` None leaves cached answers to their age."""

    def __init__(
        self, stores: StoreClients, embedder: Embedder, cache: SemanticCache | None
    ) -> None:
        self._stores = stores
        self._embedder = embedder
        self._cache = cache
        self.summary = IngestionSummary()
        self._pending_links: list[_PendingLinks] = []

    async def prepare(self) -> None:
        """Tables, indexes and collection. Raises StoreFailed naming the store's own words."""
        try:
            await prepare_stores(self._stores)
            await self._stores.postgres.execute(INGESTED_TABLE)
        except (*DRIVER_ERRORS, StoreUnavailable) as error:
            raise _store_error(error) from error

    async def ingest_source(self, source: Source, on_progress: Progress) -> None:
        """Bring one source's records up to date in every store. Raises StoreFailed."""
        found = list(parse_source(source))
        problems = [item for item in found if isinstance(item, SourceProblem)]
        records = {item.id: item for item in found if isinstance(item, Record)}
        self.summary.sources += 1
        self.summary.problems += problems
        try:
            await self._update_source(source.origin, records, on_progress, whole=not problems)
        except (*DRIVER_ERRORS, StoreUnavailable) as error:
            raise _store_error(error) from error

    async def link_pending(self) -> None:
        """Make the links to what came after them: files are in no order. Raises StoreFailed."""
        loose, self._pending_links = self._pending_links, []
        try:
            for one in loose if self.summary.sources > 1 else ():
                self.summary.links -= one.made
                self.summary.dangling -= one.missing
                await self._link_records(one.origin, one.records, one.digests)
        except (*DRIVER_ERRORS, StoreUnavailable) as error:
            raise _store_error(error) from error

    async def remove_origin(self, origin: str) -> None:
        """Remove what a source, or everything below a folder, brought in. Raises StoreFailed."""
        try:
            rows = await self._stores.postgres.fetch(SELECT_IDS_BY_ORIGIN, origin)
            for batch in batches([row["id"] for row in rows], BATCH):
                await self._delete(batch)
                await self._invalidate_answers(batch)
        except (*DRIVER_ERRORS, StoreUnavailable) as error:
            raise _store_error(error) from error

    async def wait_until_searchable(self) -> None:
        """After the last source: no search waits for what this changed. Raises StoreFailed."""
        if not (self.summary.written or self.summary.removed):
            return
        try:
            await wait_for_indexes(self._stores)
        except DRIVER_ERRORS as error:
            raise _store_error(error) from error

    async def _delete(self, ids: list[str]) -> None:
        await delete_records(self._stores, ids)
        await self._stores.postgres.execute(DELETE_INGESTED, ids)
        self.summary.removed += len(ids)

    async def _update_source(
        self, origin: str, records: Mapping[str, Record], on_progress: Progress, *, whole: bool
    ) -> None:
        known = await _load_ingested(self._stores.postgres, origin)
        digests = {key: record_digest(record) for key, record in records.items()}
        changed = [r for key, r in records.items() if known.get(key, ("", True))[0] != digests[key]]
        self.summary.unchanged += len(records) - len(changed)
        on_progress(len(records) - len(changed))
        for batch in batches(changed, BATCH):
            await write_batch(self._stores, batch, self._embedder)
            await self._record_ingested(origin, batch, digests, linked=False)
            self.summary.written += len(batch)
            on_progress(len(batch))
        unlinked = [r for key, r in records.items() if not known.get(key, ("", True))[1]]
        await self._link_records(
            origin, list({r.id: r for r in (*changed, *unlinked)}.values()), digests
        )
        # With a broken line nobody knows whose record it was: nothing is removed.
        gone = sorted(set(known) - set(records)) if whole else []
        if gone:
            await self._delete(gone)
        await self._invalidate_answers({record.source for record in changed} | set(gone))

    async def _link_records(
        self, origin: str, records: list[Record], digests: Mapping[str, str]
    ) -> None:
        for batch in batches(records, BATCH):
            wanted = sum(len(set(record.links)) for record in batch)
            made = await replace_links(self._stores, batch)
            self.summary.links += made
            self.summary.dangling += wanted - made
            if made < wanted:
                self._pending_links.append(
                    _PendingLinks(origin, batch, digests, made, wanted - made)
                )
            await self._record_ingested(origin, batch, digests, linked=made == wanted)

    async def _record_ingested(
        self, origin: str, batch: list[Record], digests: Mapping[str, str], *, linked: bool
    ) -> None:
        rows = [(r.id, origin, digests[r.id], linked or not r.links) for r in batch]
        await self._stores.postgres.executemany(UPSERT_INGESTED, rows)

    async def _invalidate_answers(self, sources: Iterable[str]) -> None:
        """Cached answers that show what changed. Without Redis they go when they are old."""
        if self._cache is None:
            return
        try:
            for source in sources:
                await self._cache.invalidate(source)
        except (RedisError, OSError) as error:
            self._cache = None
            why = f"cached answers stay until they expire: Redis does not answer ({error})"
            self.summary.problems.append(SourceProblem("cache", why))


def record_digest(record: Record) -> str:
    """Changes with anything in the record."""
    text = json.dumps(asdict(record), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


async def _load_ingested(pool: PostgresPool, origin: str) -> dict[str, tuple[str, bool]]:
    rows = await pool.fetch(SELECT_INGESTED, origin)
    return {row["id"]: (row["digest"], row["linked"]) for row in rows}


def _store_error(error: BaseException) -> StoreWriteFailed:
    if isinstance(error, asyncio.TimeoutError):
        return StoreWriteFailed(
            "a store did not answer in time; run the same command again to go on"
        )
    return StoreWriteFailed(f"a store failed ({error}); run the same command again to go on")
