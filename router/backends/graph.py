"""The backend for questions about relations: Neo4j over Bolt.

A search starts from the names and identifiers in the question, by an indexed lookup of ``Name``
nodes. It also starts from the records nearest to the question's vector and words, if the server
has such indexes (``dialect.py``). An identifier is unambiguous, so names are then enough. A search
follows at most two hops from a name and one from any other record. ``graph_ranking.py`` ranks the
records. The Cypher is constant and parameterised; sessions are read-only and last for one search.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import LiteralString

from neo4j import READ_ACCESS, AsyncDriver, AsyncSession
from neo4j.exceptions import DriverError, Neo4jError

from router.backends.base import SearchRequest, SearchResult
from router.backends.dialect import (
    LINK_COLUMNS,
    RECORD_COLUMNS,
    RECORD_PROJECTION,
    Dialect,
    detect_dialect,
)
from router.backends.graph_ranking import GraphRow, Subgraph, rank
from router.backends.tokenization import content_words, is_identifier, name_candidates
from router.errors import StoreUnavailable
from router.observability import trace

MAX_ENTRIES = 20
MAX_NEIGHBOURS = 400
MAX_NEAREST = 5

ENTRY_POINTS_QUERY: LiteralString = (
    "MATCH (k:SluiceName)-[:NAMES]->(n:SluiceRecord) WHERE k.key IN $keys "
    "WITH k.key AS key, "
    + RECORD_PROJECTION
    + " LIMIT $limit RETURN collect([key, "
    + RECORD_COLUMNS
    + "]) AS rows"
)
_NO_ENTRY: LiteralString = (
    "null AS entry_near, null AS entry_kind, null AS entry_title, null AS entry_text, "
    "null AS entry_source, null AS entry_occurred_on, null AS near, e.id AS entry, "
)
"""The columns of the entry record, which the first query has read already."""
_LINK_ROWS: LiteralString = (
    f"{RECORD_PROJECTION} LIMIT $rows RETURN collect([{LINK_COLUMNS}]) AS rows"
)
ONE_HOP_QUERY: LiteralString = (
    f"MATCH (e:SluiceRecord)-[l]-(n:SluiceRecord) WHERE e.id IN $ids WITH {_NO_ENTRY}"
    f"[type(l)] AS via, startNode(l).id = e.id AS outgoing, {_LINK_ROWS}"
)
TWO_HOPS_QUERY: LiteralString = (
    "MATCH (e:SluiceRecord)-[l]-(m:SluiceRecord)-[k]-(n:SluiceRecord) "
    f"WHERE e.id IN $ids AND NOT n.id IN $ids WITH {_NO_ENTRY}"
    f"[type(l), type(k)] AS via, null AS outgoing, {_LINK_ROWS}"
)
HEALTH_QUERY: LiteralString = "RETURN 1 AS one"


class QueryVector(list[float]):
    """A vector as a parameter, with a short ``repr``.

    The driver makes the ``repr`` of all parameters for its debug log, whether the log is on or not.
    That of 384 numbers took 0.26 ms, more than to send them.
    """

    def __repr__(self) -> str:
        return f"<{len(self)} numbers>"


@dataclass(slots=True)
class GraphBackend:
    """A backend over a Bolt driver, which the caller closes. The dialect is detected once."""

    driver: AsyncDriver
    database: str
    name: str = "graph"
    dialect: Dialect | None = None

    async def search(self, search: SearchRequest) -> SearchResult:
        try:
            self.dialect = self.dialect or await detect_dialect(self.driver, self.database)
            async with self.driver.session(
                database=self.database, default_access_mode=READ_ACCESS
            ) as session:
                reached = await _expand(session, search, self.dialect)
        except (Neo4jError, DriverError, OSError) as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error
        trace.add_note("graph", reached.explain())
        return SearchResult(rank(search, reached)[: search.limit])

    async def health(self) -> None:
        try:
            async with self.driver.session(
                database=self.database, default_access_mode=READ_ACCESS
            ) as session:
                await (await session.run(HEALTH_QUERY)).consume()
        except (Neo4jError, DriverError, OSError) as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error


async def _expand(session: AsyncSession, search: SearchRequest, dialect: Dialect) -> Subgraph:
    """Search in two round trips: the names, then the links from them and the indexes together."""
    keys = name_candidates(search.query)
    parameters: dict[str, object] = {"keys": keys, "limit": MAX_ENTRIES}
    entries = await _fetch_rows(session, ENTRY_POINTS_QUERY, parameters) if keys else []
    entries = _most_specific(entries)
    ids = sorted({entry["id"] for entry in entries})
    statements: list[LiteralString] = [ONE_HOP_QUERY, TWO_HOPS_QUERY] if ids else []
    words = _index_words(search)
    if not any(is_identifier(word) for entry in entries for word in entry["key"].split()):
        by_index = dialect.hybrid_search if words else dialect.vector_search
        statements += [by_index] if by_index is not None else []
    if not statements:
        return Subgraph(entries, [])
    parameters = {"ids": ids, "words": words, "vector": QueryVector(search.embedding.tolist())}
    parameters |= {"limit": MAX_NEAREST, "rows": MAX_NEIGHBOURS}
    rows = await _fetch_rows(session, " UNION ALL ".join(statements), parameters)
    paths = [row for row in rows if row["entry_kind"] is None]
    index_rows = [row for row in rows if row["entry_kind"] is not None]
    nearest = {row["entry"]: _entry_record(row) for row in index_rows}
    link_rows = [row for row in index_rows if row["id"] is not None]
    return Subgraph(entries, paths, list(nearest.values()), link_rows)


def _index_words(search: SearchRequest) -> str:
    """Return the words for the full-text index: no operator of Lucene's is among them."""
    return " ".join(content_words(search.query)).translate(_SIGNS_TO_SPACES).strip()


def _entry_record(row: GraphRow) -> GraphRow:
    """Return the record that a row starts from."""
    field_names = ("near", "kind", "title", "text", "source", "occurred_on")
    columns = {name: row[f"entry_{name}"] for name in field_names}
    return {**columns, "id": row["entry"]}


_SIGNS_TO_SPACES = str.maketrans(dict.fromkeys("-/", " "))
"""Operators of Lucene's. A sign within a word or a number ("3.2") is part of it, as in the index."""


async def _fetch_rows(
    session: AsyncSession, cypher: LiteralString, parameters: Mapping[str, object]
) -> list[GraphRow]:
    """Fetch all rows in one message, since the driver's cost is per message."""
    result = await session.run(cypher, dict(parameters))
    columns = _result_columns(cypher)
    return [
        dict(zip(columns, row, strict=True)) async for record in result for row in record["rows"]
    ]


@lru_cache(maxsize=16)
def _result_columns(cypher: LiteralString) -> tuple[str, ...]:
    """Return the columns of a row, read from the statement's last clause.

    The clause has the form ``RETURN collect([entry, via]) AS rows``.
    """
    return tuple(cypher.rpartition("collect([")[2].removesuffix("]) AS rows").split(", "))


def _most_specific(entries: list[GraphRow]) -> list[GraphRow]:
    """Drop the entry for ``anna`` when ``anna kowalski`` is an entry too."""
    keys = {entry["key"] for entry in entries}
    return [
        entry
        for entry in entries
        if not any(
            entry["key"] != longer_key and f" {entry['key']} " in f" {longer_key} "
            for longer_key in keys
        )
    ]
