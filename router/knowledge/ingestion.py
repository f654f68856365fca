"""Sources into all stores, only what changed: a ledger knows each record's digest and origin.

Records of one or more sources form a batch. While one batch is written, the next one is embedded.
A batch is in the ledger once every store has it, so an ingestion that was stopped goes on where it
was. Links follow when their ends exist. What a source no longer has is removed.
"""

import asyncio
from collections.abc import Iterable

from router.cache import SemanticCache
from router.embedding import Embedder
from router.knowledge.batch_writer import BatchWriter, EmbeddedRecords
from router.knowledge.ingested_ledger import IngestedLedger, record_digest
from router.knowledge.ingestion_summary import IngestionSummary
from router.knowledge.record_writer import (
    BATCH,
    embed_batch,
    prepare_stores,
    wait_for_indexes,
)
from router.knowledge.records import Record
from router.knowledge.source_progress import OpenSource, Progress, SourcedRecord
from router.knowledge.sources import ReadOptions, Source, parse_source
from router.knowledge.store_errors import store_errors
from router.store_clients import StoreClients


class Ingestion:
    """Call ``prepare`` first, then ``ingest_source`` for each source, then ``finish``.

    ``cache`` None leaves cached answers to their age. All methods raise StoreWriteFailed. After an
    error call ``stop``.
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
        self._options = options or ReadOptions()
        self._ledger = IngestedLedger(stores.postgres)
        self.summary = IngestionSummary()
        self._writer = BatchWriter(stores, self._ledger, cache, self.summary)
        self._batch: list[SourcedRecord] = []
        self._complete: list[OpenSource] = []
        self._writing: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Create tables, indexes and collection."""
        with store_errors():
            await prepare_stores(self._stores)
            await self._ledger.create()

    async def ingest_source(self, source: Source, on_progress: Progress) -> None:
        """Bring one source's records up to date. The last of them may be written by a later call."""
        opened = OpenSource(self.summary.open_report(source.origin), on_progress)
        with store_errors():
            for item in parse_source(source, self._options):
                self.summary.add(opened.report, item)
                if isinstance(item, Record):
                    opened.add(item)
                    self._batch.append(SourcedRecord(item, opened))
                if len(self._batch) == BATCH:
                    await self._write_batch()
            self._complete.append(opened)

    async def finish(self) -> None:
        """Write the rest, and make the links to records that came later, in the same file or others."""
        with store_errors():
            await self._write_batch()
            await self._wait_for_writing()
            await self._writer.link_pending()
        await self.wait_until_searchable()

    async def stop(self) -> None:
        """End the writing that is under way; what is in the ledger stays."""
        if self._writing is not None:
            self._writing.cancel()
            # Unlike a suppressed CancelledError, this passes on an interrupt of the command itself.
            await asyncio.gather(self._writing, return_exceptions=True)

    async def remove_origin(self, origin: str) -> None:
        """Remove what a source, or everything below a folder, brought in."""
        with store_errors():
            while ids := await self._ledger.ids_below(origin, BATCH):
                await self._writer.delete(ids)

    async def lost_origins(self, folder: str, present: Iterable[str]) -> dict[str, int]:
        """Return the sources below ``folder`` that are in the stores but not ``present``."""
        prefix = "" if folder == "." else f"{folder}/"
        with store_errors():
            origins = await self._ledger.origins()
        present_origins = set(present)
        return {
            origin: count
            for origin, count in origins.items()
            if origin not in present_origins and _is_below(origin, prefix)
        }

    async def wait_until_searchable(self) -> None:
        """Wait until no search waits for what this ingestion changed."""
        if not (self.summary.written or self.summary.removed):
            return
        with store_errors():
            await wait_for_indexes(self._stores)

    async def _write_batch(self) -> None:
        """Embed what changed, while the batch before is written, and start to write it."""
        batch, self._batch = self._batch, []
        complete, self._complete = self._complete, []
        try:
            changed, unlinked = await self._changed_records(batch)
            vectors = await embed_batch([item.record for item in changed], self._embedder)
        finally:
            await self._wait_for_writing()
        work = self._writer.write(EmbeddedRecords(changed, vectors), unlinked, complete)
        self._writing = asyncio.create_task(work)

    async def _wait_for_writing(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    async def _changed_records(
        self, batch: list[SourcedRecord]
    ) -> tuple[list[SourcedRecord], list[SourcedRecord]]:
        """Return the records to write, and those that only wait for a link."""
        known_records = await self._ledger.known([item.record.id for item in batch])
        changed: list[SourcedRecord] = []
        unlinked: list[SourcedRecord] = []
        for item in batch:
            before = known_records.get(item.record.id)
            if before is None or before.digest != record_digest(item.record):
                changed.append(item)
                continue
            if not before.linked:
                unlinked.append(item)
            item.source.report.unchanged += 1
            self.summary.unchanged += 1
            item.source.on_progress(1)
        return changed, unlinked


def _is_below(origin: str, prefix: str) -> bool:
    if prefix:
        return origin.startswith(prefix)
    return not origin.startswith(("/", "../", "http://", "https://"))
