"""Questions about relations, answered from Neo4j over Bolt.

Entry points are the names and identifiers a question mentions, looked up in ``Name`` nodes (an
indexed lookup), and the records that its vector and its words lead to, if the server has such
indexes (``dialect.py``). An identifier leaves no doubt what is meant: then names are enough. From a
name at most two hops, from the others one; ``paths.py`` ranks what was reached.
Only constant, parameterised Cypher; sessions are read-only and live for one search.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import LiteralString

from neo4j import READ_ACCESS, AsyncDriver, AsyncManagedTransaction
from neo4j.exceptions import DriverError, Neo4jError

from router import trace
from router.backends.base import Search, Searched
from router.backends.dialect import COLUMNS, RECORD, Dialect, dialect_of
from router.backends.paths import Reached, Row, rank
from router.backends.words import content_words, is_identifier, name_candidates
from router.errors import StoreUnavailable

MAX_ENTRIES = 20
MAX_NEIGHBOURS = 400
MAX_NEAREST = 5

ENTRIES: LiteralString = (
    "MATCH (k:Name)-[:NAMES]->(n:Record) WHERE k.key IN $keys "
    "WITH k.key AS key, " + RECORD + " LIMIT $limit RETURN collect([key, " + COLUMNS + "]) AS rows"
)
ONE_HOP: LiteralString = (
    "MATCH (e:Record)-[l]-(n:Record) WHERE e.id IN $ids "
    "WITH e.id AS entry, [type(l)] AS via, startNode(l).id = e.id AS outgoing, "
    + RECORD
    + " LIMIT $limit RETURN collect([entry, via, outgoing, "
    + COLUMNS
    + "]) AS rows"
)
TWO_HOPS: LiteralString = (
    "MATCH (e:Record)-[l]-(m:Record)-[k]-(n:Record) WHERE e.id IN $ids AND NOT n.id IN $ids "
    "WITH e.id AS entry, [type(l), type(k)] AS via, "
    + RECORD
    + " LIMIT $limit RETURN collect([entry, via, "
    + COLUMNS
    + "]) AS rows"
)
HEALTH: LiteralString = "RETURN 1 AS one"


@dataclass(slots=True)
class GraphBackend:
    """``driver`` belongs to the caller, who closes it. The dialect is asked for once."""

    driver: AsyncDriver
    database: str
    name: str = "graph"
    dialect: Dialect | None = None

    async def search(self, search: Search) -> Searched:
        try:
            self.dialect = self.dialect or await dialect_of(self.driver, self.database)
            async with self.driver.session(
                database=self.database, default_access_mode=READ_ACCESS
            ) as session:
                reached = await session.execute_read(_expand, search, self.dialect)
        except (Neo4jError, DriverError, OSError) as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error
        trace.note("graph", reached.told())
        return Searched(rank(search, reached)[: search.limit])

    async def health(self) -> None:
        try:
            async with self.driver.session(
                database=self.database, default_access_mode=READ_ACCESS
            ) as session:
                await (await session.run(HEALTH)).consume()
        except (Neo4jError, DriverError, OSError) as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error


async def _expand(tx: AsyncManagedTransaction, search: Search, dialect: Dialect) -> Reached:
    keys = name_candidates(search.query)
    named = await _rows(tx, ENTRIES, keys=keys, limit=MAX_ENTRIES) if keys else []
    named = _most_specific(named)
    ids = sorted({entry["id"] for entry in named})
    paths: list[Row] = []
    if ids:
        paths += await _rows(tx, ONE_HOP, ids=ids, limit=MAX_NEIGHBOURS)
        paths += await _rows(tx, TWO_HOPS, ids=ids, limit=MAX_NEIGHBOURS)
    if any(is_identifier(word) for entry in named for word in entry["key"].split()):
        return Reached(named, paths)
    beside = await _nearest(tx, search, dialect)
    nearest = {row["entry"]: _entry(row) for row in beside}
    linked = [row for row in beside if row["id"] is not None]
    return Reached(named, paths, list(nearest.values()), linked)


async def _nearest(tx: AsyncManagedTransaction, search: Search, dialect: Dialect) -> list[Row]:
    """Where words and vector lead, and what is linked to that."""
    # Lower case and without signs: nothing of it is an operator to Lucene.
    words = " ".join(content_words(search.query)).translate(_SIGNS)
    statement = dialect.by_both if words.strip() else dialect.by_vector
    if statement is None:
        return []
    given = {"vector": search.embedding.tolist(), "limit": MAX_NEAREST, "rows": MAX_NEIGHBOURS}
    return await _rows(tx, statement, words=words, **given)


def _entry(row: Row) -> Row:
    """The record a row starts from."""
    own = ("near", "kind", "title", "text", "source", "occurred_on")
    found = {name: row[f"entry_{name}"] for name in own}
    return {**found, "id": row["entry"]}


_SIGNS = str.maketrans(dict.fromkeys("-_.'/", " "))


async def _rows(tx: AsyncManagedTransaction, cypher: LiteralString, **params: object) -> list[Row]:
    """All rows in one message: the driver takes longer over a message than over its content."""
    result = await tx.run(cypher, params)
    columns = _columns(cypher)
    return [
        dict(zip(columns, row, strict=True)) async for record in result for row in record["rows"]
    ]


@lru_cache(maxsize=16)
def _columns(cypher: LiteralString) -> tuple[str, ...]:
    """What stands in a row, from the statement's own end: ``RETURN collect([entry, via]) AS rows``."""
    return tuple(cypher.rpartition("collect([")[2].removesuffix("]) AS rows").split(", "))


def _most_specific(entries: list[Row]) -> list[Row]:
    """Drop the entry for ``anna`` when ``anna kowalski`` was found too."""
    keys = {entry["key"] for entry in entries}
    return [
        entry
        for entry in entries
        if not any(entry["key"] != other and f" {entry['key']} " in f" {other} " for other in keys)
    ]
