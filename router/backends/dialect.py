"""What a Bolt server can do beyond common Cypher: Neo4j's full-text and vector indexes.

The embedded server speaks the same Cypher but has neither; there the graph is entered by names
alone. Which of the two it is, the server itself says.
"""

import re
from dataclasses import dataclass
from typing import LiteralString

from neo4j import AsyncDriver

from router.backends.vectors import DIMENSION

RECORD: LiteralString = (
    "n.id AS id, n.kind AS kind, n.title AS title, n.text AS text, n.source AS source, "
    "n.occurred_on AS occurred_on"
)
COLUMNS: LiteralString = "id, kind, title, text, source, occurred_on"
CONSTRAINTS: tuple[LiteralString, ...] = (
    "CREATE CONSTRAINT record_id IF NOT EXISTS FOR (r:Record) REQUIRE r.id IS UNIQUE",
    "CREATE CONSTRAINT name_key IF NOT EXISTS FOR (n:Name) REQUIRE n.key IS UNIQUE",
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Statements; ``schema`` is safe to repeat.

    ``by_text`` ($words, $limit) and ``by_vector`` ($vector, $limit) find records to enter the graph
    at, each with a ``score``; None where there is no such index.
    """

    schema: tuple[LiteralString, ...] = CONSTRAINTS
    by_text: LiteralString | None = None
    by_vector: LiteralString | None = None

    @property
    def keeps_vectors(self) -> bool:
        """Whether records carry their vector in the graph too."""
        return self.by_vector is not None


PLAIN = Dialect()
NEO4J = Dialect(
    schema=(
        *CONSTRAINTS,
        "CREATE FULLTEXT INDEX record_text IF NOT EXISTS FOR (r:Record) ON EACH [r.title, r.text]",
        "CREATE VECTOR INDEX record_embedding IF NOT EXISTS FOR (r:Record) ON (r.embedding) "
        "OPTIONS {indexConfig: {`vector.dimensions`: 384, `vector.similarity_function`: 'cosine'}}",
    ),
    by_text="CALL db.index.fulltext.queryNodes('record_text', $words, {limit: $limit}) "
    "YIELD node AS n, score WITH score, " + RECORD + " RETURN collect([score, " + COLUMNS + "])",
    # Neo4j answers (1 + cosine) / 2.
    by_vector="CALL db.index.vector.queryNodes('record_embedding', $limit, $vector) "
    "YIELD node AS n, score WITH 2 * score - 1 AS score, "
    + RECORD
    + " RETURN collect([score, "
    + COLUMNS
    + "])",
)
assert DIMENSION == 384  # noqa: S101, PLR2004 - Cypher takes no parameter in a schema statement


async def dialect_of(driver: AsyncDriver) -> Dialect:
    """Raises the driver's errors."""
    info = await driver.get_server_info()
    # "Neo4j/5.26.0", while the embedded server calls itself "Neo4j/5.26.0 compatible (…)".
    return NEO4J if re.fullmatch(r"Neo4j/\S+", info.agent) else PLAIN
