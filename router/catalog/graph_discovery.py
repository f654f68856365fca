"""Discovery of a graph over Bolt: labels, properties, relationship types, indexes.

Everything is read from samples of bounded size. Neo4j 5 and the embedded server both answer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, LiteralString

from neo4j.exceptions import Neo4jError

from router.catalog.guesses import ColumnFacts, Roles, is_flag, roles_of, unit_of_text
from router.catalog.identifiers import phrase_of
from router.catalog.model import CatalogColumn, CatalogKind, CatalogLink, ColumnType

SAMPLE_NODES = 2000
SAMPLES = 20
SAMPLE_CHARS = 80
_OWN_LABELS = frozenset(("SluiceRecord", "SluiceName"))
_YEARS = range(1000, 2200)
LABELS: LiteralString = "CALL db.labels() YIELD label RETURN collect(label) AS names"
TYPES: LiteralString = (
    "CALL db.relationshipTypes() YIELD relationshipType RETURN collect(relationshipType) AS names"
)
INDEXES: LiteralString = "SHOW INDEXES"
CONSTRAINTS: LiteralString = "SHOW CONSTRAINTS"
Session = Any
"""An ``neo4j.AsyncSession``; its ``run`` wants literal text, and labels are none."""


@dataclass(frozen=True, slots=True)
class GraphParts:
    """Kinds and links of one graph."""

    kinds: Mapping[str, CatalogKind]
    links: tuple[CatalogLink, ...]


async def discover_graph(session: Session) -> GraphParts:
    """Read the graph behind ``session``, a neo4j session that may only read."""
    labels = sorted(set((await _rows(session, LABELS))[0]["names"]) - _OWN_LABELS)
    keys = await _unique(session, labels)
    kinds = {}
    for label in labels:
        kind = await _kind(session, label, keys.get(label, ()))
        if kind.rows:
            kinds[label] = kind
    names = (await _rows(session, TYPES))[0]["names"]
    links = [link for name in sorted(names) for link in await _links(session, name, kinds)]
    return GraphParts(kinds, tuple(links))


async def _rows(session: Session, cypher: str, **values: object) -> list[dict[str, Any]]:
    result = await session.run(cypher, values)
    return [record.data() async for record in result]


async def _unique(session: Session, labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the properties of constraints, then of indexes, by label."""
    keys: dict[str, list[str]] = {label: [] for label in labels}
    for statement in (CONSTRAINTS, INDEXES):
        try:
            rows = await _rows(session, statement)
        except Neo4jError:  # a server without the command, or a role that may not ask
            continue
        for row in rows:
            unique = "UNIQUE" in row["type"] or "KEY" in row["type"] or row["type"] == "RANGE"
            properties, of = row.get("properties") or [], row.get("labelsOrTypes") or []
            if unique and len(properties) == 1 and of and of[0] in keys:
                keys[of[0]].append(properties[0])
    return {label: tuple(dict.fromkeys(names)) for label, names in keys.items()}


async def _kind(session: Session, label: str, indexed: Sequence[str]) -> CatalogKind:
    name = _escape(label)
    counted = await _rows(session, f"MATCH (n:{name}) RETURN count(n) AS n")
    sample = await _rows(
        session,
        f"MATCH (n:{name}) WITH n LIMIT $limit RETURN properties(n) AS p",
        limit=SAMPLE_NODES,
    )
    facts = _facts([row["p"] for row in sample], counted[0]["n"])
    key = next((field for field in indexed if field in facts and facts[field].unique), None)
    roles: Roles = roles_of(label, (key,) if key else (), facts)
    return CatalogKind(
        store="graph",
        source=label,
        key=roles.key,
        title=roles.title or roles.key,
        text=roles.text,
        date=roles.date,
        words=(phrase_of(label),),
        rows=counted[0]["n"],
        certainty=roles.certainty,
        columns={field: fact.column for field, fact in facts.items()},
    )


def _facts(sample: Sequence[Mapping[str, Any]], rows: int) -> dict[str, ColumnFacts]:
    values: dict[str, list[Any]] = {}
    for properties in sample:
        for name, value in properties.items():
            values.setdefault(name, []).append(value)
    return {name: _fact(samples, len(sample), rows) for name, samples in sorted(values.items())}


def _fact(values: Sequence[Any], sampled: int, rows: int) -> ColumnFacts:
    kind = _type(values)
    texts = list(dict.fromkeys(str(value)[:SAMPLE_CHARS] for value in values))
    complete = sampled == rows
    unique = len(values) == sampled and len(set(map(str, values))) == sampled and kind != "list"
    column = CatalogColumn(
        type=kind,
        distinct=len(texts) if complete else int(len(texts) / max(len(values), 1) * rows),
        nulls=round(1 - len(values) / max(sampled, 1), 3),
        samples=tuple(texts[:SAMPLES]) if kind in ("text", "list", "integer", "number") else (),
        unit=_unit(kind, values),
    )
    width = sum(len(str(value)) for value in values) / len(values)
    return ColumnFacts(column, width, unique)


def _type(values: Sequence[Any]) -> ColumnType:
    kinds = {_TYPES.get(type(value), _other(value)) for value in values}
    if kinds == {"integer", "number"}:
        return "number"
    return kinds.pop() if len(kinds) == 1 else "other"


def _other(value: object) -> ColumnType:
    name = type(value).__name__
    if name == "DateTime":
        return "timestamptz" if getattr(value, "tzinfo", None) else "timestamp"
    return _NAMES.get(name, "other")


_NAMES: Mapping[str, ColumnType] = {"Date": "date", "Time": "time"}
_TYPES: Mapping[type, ColumnType] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "list",
    date: "date",
    datetime: "timestamptz",
    time: "time",
}


def _unit(kind: ColumnType, values: Sequence[Any]) -> str:
    if kind == "integer" and _are_years(values):
        return "year"
    if kind == "text":
        return unit_of_text(values)
    return "flag" if kind == "integer" and is_flag(map(str, values)) else ""


def _are_years(values: Sequence[Any]) -> bool:
    return len(values) > 0 and all(value in _YEARS for value in values)


async def _links(
    session: Session, name: str, kinds: Mapping[str, CatalogKind]
) -> list[CatalogLink]:
    rows = await _rows(
        session,
        f"MATCH (a)-[r:{_escape(name)}]->(b) WITH a, r, b LIMIT $limit "
        "RETURN labels(a) AS start, labels(b) AS end, properties(r) AS p",
        limit=SAMPLE_NODES,
    )
    ends = Counter(
        (start, end)
        for row in rows
        for start in _labels(row["start"], kinds)
        for end in _labels(row["end"], kinds)
    )
    properties = _facts([row["p"] for row in rows], len(rows))
    counted = await _rows(session, f"MATCH ()-[r:{_escape(name)}]->() RETURN count(r) AS n")
    return [
        CatalogLink(
            name=name,
            start=start,
            end=end,
            relationship=name,
            words=(phrase_of(name),),
            rows=counted[0]["n"] * ends[start, end] // max(len(rows), 1),
            properties={field: fact.column for field, fact in properties.items()},
        )
        for start, end in sorted(ends)
    ]


def _labels(labels: Iterable[str], kinds: Mapping[str, CatalogKind]) -> list[str]:
    return [label for label in labels if label in kinds]


def _escape(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
