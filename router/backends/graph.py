"""Questions about relations, answered from Neo4j over Bolt.

Entry points are the names and identifiers a question mentions, looked up in ``Name`` nodes (an
indexed lookup). A question that names nothing enters where its words and its vector lead, if the
server has such indexes (``dialect.py``). From there at most two hops, ranked by path and by what
the question asks for.
Only constant, parameterised Cypher; sessions are read-only and live for one search.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any, LiteralString

from neo4j import READ_ACCESS, AsyncDriver, AsyncManagedTransaction
from neo4j.exceptions import DriverError, Neo4jError

from router import trace
from router.backends.base import Hit, Search
from router.backends.dialect import COLUMNS, RECORD, Dialect, dialect_of
from router.backends.words import (
    STOPWORDS,
    content_stems,
    content_words,
    fold,
    name_candidates,
    stem,
)
from router.errors import StoreUnavailable

MAX_ENTRIES = 20
MAX_NEIGHBOURS = 400
MAX_NEAREST = 5
TEXT_WEIGHT = 0.5
NEAR_COSINE = 0.4
"""Entries that nobody named must at least be about the question; measured by the embedding model."""

ENTRIES: LiteralString = (
    "MATCH (k:Name)-[:NAMES]->(n:Record) WHERE k.key IN $keys "
    "WITH k.key AS key, " + RECORD + " LIMIT $limit RETURN collect([key, " + COLUMNS + "])"
)
ONE_HOP: LiteralString = (
    "MATCH (e:Record)-[l]-(n:Record) WHERE e.id IN $ids "
    "WITH e.id AS entry, [type(l)] AS via, startNode(l).id = e.id AS outgoing, "
    + RECORD
    + " LIMIT $limit RETURN collect([entry, via, outgoing, "
    + COLUMNS
    + "])"
)
TWO_HOPS: LiteralString = (
    "MATCH (e:Record)-[l]-(m:Record)-[k]-(n:Record) WHERE e.id IN $ids AND NOT n.id IN $ids "
    "WITH e.id AS entry, [type(l), type(k)] AS via, "
    + RECORD
    + " LIMIT $limit RETURN collect([entry, via, "
    + COLUMNS
    + "])"
)
HEALTH: LiteralString = "RETURN 1 AS one"

Row = Mapping[str, Any]


@dataclass(slots=True)
class GraphBackend:
    """``driver`` belongs to the caller, who closes it. The dialect is asked for once."""

    driver: AsyncDriver
    database: str
    name: str = "graph"
    dialect: Dialect | None = None

    async def search(self, search: Search) -> list[Hit]:
        try:
            self.dialect = self.dialect or await dialect_of(self.driver)
            async with self.driver.session(
                database=self.database, default_access_mode=READ_ACCESS
            ) as session:
                entries, rows = await session.execute_read(_expand, search, self.dialect)
        except (Neo4jError, DriverError, OSError) as error:
            raise StoreUnavailable(self.name, f"{type(error).__name__}: {error}") from error
        trace.note("graph", {"entries": sorted({e["key"] for e in entries}), "records": len(rows)})
        return rank(search, entries, rows)[: search.limit]

    async def health(self) -> None:
        try:
            async with self.driver.session(
                database=self.database, default_access_mode=READ_ACCESS
            ) as session:
                await (await session.run(HEALTH)).consume()
        except (Neo4jError, DriverError, OSError) as error:
            raise StoreUnavailable(self.name, f"{type(error).__name__}: {error}") from error


async def _expand(
    tx: AsyncManagedTransaction, search: Search, dialect: Dialect
) -> tuple[list[Row], list[Row]]:
    keys = name_candidates(search.query)
    named = await _rows(tx, ENTRIES, keys=keys, limit=MAX_ENTRIES) if keys else []
    entries = _most_specific(named) or await _nearest(tx, search, dialect)
    ids = sorted({entry["id"] for entry in entries})
    if not ids:
        return [], []
    near = await _rows(tx, ONE_HOP, ids=ids, limit=MAX_NEIGHBOURS)
    far = await _rows(tx, TWO_HOPS, ids=ids, limit=MAX_NEIGHBOURS)
    return entries, near + far


async def _nearest(tx: AsyncManagedTransaction, search: Search, dialect: Dialect) -> list[Row]:
    """Where words and vector lead; ``weight`` is how sure that is, the cosine where there is one."""
    found: dict[str, dict[str, Any]] = {}
    words = " ".join(re.sub(r"\W", " ", word) for word in content_words(search.query))
    if dialect.by_text and words.strip():
        for row in await _rows(tx, dialect.by_text, words=words, limit=MAX_NEAREST):
            found[row["id"]] = {**row, "weight": TEXT_WEIGHT}
    if dialect.by_vector:
        vector = search.embedding.tolist()
        for row in await _rows(tx, dialect.by_vector, vector=vector, limit=MAX_NEAREST):
            weight = max(found.get(row["id"], {}).get("weight", 0.0), row["score"])
            if row["score"] >= NEAR_COSINE or row["id"] in found:
                found[row["id"]] = {**row, "weight": weight}
    return [{**row, "key": fold(row["title"])} for row in found.values()]


async def _rows(tx: AsyncManagedTransaction, cypher: LiteralString, **params: object) -> list[Row]:
    """All rows in one message: the driver takes longer over a message than over its content."""
    collected = await (await tx.run(cypher, params)).single(strict=True)
    columns = _columns(cypher)
    return [dict(zip(columns, row, strict=True)) for row in collected[0]]


@lru_cache(maxsize=16)
def _columns(cypher: LiteralString) -> tuple[str, ...]:
    """What stands in a row, from the statement's own end: ``RETURN collect([entry, via])``."""
    return tuple(cypher.rpartition("[")[2].removesuffix("])").split(", "))


