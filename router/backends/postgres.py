"""The backend for questions about attributes: a filter grammar and parameterised SQL on Postgres."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import TypeVar

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from router.backends import schema_catalog as catalogues
from router.backends.base import Hit, SearchRequest, SearchResult
from router.backends.conditions import Filter
from router.backends.filter_parser import parse_filter
from router.backends.postgres_pool import PostgresPool, Row
from router.backends.schema_catalog import SchemaCatalog
from router.backends.sql_builder import build_select
from router.errors import StoreUnavailable
from router.observability import trace
from router.overload.timeouts import wait_within
from router.rewrite.normalization import Lexicon

CATALOG_REFRESH_SECONDS = 30.0
CATALOG_TIMEOUT_SECONDS = 2.0
SUPERLATIVE_ROWS_MAX = 3
POSTGRES_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
ResultT = TypeVar("ResultT")


class PostgresBackend:
    """A backend over a pool, which the caller closes. It refreshes its catalogue when that is old."""

    name = "postgres"

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool
        self._catalogue: SchemaCatalog | None = None
        self._lexicon = Lexicon()
        self._read_at = self._tried_at = -math.inf
        self._behind: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()

    async def search(self, search: SearchRequest) -> SearchResult:
        query_filter = _build_filter(search, await self.load_catalog())
        if query_filter.contradiction:  # no record can match
            trace.add_note("postgres", {"filter": describe_filter(query_filter)})
            return SearchResult(
                [], query_filter.requirements, query_filter.left_out, query_filter.contradiction
            )
        # "The highest …" needs one row; two more show the margin.
        limit = min(search.limit, SUPERLATIVE_ROWS_MAX) if query_filter.order_by else search.limit
        statement, values = build_select(query_filter, limit)
        trace.add_note(
            "postgres",
            {"filter": describe_filter(query_filter), "sql": statement, "values": len(values)},
        )
        rows = await self._with_store_errors(lambda: self._pool.fetch(statement, *values))
        certainty = _certainty(query_filter, rows)
        hits = [_hit(row, place, certainty) for place, row in enumerate(rows)]
        if query_filter.count and rows and (query_filter.kinds or query_filter.conditions):
            hits = [_count_hit(query_filter, rows[0]["total"], search.today), *hits][: search.limit]
        return SearchResult(hits, query_filter.requirements, query_filter.left_out)

    async def health(self) -> None:
        await self._with_store_errors(lambda: self._pool.fetchval("SELECT 1"))

    async def load_catalog(self) -> SchemaCatalog:
        """Return the store's catalogue, read again when it is old.

        Raises StoreUnavailable when a read is due and the store does not answer.
        """
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if self._catalogue is None or now - self._read_at > CATALOG_REFRESH_SECONDS:
                self._catalogue = await self._with_store_errors(self._read_catalog)
                self._lexicon = self._catalogue.lexicon
                self._read_at = now
            return self._catalogue

    def lexicon(self) -> Lexicon:
        """Return the lexicon of the last catalogue, without waiting.

        A background task reads an old catalogue again.
        """
        now = asyncio.get_running_loop().time()
        if now - max(self._read_at, self._tried_at) > CATALOG_REFRESH_SECONDS:
            self._tried_at = now
            self._behind = asyncio.create_task(self._refresh_catalog())
        return self._lexicon

    async def _refresh_catalog(self) -> None:
        # On a failure the lexicon stays as it is; the store's own searches report the failure.
        with suppress(StoreUnavailable, TimeoutError):
            await wait_within(CATALOG_TIMEOUT_SECONDS, self.load_catalog())

    async def _read_catalog(self) -> SchemaCatalog:
        kinds = await self._pool.fetch(catalogues.KINDS_QUERY)
        attributes = await self._pool.fetch(catalogues.ATTRIBUTES_QUERY)
        values = await self._pool.fetch(catalogues.VALUES_QUERY)
        titles = await self._pool.fetch(catalogues.TITLE_WORDS_QUERY)
        words = [row["word"] for row in titles]
        return catalogues.build_catalog([row["kind"] for row in kinds], attributes, values, words)

    async def _with_store_errors(self, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        try:
            return await call()
        except POSTGRES_ERRORS as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error


def _build_filter(search: SearchRequest, catalogue: SchemaCatalog) -> Filter:
    query_filter = parse_filter(search.query, catalogue, search.today)
    if search.time_range is not None:
        # "What happened to truck T-12 in March" needs records that mention it, not trucks.
        kinds = frozenset() if query_filter.ids or query_filter.names else query_filter.kinds
        query_filter = replace(query_filter, time_range=search.time_range, kinds=kinds)
    return query_filter.relax(search.relaxation_steps)


def describe_filter(record_filter: Filter) -> dict[str, object]:
    """Return the filter in words, without empty parts."""
    window = record_filter.time_range
    parts = {
        "kinds": sorted(record_filter.kinds),
        "ids": list(record_filter.ids),
        "names": list(record_filter.names),
        "conditions": [str(condition) for condition in record_filter.conditions],
        "alternatives": sorted(record_filter.alternative_attributes),
        "from": window.start.isoformat() if window and window.start else "",
        "until": window.end.isoformat() if window and window.end else "",
        "order": (window.order if window else None) or record_filter.order_by or "",
        "count": record_filter.count,
        "contradiction": record_filter.contradiction,
        "left_out": list(record_filter.left_out),
    }
    return {name: value for name, value in parts.items() if value}


def _certainty(query_filter: Filter, rows: Sequence[Row]) -> float:
    """Return the filter's certainty in (0, 1], higher for a more specific filter."""
    if query_filter.conditions or query_filter.order_by:
        return 1.0
    if query_filter.kinds and (query_filter.names or query_filter.count or query_filter.ids):
        return 1.0
    if query_filter.ids and (
        query_filter.time_range or any(row["id"].lower() in query_filter.ids for row in rows)
    ):
        return 1.0
    # An identifier that only texts mention is a plain search word.
    if query_filter.time_range:
        return 0.8
    return 0.5 if query_filter.kinds else 0.4  # else the search used words only


def _hit(row: Row, place: int, certainty: float) -> Hit:
    day: date | None = row["occurred_on"]
    return Hit(
        id=row["id"],
        title=row["title"],
        text=row["text"],
        source=row["source"],
        # The filter selects the rows; the score only keeps their order.
        score=certainty / (1 + 0.1 * place),
        kind=row["kind"],
        backend="postgres",
        occurred_on=day.isoformat() if day else None,
    )


def _count_hit(query_filter: Filter, total: int, today: date) -> Hit:
    kinds = " or ".join(sorted(query_filter.kinds)) or "record"
    conditions = ", ".join(f"{c.attribute} {c.operator} {c.value}" for c in query_filter.conditions)
    text = f"{total} × {kinds}" + (f" where {conditions}" if conditions else "")
    return Hit(
        id=f"count/{text}",
        title=str(total),
        text=f"{text} (as of {today.isoformat()})",
        source="records",
        score=1.0,
        kind="count",
        backend="postgres",
    )
