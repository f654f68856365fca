"""Read the distinct values for the value index from the stores, within bounds.

A column of a large table is read from Postgres's own statistics and from random blocks.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

from router.catalog.model import TIME_UNITS, Catalog, CatalogKind, CatalogLink
from router.catalog.values import ColumnValues

VALUES_MAX = 20_000
"""Distinct values a column at most."""
SCAN_ROWS_MAX = 500_000
"""Tables up to this size are read whole; larger ones by random blocks."""
VALUE_CHARS_MAX = 120
MEAN_CHARS_MAX = 60


async def postgres_values(
    connection: Any,  # noqa: ANN401 - asyncpg is untyped
    catalog: Catalog,
) -> AsyncIterator[tuple[str, list[ColumnValues]]]:
    """Yield the values of each kind in turn."""
    for name, kind in catalog.of_store("postgres"):
        kind_values: list[ColumnValues] = []
        for columns in _columns(kind):
            rows = await connection.fetch(
                _statement(kind, columns), VALUE_CHARS_MAX, VALUES_MAX + 1
            )
            kind_values += _by_scope(kind, columns, [tuple(row) for row in rows])
        yield name, kind_values


def _by_scope(
    kind: CatalogKind, columns: tuple[str, ...], rows: list[tuple[str, ...]]
) -> Iterator[ColumnValues]:
    """Yield the values by whose rows hold them; the scope's values end each row."""
    complete = len(rows) <= VALUES_MAX
    variables = [variable for _, variable in kind.scopes or ()]
    groups: dict[tuple[tuple[str, str], ...], list[tuple[str, ...]]] = defaultdict(list)
    for row in rows[:VALUES_MAX]:
        scope = zip(variables, row[len(columns) :], strict=True)
        groups[tuple(scope)].append(row[: len(columns)])
    for held, values in groups.items():
        yield ColumnValues(columns, values, complete, held)


async def graph_values(
    session: Any,  # noqa: ANN401 - its run wants literal text
    catalog: Catalog,
) -> AsyncIterator[tuple[str, list[ColumnValues]]]:
    """Yield the values of each label in turn."""
    for name, kind in catalog.of_store("graph"):
        kind_values: list[ColumnValues] = []
        for columns in _columns(kind):
            listed = kind.columns[columns[0]].type == "list"
            scopes = tuple(column for column, _ in kind.scopes or ())
            cypher = _cypher(f"(n:{_label(kind.source)})", (columns, scopes), listed=listed)
            result = await session.run(cypher, {"limit": VALUES_MAX + 1, "chars": VALUE_CHARS_MAX})
            rows = [tuple(str(part) for part in record["row"]) async for record in result]
            kind_values += _by_scope(kind, columns, rows)
        yield name, kind_values
    for link in catalog.visible_links.values():
        limited = catalog.kinds[link.start].where or catalog.kinds[link.end].where
        if link.relationship is not None and not limited:
            yield (
                link.id,
                [column_values async for column_values in _link_values(session, catalog, link)],
            )


async def _link_values(
    session: Any,  # noqa: ANN401 - its run wants literal text
    catalog: Catalog,
    link: CatalogLink,
) -> AsyncIterator[ColumnValues]:
    """Yield the values of each short text that relationships carry."""
    for column, facts in link.properties.items():
        if facts.hide or facts.type not in ("text", "list"):
            continue
        ends = [_label(catalog.kinds[name].source) for name in (link.start, link.end)]
        source = f"(:{ends[0]})-[n:{_label(link.relationship or '')}]->(:{ends[1]})"
        cypher = _cypher(source, ((column,), ()), listed=facts.type == "list")
        result = await session.run(cypher, {"limit": VALUES_MAX + 1, "chars": VALUE_CHARS_MAX})
        values = [tuple(str(part) for part in record["row"]) async for record in result]
        yield ColumnValues((column,), values[:VALUES_MAX], len(values) <= VALUES_MAX)


def _label(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _columns(kind: CatalogKind) -> list[tuple[str, ...]]:
    """Return the columns to read: short texts, and a title over several columns.

    None of a kind whose rows are limited by other conditions than the tenant's and the user's.
    """
    if kind.scopes is None:
        return []
    short: list[tuple[str, ...]] = [
        (name,)
        for name, column in kind.visible.items()
        if column.type in ("text", "enum", "list") and name not in kind.text
        if column.unit not in TIME_UNITS
    ]
    if len(kind.title) > 1 and all(name in kind.visible for name in kind.title):
        short.append(kind.title)
    return short


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _statement(kind: CatalogKind, columns: tuple[str, ...]) -> str:
    source = ".".join(_quote(part) for part in kind.source.split(".", 1))
    if (kind.rows or 0) > SCAN_ROWS_MAX and not kind.view:
        source += f" TABLESAMPLE SYSTEM ({100 * SCAN_ROWS_MAX / (kind.rows or 1):.4f})"
    value = [_quote(name) for name in columns]
    if kind.columns[columns[0]].type == "list":
        source += f", unnest({value[0]}) AS element"
        value = ["element"]
    texts = [f"{expression}::text" for expression in value]
    texts += [f"{_quote(column)}::text" for column, _ in kind.scopes or ()]
    predicate = " AND ".join(f"{text} <> '' AND length({text}) <= $1" for text in texts)
    return (
        f"SELECT {', '.join(texts)} FROM {source} WHERE {predicate} "  # noqa: S608 - quoted names
        f"GROUP BY {', '.join(str(n) for n in range(1, len(texts) + 1))} "
        "ORDER BY count(*) DESC LIMIT $2"
    )


def _cypher(source: str, columns: tuple[tuple[str, ...], tuple[str, ...]], *, listed: bool) -> str:
    """Return the statement for the properties of ``n``, which ``source`` matches, and its scopes."""
    names = [f"n.{_label(name)}" for part in columns for name in part]
    missing = " AND ".join(f"{name} IS NOT NULL" for name in names)
    if listed:
        scopes = "".join(f", toString({name})" for name in names[1:])
        return (
            f"MATCH {source} WHERE {missing} UNWIND {names[0]} AS v "
            f"WITH [toString(v){scopes}] AS row "
            "WHERE size(row[0]) <= $chars WITH row, count(*) AS c ORDER BY c DESC LIMIT $limit "
            "RETURN row"
        )
    texts = ", ".join(f"toString({name})" for name in names)
    return (
        f"MATCH {source} WHERE {missing} WITH [{texts}] AS row "
        "WHERE size(row[0]) <= $chars WITH row, count(*) AS c ORDER BY c DESC LIMIT $limit "
        "RETURN row"
    )