def _most_specific(entries: list[Row]) -> list[Row]:
    """Drop the entry for ``anna`` when ``anna kowalski`` was found too."""
    keys = {entry["key"] for entry in entries}
    return [
        entry
        for entry in entries
        if not any(entry["key"] != other and f" {entry['key']} " in f" {other} " for other in keys)
    ]


def rank(search: Search, entries: list[Row], rows: list[Row]) -> list[Hit]:
    """Best first. Pure: rows in, hits out; a record keeps its best path."""
    asked = content_stems(search.query)
    wanted = _wanted_kinds(asked, entries, rows)
    names = {entry["id"]: entry["key"] for entry in entries}
    sure = {entry["id"]: float(entry.get("weight", 1.0)) for entry in entries}
    best: dict[str, Hit] = {}
    reached: dict[str, set[str]] = {}
    for row in rows:
        if not _in_window(search, row):
            continue
        reached.setdefault(row["id"], set()).add(row["entry"])
        score = _path_score(row, asked, wanted) + _direction(search.query, row, names)
        _keep(best, _hit(row, min(1.0, score) * sure[row["entry"]]))
    for entry in entries:
        if _in_window(search, entry):
            score = 0.35 + 0.1 * _overlap(entry, asked)
            _keep(best, _hit(entry, score * sure[entry["id"]]))
    hits = [
        replace(hit, score=min(1.0, hit.score + 0.1 * (len(reached.get(hit.id, ())) > 1)))
        for hit in best.values()
    ]
    return _ordered(search, hits)


def _wanted_kinds(asked: frozenset[str], entries: list[Row], rows: list[Row]) -> dict[str, int]:
    """Kinds the question names, other than those it starts from, and how many hops away they are.

    "Which customer does the contract behind INV-7 belong to": contract at one hop, customer at two.
    """
    known = {entry["kind"] for entry in entries}
    wanted: dict[str, int] = {}
    for row in rows:
        kind, hops = row["kind"], len(row["via"])
        if kind not in known and stem(kind) in asked:
            wanted[kind] = min(hops, wanted.get(kind, hops))
    return wanted


def _path_score(row: Row, asked: frozenset[str], wanted: dict[str, int]) -> float:
    """A kind asked for counts where it is nearest: not all trucks of a depot are "the truck"."""
    via: list[str] = row["via"]
    score = 0.4 if len(via) == 1 else 0.2
    if wanted.get(row["kind"]) == len(via):
        score += 0.3
    relations = sum(bool(_stems_of_type(kind) & asked) for kind in via)
    return (
        score
        + (0.2 if relations == len(via) == 1 else 0.05 * relations)
        + 0.1 * _overlap(row, asked)
    )


def _direction(query: str, row: Row, names: Mapping[str, str]) -> float:
    """Anna reports to: the link from Anna; reports to Anna: the links to her.

    Only where the question uses the link's own verb; a passive ("driven by Anna") turns it round.
    """
    if len(row["via"]) != 1 or "outgoing" not in row:
        return 0.0
    words = fold(query).split()
    verbs = _stems_of_type(row["via"][0]) - STOPWORDS
    said = next((place for place, word in enumerate(words) if stem(word) in verbs), None)
    text = " ".join(words)
    named = len(text.partition(names[row["entry"]])[0].split())
    if said is None:
        return 0.0
    passive = words[said + 1 : said + 2] == ["by"]
    outgoing = (named < said) != passive
    return 0.1 if outgoing == row["outgoing"] else 0.0


@lru_cache(maxsize=1024)
def _stems_of_type(relation: str) -> frozenset[str]:
    return frozenset(stem(word) for word in relation.lower().split("_"))


def _overlap(row: Row, asked: frozenset[str]) -> float:
    if not asked:
        return 0.0
    return len(asked & content_stems(f"{row['title']} {row['text']}")) / len(asked)


def _in_window(search: Search, row: Row) -> bool:
    if search.window is None:
        return True
    if not row["occurred_on"]:
        return False
    return search.window.contains(date.fromisoformat(str(row["occurred_on"])[:10]))


def _ordered(search: Search, hits: list[Hit]) -> list[Hit]:
    order = search.window.order if search.window else None
    hits.sort(key=lambda hit: (-hit.score, hit.id))
    if order:
        # By date among what matters (kinds or relations asked for), not among every neighbour.
        hits = [hit for hit in hits if hit.score >= 0.75 * hits[0].score]
        hits.sort(key=lambda hit: hit.occurred_on or "", reverse=order == "latest")
        hits = [replace(hit, score=1.0 / (1 + 0.2 * place)) for place, hit in enumerate(hits)]
    return hits


def _keep(best: dict[str, Hit], hit: Hit) -> None:
    if hit.id not in best or best[hit.id].score < hit.score:
        best[hit.id] = hit


def _hit(row: Row, score: float) -> Hit:
    day = row["occurred_on"]
    return Hit(
        id=row["id"],
        title=row["title"],
        text=row["text"],
        source=row["source"],
        score=score,
        kind=row["kind"],
        backend="graph",
        occurred_on=str(day)[:10] if day else None,
    )
