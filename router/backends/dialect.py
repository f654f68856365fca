"""The features of a Bolt server beyond common Cypher: full-text and vector indexes.

Neo4j and the embedded server have the same procedures, under different index names. Neo4j creates
its indexes in Cypher; ``sluice/stack/graph_server.py`` creates those of the embedded server. On a
server without indexes a search starts from names alone. The dialect is detected from the server.
"""

import re
from dataclasses import dataclass
from typing import LiteralString
from weakref import WeakKeyDictionary

from neo4j import READ_ACCESS, AsyncDriver
from neo4j.exceptions import ClientError, DatabaseError

from router.backends.vector_store import EMBEDDING_DIMENSION

RECORD_PROJECTION: LiteralString = (
    "n.id AS id, n.kind AS kind, n.title AS title, n.text AS text, n.source AS source, "
    "n.occurred_on AS occurred_on"
)
RECORD_COLUMNS: LiteralString = "id, kind, title, text, source, occurred_on"
LINK_COLUMNS: LiteralString = (
    "entry_near, entry_kind, entry_title, entry_text, entry_source, entry_occurred_on, entry, via, "
    f"outgoing, near, {RECORD_COLUMNS}"
)
"""Columns of a record that a search reached, and of the record that it is linked to."""
CONSTRAINTS: tuple[LiteralString, ...] = (
    "CREATE CONSTRAINT sluice_record_id IF NOT EXISTS FOR (r:SluiceRecord) REQUIRE r.id IS UNIQUE",
    "CREATE CONSTRAINT sluice_name_key IF NOT EXISTS FOR (n:SluiceName) REQUIRE n.key IS UNIQUE",
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The statements for one kind of server; ``schema`` is safe to repeat.

    ``vector_search`` ($vector, $limit, $rows) returns entry records and their linked records, with
    cosines. ``hybrid_search`` ($words too) also searches the full text. Both are None on a server
    without indexes.
    """

    schema: tuple[LiteralString, ...] = CONSTRAINTS
    vector_search: LiteralString | None = None
    hybrid_search: LiteralString | None = None

    @property
    def stores_vectors(self) -> bool:
        """Return true when records carry their vector in the graph too."""
        return self.vector_search is not None


def _indexed_dialect(
    schema: tuple[LiteralString, ...],
    text: LiteralString,
    vector: LiteralString,
    cosine: LiteralString,
) -> Dialect:
    # A server follows links from a node directly; from an id it must look up each node first.
    hop: LiteralString = (
        "YIELD node AS e OPTIONAL MATCH (e)-[l]-(n:SluiceRecord) WITH "
        f"{cosine.format(node='e')} AS entry_near, e.kind AS entry_kind, e.title AS entry_title, "
        "e.text AS entry_text, e.source AS entry_source, e.occurred_on AS entry_occurred_on, "
        "e.id AS entry, [type(l)] AS via, startNode(l).id = e.id AS outgoing, "
        f"{cosine.format(node='n')} AS near, {RECORD_PROJECTION} LIMIT $rows "
        f"RETURN collect([{LINK_COLUMNS}]) AS rows"
    )
    by_text: LiteralString = (
        f"CALL db.index.fulltext.queryNodes('{text}', $words, {{limit: $limit}}) {hop}"
    )
    by_vector: LiteralString = f"CALL db.index.vector.queryNodes('{vector}', $limit, $vector) {hop}"
    return Dialect(schema, by_vector, f"{by_text} UNION ALL {by_vector}")


PLAIN = Dialect()
NEO4J = _indexed_dialect(
    (
        *CONSTRAINTS,
        "CREATE FULLTEXT INDEX sluice_record_text IF NOT EXISTS FOR (r:SluiceRecord) ON EACH [r.title, r.text] "
        "OPTIONS {indexConfig: {`fulltext.analyzer`: 'english'}}",
        "CREATE VECTOR INDEX sluice_record_embedding IF NOT EXISTS FOR (r:SluiceRecord) ON (r.embedding) "
        "OPTIONS {indexConfig: {`vector.dimensions`: 384, `vector.similarity_function`: 'cosine'}}",
    ),
    "sluice_record_text",
    "sluice_record_embedding",
    # Neo4j returns (1 + cosine) / 2.
    "2 * vector.similarity.cosine({node}.embedding, $vector) - 1",
)
EMBEDDED = _indexed_dialect(
    CONSTRAINTS,
    "SluiceRecord[title,text]",
    "SluiceRecord[embedding]",
    "vector.similarity.cosine({node}.embedding, $vector)",
)
assert EMBEDDING_DIMENSION == 384  # noqa: S101, PLR2004 - Cypher takes no parameter in a schema statement


async def detect_dialect(driver: AsyncDriver, database: str) -> Dialect:
    """Return the server's dialect, detected once.

    A server without indexes is checked again at the next call. Raises the driver's errors.
    """
    dialects = _detected_dialects.setdefault(driver, {})
    if database not in dialects:
        dialect = await _detect(driver, database)
        if dialect is PLAIN:
            return dialect
        dialects[database] = dialect
    return dialects[database]


_detected_dialects: WeakKeyDictionary[AsyncDriver, dict[str, Dialect]] = WeakKeyDictionary()


async def _detect(driver: AsyncDriver, database: str) -> Dialect:
    info = await driver.get_server_info()
    # "Neo4j/5.26.0", while the embedded server calls itself "Neo4j/5.26.0 compatible (…)".
    if re.fullmatch(r"Neo4j/\S+", info.agent):
        return NEO4J
    try:
        await refresh_indexes(driver, database, EMBEDDED)
    except (ClientError, DatabaseError):
        # Another Bolt server, or one that this project did not set up, may have no indexes.
        return PLAIN
    return EMBEDDED


async def refresh_indexes(driver: AsyncDriver, database: str, dialect: Dialect) -> None:
    """Run one search, so that the embedded server updates its indexes now.

    The server updates them at the first search after a change. For a few thousand records this
    takes one second, or three on a busy machine. The writer waits for it, so that the next query
    does not. Raises the driver's errors.
    """
    if dialect.hybrid_search is None:
        return
    async with driver.session(database=database, default_access_mode=READ_ACCESS) as session:
        vector = [1.0] + [0.0] * (EMBEDDING_DIMENSION - 1)
        parameters = {"words": "index", "vector": vector, "limit": 1, "rows": 1}
        await (await session.run(dialect.hybrid_search, parameters)).consume()
