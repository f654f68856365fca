"""One batch into every store and the ledger, then its links, then what its sources no longer have."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from redis.exceptions import RedisError

from router.cache import SemanticCache
from router.errors import StoreUnavailable
from router.knowledge.batching import batches
from router.knowledge.ingested_ledger import IngestedLedger, LinkTargets
from router.knowledge.ingestion_summary import IngestionSummary
from router.knowledge.record_writer import (
    BATCH,
    delete_records,
    make_links,
    write_batch,
)
from router.knowledge.records import Link, Record
from router.knowledge.source_progress import OpenSource, SourcedRecord
from router.knowledge.sources import SourceProblem
from router.knowledge.store_errors import REFUSALS, first_line
from router.store_clients import StoreClients

PENDING_MAX = 200_000
"""Records whose links wait in memory for the other files; those beyond wait for the next run."""

RETRY_PAUSES = (0.5, 2.0, 5.0)
"""Seconds before a batch is written again."""


@dataclass(frozen=True, slots=True)
class EmbeddedRecords:
    """Records with their vectors, one row each."""

    records: list[SourcedRecord]
    vectors: list[list[float]]

    def halves(self) -> "tuple[EmbeddedRecords, EmbeddedRecords]":
        """Return the batch in two."""
        middle = len(self.records) // 2
        return (
            EmbeddedRecords(self.records[:middle], self.vectors[:middle]),
            EmbeddedRecords(self.records[middle:], self.vectors[middle:]),
        )


@dataclass(frozen=True, slots=True)
class _OutgoingLinks:
    """The links of a record, as its source writes them."""

    record_id: str
    origin: str
    links: tuple[Link, ...]


class BatchWriter:
    """Writes batches and counts them in ``summary``. Errors are those of the drivers."""

    def __init__(
        self,
        stores: StoreClients,
        ledger: IngestedLedger,
        cache: SemanticCache | None,
        summary: IngestionSummary,
    ) -> None:
        self._stores = stores
        self._ledger = ledger
        self._cache = cache
        self._summary = summary
        self._pending: list[_OutgoingLinks] = []

    async def write(
        self,
        batch: EmbeddedRecords,
        unlinked: Sequence[SourcedRecord],
        complete: Sequence[OpenSource],
    ) -> None:
        """Write a batch, make the links, and clean up after the sources that are ``complete``."""
        records = await self._write_or_split(batch)
        await self._ledger.record([(item.record, item.source.origin) for item in records])
        await self._link([*records, *unlinked])
        await self._invalidate_answers({item.record.source for item in records})
        for item in batch.records:
            item.source.on_progress(1)
        for item in records:
            item.source.report.written += 1
        self._summary.written += len(records)
        for source in complete:
            # With something left out nobody knows whose record it was: nothing is removed.
            if not source.report.left_out:
                await self._delete_gone(source)

    async def link_pending(self) -> None:
        """Make the links whose other end came later."""
        pending, self._pending = self._pending, []
        for batch in batches(pending, BATCH):
            link_count, _ = await self._make_links(batch)
            self._summary.links += link_count
            self._summary.dangling -= link_count

    async def delete(self, ids: list[str]) -> None:
        """Delete records from every store. Cached answers are filed by the records' sources."""
        sources = await self._ledger.sources_of(ids)
        await delete_records(self._stores, ids)
        await self._ledger.delete(ids)
        await self._invalidate_answers(sources)
        self._summary.removed += len(ids)

    async def _write_or_split(self, batch: EmbeddedRecords) -> list[SourcedRecord]:
        """Write a batch. A record that a store refuses is in no store, and is reported."""
        if not batch.records:
            return []
        try:
            await self._write_patiently([item.record for item in batch.records], batch.vectors)
        except REFUSALS as error:
            if len(batch.records) > 1:
                halves = [await self._write_or_split(half) for half in batch.halves()]
                return [item for half in halves for item in half]
            record, source = batch.records[0].record, batch.records[0].source
            await delete_records(self._stores, [record.id])
            problem = SourceProblem(record.id, f"a store refuses the record: {first_line(error)}")
            self._summary.add(source.report, problem)
            return []
        return batch.records

    async def _write_patiently(self, records: list[Record], vectors: list[list[float]]) -> None:
        """Write again where a store is late: the writes are idempotent, and a busy store recovers."""
        for pause in RETRY_PAUSES:
            try:
                await write_batch(self._stores, records, vectors)
            except (StoreUnavailable, TimeoutError):
                await asyncio.sleep(pause)
            else:
                return
        await write_batch(self._stores, records, vectors)

    async def _delete_gone(self, source: OpenSource) -> None:
        async for ids in self._ledger.ids_without(source.origin, source.sorted_seen()):
            for batch in batches(ids, BATCH):
                await self.delete(batch)
                source.report.removed += len(batch)

    async def _link(self, records: Sequence[SourcedRecord]) -> None:
        """Make the links of new, changed and waiting records, as far as their other ends exist."""
        outgoing = [
            _OutgoingLinks(
                item.record.id, item.source.origin, tuple(dict.fromkeys(item.record.links))
            )
            for item in records
            if item.record.links
        ]
        for batch in batches(outgoing, BATCH):
            link_count, waiting = await self._make_links(batch)
            expected_count = sum(len(record_links.links) for record_links in batch)
            self._summary.links += link_count
            self._summary.dangling += expected_count - link_count
            self._pending += waiting[: max(0, PENDING_MAX - len(self._pending))]

    async def _make_links(self, batch: list[_OutgoingLinks]) -> tuple[int, list[_OutgoingLinks]]:
        """Return the number of links made, and the links that still wait."""
        targets = await self._ledger.link_targets(
            [link for outgoing in batch for link in outgoing.links]
        )
        resolved = {outgoing.record_id: _resolve(outgoing, targets) for outgoing in batch}
        link_count = await make_links(self._stores, resolved)
        waiting = [
            outgoing
            for outgoing in (_unresolved_links(outgoing, targets) for outgoing in batch)
            if outgoing.links
        ]
        waiting_ids = {outgoing.record_id for outgoing in waiting}
        await self._ledger.mark_linked(
            [e.record_id for e in batch if e.record_id not in waiting_ids]
        )
        return link_count, waiting

    async def _invalidate_answers(self, sources: Iterable[str]) -> None:
        """Drop cached answers that show what changed. Without Redis they go when they are old."""
        if self._cache is None:
            return
        try:
            await self._cache.invalidate(*sources)
        except (RedisError, OSError) as error:
            self._cache = None
            reason = f"cached answers stay until they expire: Redis does not answer ({error})"
            self._summary.add_problem(SourceProblem("cache", reason))


def _target(link: Link, outgoing: _OutgoingLinks, targets: LinkTargets) -> str | None:
    return targets.resolve(link.target, outgoing.origin)


def _resolve(outgoing: _OutgoingLinks, targets: LinkTargets) -> list[Link]:
    """Return the links whose other end exists, by the full id of it."""
    pairs = ((link, _target(link, outgoing, targets)) for link in outgoing.links)
    return [replace(link, target=target) for link, target in pairs if target]


def _unresolved_links(outgoing: _OutgoingLinks, targets: LinkTargets) -> _OutgoingLinks:
    """Return the links whose other end no store has yet."""
    links = tuple(link for link in outgoing.links if not _target(link, outgoing, targets))
    return replace(outgoing, links=links)
