"""Sources into all stores, only what changed: a ledger knows each record's digest and origin.

A batch is in the ledger once every store has it, so an ingestion that was stopped goes on where it
was. Links follow when their ends exist. What a source no longer has is removed. While one batch is
written, the next one is embedded.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from redis.exceptions import RedisError

from router.cache import SemanticCache
from router.embedding import Embedder
from router.knowledge.batching import batches
from router.knowledge.ingested_ledger import IngestedLedger
from router.knowledge.ingestion_summary import IngestionSummary, SourceReport
from router.knowledge.record_writer import (
    BATCH,
    EmbeddedBatch,
    delete_records,
    embed_batch,
    prepare_stores,
    replace_links,
    wait_for_indexes,
    write_batch,
)
from router.knowledge.records import Record
from router.knowledge.sources import (
    ReadOptions,
    Source,
    SourceProblem,
    parse_source,
)
from router.knowledge.store_errors import REFUSALS, first_line, store_errors
from router.store_clients import StoreClients

SELECT_SOURCES = "SELECT DISTINCT source FROM records WHERE id = ANY($1::text[])"
Progress = Callable[[int], None]
"""Called with the number of records that are done since the last call."""


@dataclass(frozen=True, slots=True)
class _PendingLinks:
    """Records of a batch with links whose other end was not there yet."""

    origin: str
    records: list[Record]
    made: int
    missing: int


class Ingestion:
    """Call ``prepare`` first, ``link_pending`` and ``wait_until_searchable`` last.

    ``cache`` None leaves cached answers to their age. All methods raise StoreWriteFailed.
    """

    def __init__(
        self,
        stores: StoreClients,
        embedder: Embedder,
        cache: SemanticCache | None,
        options: ReadOptions | None = None,
    ) -> None:
        self._stores = stores
        self._embedder = embedder
        self._cache = cache
        self._options = options or ReadOptions()
        self._ledger = IngestedLedger(stores.postgres)
        self.summary = IngestionSummary()
        self._pending_links: list[_PendingLinks] = []

    async def prepare(self) -> None:
        """Create tables, indexes and collection."""
        with store_errors():
            await prepare_stores(self._stores)
            await self._ledger.create()

    async def ingest_source(self, source: Source, on_progress: Progress) -> None:
        """Bring one source's records up to date in every store."""
        report = self.summary.open_report(source.origin)
        with store_errors():
            await self._update_source(source, report, on_progress)

    async def link_pending(self) -> None:
        """Make the links to records that came later: files have no order."""
        pending, self._pending_links = self._pending_links, []
        with store_errors():
            for batch in pending if self.summary.sources > 1 else ():
                self.summary.links -= batch.made
                self.summary.dangling -= batch.missing
                await self._link_records(batch.origin, batch.records)

    async def remove_origin(self, origin: str) -> None:
        """Remove what a source, or everything below a folder, brought in."""
        with store_errors():
            for batch in batches(await self._ledger.ids_below(origin), BATCH):
                await self._delete(batch)

    async def lost_origins(self, folder: str, present: Iterable[str]) -> dict[str, int]:
        """Return the sources below ``folder`` that are in the stores but not ``present``."""
        prefix = "" if folder == "." else f"{folder}/"
        with store_errors():
            origins = await self._ledger.origins()
        there = set(present)
        return {
            origin: count
            for origin, count in origins.items()
            if origin not in there and _is_below(origin, prefix)
        }

    async def wait_until_searchable(self) -> None:
        """Wait until no search waits for what this ingestion changed."""
        if not (self.summary.written or self.summary.removed):
            return
        with store_errors():
            await wait_for_indexes(self._stores)

    async def _update_source(
        self, source: Source, report: SourceReport, on_progress: Progress
    ) -> None:
        seen: set[int] = set()
        writing: asyncio.Task[None] | None = None
        try:
            for batch in self._record_batches(source, report):
                seen |= {hash(record.id) for record in batch}
                changed, unlinked = await self._changed_records(batch, report, on_progress)
                embedded = await embed_batch(changed, self._embedder)
                if writing:
                    await writing
                writing = asyncio.create_task(
                    self._write(source.origin, report, embedded, unlinked, on_progress)
                )
        finally:
            if writing:
                await writing
        # With something left out nobody knows whose record it was: nothing is removed.
        if not report.left_out:
            await self._delete_gone(report, seen)

    def _record_batches(self, source: Source, report: SourceReport) -> Iterator[list[Record]]:
        batch: list[Record] = []
        for item in parse_source(source, self._options):
            self.summary.add(report, item)
            if isinstance(item, Record):
                batch.append(item)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    async def _changed_records(
        self, batch: list[Record], report: SourceReport, on_progress: Progress
    ) -> tuple[list[Record], list[Record]]:
        """Return the records to write, and those that only wait for a link."""
        known = await self._ledger.known([record.id for record in batch])
        changed, unlinked = [], []
        for record in batch:
            before = known.get(record.id)
            if before is None or before.digest != record_digest(record):
                changed.append(record)
            elif not before.linked:
                unlinked.append(record)
        same = len(batch) - len(changed)
        report.unchanged += same
        self.summary.unchanged += same
        on_progress(same)
        return changed, unlinked

    async def _write(
        self,
        origin: str,
        report: SourceReport,
        batch: EmbeddedBatch,
        unlinked: list[Record],
        on_progress: Progress,
    ) -> None:
        written = await self._write_or_split(batch, report)
        if written:
            await self._record_ingested(origin, written, linked={})
        await self._link_records(origin, [*written, *unlinked])
        await self._invalidate_answers({record.source for record in written})
        report.written += len(written)
        self.summary.written += len(written)
        on_progress(len(batch.records))

    async def _write_or_split(self, batch: EmbeddedBatch, report: SourceReport) -> list[Record]:
        """Write a batch. A record that a store refuses is in no store, and is reported."""
        if not batch.records:
            return []
        try:
            await write_batch(self._stores, batch)
        except REFUSALS as error:
            if len(batch.records) > 1:
                halves = [await self._write_or_split(half, report) for half in batch.halves()]
                return [record for half in halves for record in half]
            record = batch.records[0]
            await delete_records(self._stores, [record.id])
            problem = SourceProblem(record.id, f"a store refuses the record: {first_line(error)}")
            self.summary.add(report, problem)
            return []
        return batch.records

    async def _delete_gone(self, report: SourceReport, seen: set[int]) -> None:
        ids = await self._ledger.ids_of(report.origin)
        for batch in batches([one for one in ids if hash(one) not in seen], BATCH):
            await self._delete(batch)
            report.removed += len(batch)

    async def _delete(self, ids: list[str]) -> None:
        """Delete records from every store. Cached answers are filed by the records' sources."""
        rows = await self._stores.postgres.fetch(SELECT_SOURCES, ids)
        await delete_records(self._stores, ids)
        await self._ledger.delete(ids)
        await self._invalidate_answers({row["source"] for row in rows})
        self.summary.removed += len(ids)

    async def _link_records(self, origin: str, records: list[Record]) -> None:
        for batch in batches(records, BATCH):
            targets = await self._ledger.link_targets(batch)
            resolved = [_with_targets(record, origin, targets.resolve) for record in batch]
            made = await replace_links(self._stores, resolved)
            wanted = sum(len(set(record.links)) for record in batch)
            self.summary.links += made
            self.summary.dangling += wanted - made
            missing = {
                record.id: len(set(record.links)) > len(set(linked.links))
                for record, linked in zip(batch, resolved, strict=True)
            }
            if waiting := [record for record in batch if missing[record.id]]:
                found = sum(len(set(r.links)) for r in resolved if missing[r.id])
                lacking = sum(len(set(r.links)) for r in waiting) - found
                self._pending_links.append(_PendingLinks(origin, waiting, found, lacking))
            await self._record_ingested(
                origin, batch, {record_id: not lacks for record_id, lacks in missing.items()}
            )

    async def _record_ingested(
        self, origin: str, batch: Sequence[Record], linked: dict[str, bool]
    ) -> None:
        digests = {record.id: record_digest(record) for record in batch}
        flags = {record.id: linked.get(record.id, not record.links) for record in batch}
        await self._ledger.record(origin, batch, digests, flags)

    async def _invalidate_answers(self, sources: Iterable[str]) -> None:
        """Drop cached answers that show what changed. Without Redis they go when they are old."""
        if self._cache is None:
            return
        try:
            for source in sources:
                await self._cache.invalidate(source)
        except (RedisError, OSError) as error:
            self._cache = None
            reason = f"cached answers stay until they expire: Redis does not answer ({error})"
            self.summary.problems.append(SourceProblem("cache", reason))


def record_digest(record: Record) -> str:
    """Return a digest that changes with anything in the record."""
    text = json.dumps(asdict(record), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _with_targets(record: Record, origin: str, resolve: Callable[[str, str], str | None]) -> Record:
    """Return the record with the links whose other end exists, by the full id of it."""
    pairs = ((link, resolve(link.target, origin)) for link in record.links)
    return replace(
        record, links=tuple(replace(link, target=target) for link, target in pairs if target)
    )


def _is_below(origin: str, prefix: str) -> bool:
    if prefix:
        return origin.startswith(prefix)
    return not origin.startswith(("/", "../", "http://", "https://"))
