"""The ledger of ingested records in Postgres: each record's digest, origin and links.

A record is in the ledger once every store has it.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from router.backends.postgres_pool import PostgresPool
from router.knowledge.records import Link, Record

PAGE = 2_000
"""Ids of a source that are read at once, so that a large source needs little memory."""

CREATE = """
    CREATE TABLE IF NOT EXISTS ingested (
        id text PRIMARY KEY, origin text NOT NULL, digest text NOT NULL,
        linked boolean NOT NULL, at timestamptz NOT NULL DEFAULT now(),
        local_id text NOT NULL DEFAULT ''
    );
    CREATE INDEX IF NOT EXISTS ingested_origin ON ingested (origin text_pattern_ops);
    CREATE INDEX IF NOT EXISTS ingested_local_id ON ingested (local_id);
"""
IS_CREATED = "SELECT to_regclass('ingested_local_id') IS NOT NULL AS created"
"""The last index. ``CREATE INDEX IF NOT EXISTS`` waits for every writer of the table, even if it exists."""
SELECT_KNOWN = "SELECT id, digest, linked FROM ingested WHERE id = ANY($1::text[])"
SELECT_IDS = "SELECT id FROM ingested WHERE origin = $1 AND id > $2 ORDER BY id LIMIT $3"
SELECT_IDS_BELOW = (
    "SELECT id FROM ingested WHERE origin = $1 OR starts_with(origin, $1 || '/') LIMIT $2"
)
SELECT_ORIGINS = "SELECT origin, count(*) AS records FROM ingested GROUP BY origin ORDER BY origin"
SELECT_TARGETS = """
    SELECT id, local_id, origin FROM ingested
    WHERE id = ANY($1::text[]) OR (local_id <> '' AND local_id = ANY($1::text[]))
"""
UPSERT = """
    INSERT INTO ingested (id, origin, digest, linked, local_id) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET origin = excluded.origin, digest = excluded.digest,
        linked = excluded.linked, local_id = excluded.local_id, at = now()
"""
MARK_LINKED = "UPDATE ingested SET linked = true WHERE id = ANY($1::text[])"
SELECT_SOURCES = "SELECT DISTINCT source FROM records WHERE id = ANY($1::text[])"
DELETE = "DELETE FROM ingested WHERE id = ANY($1::text[])"


@dataclass(frozen=True, slots=True)
class KnownRecord:
    """A record's digest as it was written, and whether all of its links were made."""

    digest: str
    linked: bool


@dataclass(frozen=True, slots=True)
class LinkTargets:
    """Ids of records by the name that links use: an id, or the id within a file."""

    ids: frozenset[str]
    by_local_id: Mapping[str, tuple[tuple[str, str], ...]]

    def resolve(self, target: str, origin: str) -> str | None:
        """Return the id that ``target`` means in a link of ``origin``.

        An exact id comes first, then a record of the same file, then the only one of that name.
        None: no record has this name, or several have.
        """
        if target in self.ids:
            return target
        matches = self.by_local_id.get(target, ())
        own_ids = [record_id for record_id, place in matches if place == origin]
        candidates = own_ids or [record_id for record_id, _ in matches]
        return candidates[0] if len(candidates) == 1 else None


class IngestedLedger:
    """Reads and writes the table ``ingested``. Errors are those of the driver."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def create(self) -> None:
        """Create the table, unless it exists: an ingestion must not wait for another one's writes."""
        (row,) = await self._pool.fetch(IS_CREATED)
        if not row["created"]:
            await self._pool.execute(CREATE)

    async def known(self, ids: Sequence[str]) -> dict[str, KnownRecord]:
        """Return what was written of these records before."""
        rows = await self._pool.fetch(SELECT_KNOWN, list(ids))
        return {row["id"]: KnownRecord(row["digest"], row["linked"]) for row in rows}

    async def ids_without(
        self, origin: str, seen_hashes: NDArray[np.int64]
    ) -> AsyncIterator[list[str]]:
        """Yield the ids that came from a source, without those whose hash is in ``seen_hashes`` (sorted)."""
        last = ""
        while rows := await self._pool.fetch(SELECT_IDS, origin, last, PAGE):
            last = rows[-1]["id"]
            hashes = np.array([hash(row["id"]) for row in rows], dtype=np.int64)
            places = np.searchsorted(seen_hashes, hashes)
            inside = places < len(seen_hashes)
            inside[inside] = seen_hashes[places[inside]] == hashes[inside]
            if missing_ids := [
                row["id"] for row, is_seen in zip(rows, inside, strict=True) if not is_seen
            ]:
                yield missing_ids

    async def sources_of(self, ids: Sequence[str]) -> list[str]:
        """Return what readers are shown as the sources of these records."""
        rows = await self._pool.fetch(SELECT_SOURCES, list(ids))
        return [row["source"] for row in rows]

    async def ids_below(self, origin: str, limit: int) -> list[str]:
        """Return some of the ids that came from a source, or from any below a folder."""
        return [row["id"] for row in await self._pool.fetch(SELECT_IDS_BELOW, origin, limit)]

    async def origins(self) -> dict[str, int]:
        """Return every origin with its number of records."""
        return {row["origin"]: row["records"] for row in await self._pool.fetch(SELECT_ORIGINS)}

    async def link_targets(self, links: Sequence[Link]) -> LinkTargets:
        """Return the records that these links may mean."""
        targets = list({link.target for link in links})
        rows = await self._pool.fetch(SELECT_TARGETS, targets) if targets else []
        places_by_name: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in rows:
            places_by_name[row["local_id"]].append((row["id"], row["origin"]))
        return LinkTargets(
            frozenset(row["id"] for row in rows),
            {name: tuple(places) for name, places in places_by_name.items()},
        )

    async def record(self, records: Sequence[tuple[Record, str]]) -> None:
        """Write that every store has these records, each from its origin; links are made later."""
        rows = [
            (record.id, origin, record_digest(record), not record.links, record.local_id)
            for record, origin in records
        ]
        await self._pool.executemany(UPSERT, rows)

    async def mark_linked(self, ids: Sequence[str]) -> None:
        """Write that all links of these records are made."""
        await self._pool.execute(MARK_LINKED, list(ids))

    async def delete(self, ids: Sequence[str]) -> None:
        """Forget records that no store has any more."""
        await self._pool.execute(DELETE, list(ids))


def record_digest(record: Record) -> str:
    """Return a digest that changes with anything in the record."""
    text = json.dumps(asdict(record), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
