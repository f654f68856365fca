"""Discovery of a Postgres database: its system catalogues, and samples of bounded size."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from router.catalog import postgres_queries as queries
from router.catalog.guesses import (
    ColumnFacts,
    described_words,
    is_flag,
    is_join_table,
    roles_of,
    unit_of_text,
)
from router.catalog.identifiers import parts_of, phrase_of, without_id
from router.catalog.model import CatalogColumn, CatalogKind, CatalogLink, ColumnType

SAMPLES = 20
SAMPLE_CHARS = 80
SCAN_BYTES_MAX = 4 * 1024 * 1024
"""Tables up to this size are sampled whole; larger ones by random blocks."""
SAMPLE_ROWS = 2000
_YEARS = range(1000, 2200)
_OWN = {
    "records": "attributes",
    "ingested": "source",
    "router_decisions": "query_id",
    "router_outcomes": "query_id",
    "sluice_ledger": "rollout_id",
}
"""Tables that Sluice itself keeps, each with a column that shows it."""
_TYPES: tuple[tuple[str, ColumnType], ...] = (
    (r"smallint|integer|bigint|oid", "integer"),
    (r"numeric|real|double precision|money", "number"),
    (r"boolean", "boolean"),
    (r"date", "date"),
    (r"timestamp with time zone", "timestamptz"),
    (r"timestamp without time zone", "timestamp"),
    (r"time with(out)? time zone", "time"),
    (r"uuid", "uuid"),
    (r"text|character varying|character|citext|name|bpchar|\"char\"", "text"),
)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PostgresParts:
    """Kinds and links of one database."""

    kinds: Mapping[str, CatalogKind]
    links: tuple[CatalogLink, ...]


@dataclass(frozen=True, slots=True)
class _Schema:
    """The rows of the system catalogues, by table."""

    tables: Sequence[Row]
    columns: Mapping[str, Sequence[Row]]
    keys: Mapping[str, Sequence[Sequence[str]]]
    foreign: Sequence[Row]
    enums: Mapping[str, Sequence[str]]


async def discover_postgres(connection: Any) -> PostgresParts:  # noqa: ANN401 - asyncpg is untyped
    """Read the database behind ``connection``, an asyncpg connection or pool."""
    schema = await _schema(connection)
    names = _names(schema.tables)
    kinds = {}
    for table in schema.tables:
        samples = await _samples(connection, table, schema.columns[_id(table)])
        kinds[names[_id(table)]] = _kind(table, schema, samples)
    return PostgresParts(kinds, tuple(_links(schema, names, kinds)))


def _id(row: Row, prefix: str = "") -> str:
    return (
        f"{row[f'{prefix}schema']}.{row[f'{prefix}table' if f'{prefix}table' in row else 'name']}"
    )


async def _schema(connection: Any) -> _Schema:  # noqa: ANN401 - asyncpg is untyped
    tables = [dict(row) for row in await connection.fetch(queries.TABLES)]
    identifiers = [f'"{row["schema"]}"."{row["name"]}"' for row in tables]
    columns: dict[str, list[Row]] = {_id(table): [] for table in tables}
    for row in map(dict, await connection.fetch(queries.COLUMNS, identifiers)):
        columns[_id(row)].append(row)
    keys: dict[str, list[Sequence[str]]] = {}
    for row in map(dict, await connection.fetch(queries.KEYS, identifiers)):
        keys.setdefault(_id(row), []).append(row["columns"])
    foreign = [dict(row) for row in await connection.fetch(queries.FOREIGN_KEYS, identifiers)]
    enums = {row["type"]: row["labels"] for row in await connection.fetch(queries.ENUMS)}
    tables = [table for table in tables if not _is_own(table, columns[_id(table)])]
    return _Schema(tables, columns, keys, foreign, enums)


def _is_own(table: Row, columns: Iterable[Row]) -> bool:
    mark = _OWN.get(table["name"])
    return mark is not None and mark in {column["name"] for column in columns}


def _names(tables: Iterable[Row]) -> dict[str, str]:
    """Name each table by itself, or with its schema where two have the same name."""
    seen: dict[str, int] = {}
    for table in tables:
        seen[table["name"]] = seen.get(table["name"], 0) + 1
    return {
        _id(table): table["name"] if seen[table["name"]] == 1 else _id(table) for table in tables
    }


def _kind(table: Row, schema: _Schema, samples: Mapping[str, Sequence[str]]) -> CatalogKind:
    keys = schema.keys.get(_id(table), [])
    rows = table["rows"]
    facts = {
        row["name"]: _facts(row, schema, rows, (samples.get(row["name"], ()), keys))
        for row in schema.columns[_id(table)]
    }
    key = tuple(keys[0]) if keys else ()
    roles = roles_of(table["name"], key, facts)
    foreign = [row["near"] for row in schema.foreign if _id(row) == _id(table)]
    return CatalogKind(
        store="postgres",
        source=_id(table),
        key=roles.key,
        title=roles.title,
        text=roles.text,
        date=roles.date,
        words=(*described_words(table["description"]), phrase_of(table["name"])),
        description=table["description"] or "",
        rows=rows,
        certainty=roles.certainty,
        view=table["relkind"] in ("v", "m"),
        join_table=is_join_table(key, facts, foreign),
        columns={name: fact.column for name, fact in facts.items()},
    )


def _facts(
    row: Row,
    schema: _Schema,
    rows: int | None,
    evidence: tuple[Sequence[str], Sequence[Sequence[str]]],
) -> ColumnFacts:
    sampled, keys = evidence
    kind = _type(row)
    values = schema.enums.get(row["type"], ()) if kind == "enum" else sampled
    distinct = _distinct(row["n_distinct"], rows)
    column = CatalogColumn(
        type=kind,
        words=described_words(row["description"]),
        description=row["description"] or "",
        distinct=distinct if distinct is not None else (len(set(sampled)) or None),
        nulls=None if row["null_frac"] is None else round(row["null_frac"], 3),
        samples=tuple(value[:SAMPLE_CHARS] for value in values[:SAMPLES]),
        unit=_unit(kind, (row["name"], *described_words(row["description"])), sampled),
    )
    width = row["avg_width"] or (sum(map(len, sampled)) / len(sampled) if sampled else 0)
    unique = [row["name"]] in keys or row["n_distinct"] == -1
    return ColumnFacts(column, width, unique, row["required"])


def _type(row: Row) -> ColumnType:
    if row["type"].endswith("[]"):
        return "list"
    if row["typtype"] == "e":
        return "enum"
    name = re.sub(r"\(.*?\)", "", row["type"])
    return next((kind for pattern, kind in _TYPES if re.fullmatch(pattern, name)), "other")


def _distinct(estimate: float | None, rows: int | None) -> int | None:
    """``pg_stats.n_distinct``: a negative one is a share of the rows."""
    if estimate is None or (estimate < 0 and rows is None):
        return None
    return int(estimate if estimate >= 0 else -estimate * (rows or 0))


def _unit(kind: ColumnType, names: Sequence[str], sampled: Sequence[str]) -> str:
    if kind == "integer" and any(_are_years(name, sampled) for name in names):
        return "year"
    if kind == "text":
        return unit_of_text(sampled)
    return "flag" if kind == "integer" and is_flag(sampled) else ""


def _are_years(name: str, sampled: Sequence[str]) -> bool:
    numbers = [int(value) for value in sampled if value.isdigit()]
    in_range = bool(numbers) and all(number in _YEARS for number in numbers)
    words = phrase_of(name).split()
    return "year" in words or (in_range and words[-1] in _YEARLY)


_YEARLY = frozenset(
    [
        "released",
        "born",
        "founded",
        "died",
        "since",
        "built",
        "opened",
        "established",
        "launched",
        "started",
        "joined",
    ]
)
"""Last words of columns whose numbers from 1000 to 2100 are years."""


async def _samples(
    connection: Any,  # noqa: ANN401 - asyncpg is untyped
    table: Row,
    columns: Sequence[Row],
) -> dict[str, list[str]]:
    """Return up to SAMPLES values a column; statistics where Postgres has them, else some blocks."""
    known = {row["name"]: json.loads(row["common"]) for row in columns if row["common"]}
    missing = [row["name"] for row in columns if row["name"] not in known and _is_listed(row)]
    if not missing or table["relkind"] in ("v", "f"):
        return known
    names = ", ".join(f'left("{name}"::text, {SAMPLE_CHARS})' for name in missing)
    source = f'"{table["schema"]}"."{table["name"]}"'
    if table["bytes"] > SCAN_BYTES_MAX:
        share = max(100 * SCAN_BYTES_MAX / table["bytes"] / 10, 0.0001)
        source += f" TABLESAMPLE SYSTEM ({share})"
    rows = await connection.fetch(f"SELECT {names} FROM {source} LIMIT {SAMPLE_ROWS}")  # noqa: S608 - names of the system catalogue, quoted
    for place, name in enumerate(missing):
        values = dict.fromkeys(row[place] for row in rows if row[place] is not None)
        known[name] = list(values)[:SAMPLES]
    return known


def _is_listed(row: Row) -> bool:
    return _type(row) in ("text", "integer", "enum", "number")


def _links(
    schema: _Schema, names: Mapping[str, str], kinds: Mapping[str, CatalogKind]
) -> Iterable[CatalogLink]:
    declared = set()
    for row in schema.foreign:
        start, end = names.get(_id(row)), names.get(f"{row['far_schema']}.{row['far_table']}")
        if start is not None and end is not None:
            declared.add((start, tuple(row["near"])))
            yield _link(start, end, list(zip(row["near"], row["far"], strict=True)))
    yield from _implied_links(schema, names, declared)
    yield from _undeclared_links(kinds, declared)


def _implied_links(
    schema: _Schema, names: Mapping[str, str], declared: set[tuple[str, tuple[str, ...]]]
) -> Iterable[CatalogLink]:
    """Yield what a key of several columns implies: its part refers to what the far part refers to."""
    single = {(_id(row), row["near"][0]): row for row in schema.foreign if len(row["near"]) == 1}
    for row in schema.foreign:
        far_table = f"{row['far_schema']}.{row['far_table']}"
        for near, far in zip(row["near"], row["far"], strict=True) if len(row["near"]) > 1 else ():
            onward, start = single.get((far_table, far)), names.get(_id(row))
            if onward is None or start is None or (start, (near,)) in declared:
                continue
            end = names.get(f"{onward['far_schema']}.{onward['far_table']}")
            if end is not None:
                declared.add((start, (near,)))
                yield _link(start, end, [(near, onward["far"][0])])


def _link(start: str, end: str, columns: list[tuple[str, str]]) -> CatalogLink:
    last_column = columns[-1][0]
    words = (" ".join(without_id(last_column)), " ".join(without_id(last_column, parts_of)))
    return CatalogLink(
        name=words[1].replace(" ", "_"),
        start=start,
        end=end,
        columns=tuple(columns),
        words=tuple(dict.fromkeys(words)),
    )


def _undeclared_links(
    kinds: Mapping[str, CatalogKind], declared: set[tuple[str, tuple[str, ...]]]
) -> Iterable[CatalogLink]:
    """Guess links that no constraint declares: a column called as another kind's one-column key."""
    keys = {
        (kind.key[0], kind.columns[kind.key[0]].type): name
        for name, kind in kinds.items()
        if len(kind.key) == 1 and not kind.view and kind.key[0].lower() not in ("id", "key", "code")
    }
    linked = {start for start, _ in declared}
    for name, kind in kinds.items():
        if name in linked:
            continue
        for column, facts in kind.columns.items():
            end = keys.get((column, facts.type))
            if end is not None and end != name and column not in kind.key[:1]:
                yield _link(name, end, [(column, column)])
