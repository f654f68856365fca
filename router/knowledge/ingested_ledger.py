"""The ledger of ingested records in Postgres: each record's digest, origin and links.

A record is in the ledger once every store has it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from router.backends.postgres_pool import PostgresPool
from router.knowledge.records import Record

CREATE = """
    CREATE TABLE IF NOT EXISTS ingested (
        id text PRIMARY KEY, origin text NOT NULL, digest text NOT NULL,
        linked boolean NOT NULL, at timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE ingested ADD COLUMN IF NOT EXISTS local_id text NOT NULL DEFAULT '';
    CREATE INDEX IF NOT EXISTS ingested_origin ON ingested (origin text_pattern_ops);
    CREATE INDEX IF NOT EXISTS ingested_local_id ON ingested (local_id);
"""
SELECT_KNOWN = "SELECT id, digest, linked FROM ingested WHERE id = ANY($1::text[])"
SELECT_IDS = "SELECT id FROM ingested WHERE origin = $1 ORDER BY id"
SELECT_IDS_BELOW = (
    "SELECT id FROM ingested WHERE origin = $1 OR starts_with(origin, $1 || '/') ORDER BY id"
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
        named = self.by_local_id.get(target, ())
        own = [record_id for record_id, place in named if place == origin]
        candidates = own or [record_id for record_id, _ in named]
        return candidates[0] if len(candidates) == 1 else None


class IngestedLedger:
    """Reads and writes the table ``ingested``. Errors are those of the driver."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def create(self) -> None:
        """Create the table; harmless when it exists."""
        await self._pool.execute(CREATE)

    async def known(self, ids: Sequence[str]) -> dict[str, KnownRecord]:
        """Return what was written of these records before."""
        rows = await self._pool.fetch(SELECT_KNOWN, list(ids))
        return {row["id"]: KnownRecord(row["digest"], row["linked"]) for row in rows}

    async def ids_of(self, origin: str) -> list[str]:
        """Return the ids that came from one source."""
        return [row["id"] for row in await self._pool.fetch(SELECT_IDS, origin)]

    async def ids_below(self, origin: str) -> list[str]:
        """Return the ids that came from a source, or from any below a folder."""
        return [row["id"] for row in await self._pool.fetch(SELECT_IDS_BELOW, origin)]

    async def origins(self) -> dict[str, int]:
        """Return every origin with its number of records."""
        return {row["origin"]: row["records"] for row in await self._pool.fetch(SELECT_ORIGINS)}

    async def link_targets(self, records: Sequence[Record]) -> LinkTargets:
        """Return the records that these records' links may mean."""
        wanted = list({link.target for record in records for link in record.links})
        rows = await self._pool.fetch(SELECT_TARGETS, wanted) if wanted else []
        named: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in rows:
            named[row["local_id"]].append((row["id"], row["origin"]))
        return LinkTargets(
            frozenset(row["id"] for row in rows),
            {name: tuple(places) for name, places in named.items()},
        )

    async def record(
        self,
        origin: str,
        records: Sequence[Record],
        digests: Mapping[str, str],
        linked: Mapping[str, bool],
    ) -> None:
        """Write that every store has these records."""
        rows = [
            (record.id, origin, digests[record.id], linked[record.id], record.local_id)
            for record in records
        ]
        await self._pool.executemany(UPSERT, rows)

    async def delete(self, ids: Sequence[str]) -> None:
        """Forget records that no store has any more."""
        await self._pool.execute(DELETE, list(ids))
