"""Questions about attributes, answered from Postgres: a filter grammar and parameterised SQL."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import TypeVar

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from router import trace
from router.backends import catalogue as catalogues
from router.backends.base import Hit, Search, Searched
from router.backends.catalogue import Catalogue
from router.backends.conditions import Filter
from router.backends.filters import parse
from router.backends.pool import Pool, Row
from router.backends.statements import select
from router.errors import StoreUnavailable
from router.patience import within
from router.rewrite.text import Lexicon

CATALOGUE_SECONDS = 30.0
READ_SECONDS = 2.0
SUPERLATIVE_ROWS = 3
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
Result = TypeVar("Result")


class PostgresBackend:
    """``pool`` belongs to the caller, who closes it. The catalogue is refreshed when it is old."""

    name = "postgres"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._catalogue: Catalogue | None = None
        self._lexicon = Lexicon()
        self._read_at = self._tried_at = -math.inf
        self._behind: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()

    async def search(self, search: Search) -> Searched:
        wanted = _wanted(search, await self.catalogue())
        if wanted.contradiction:  # no need to ask for what can't be
            trace.note("postgres", {"filter": said(wanted)})
            return Searched([], wanted.demands, wanted.left_out, wanted.contradiction)
        # "The highest …" asks for one; two more show by how much.
        limit = min(search.limit, SUPERLATIVE_ROWS) if wanted.order_by else search.limit
        statement, values = select(wanted, limit)
        trace.note("postgres", {"filter": said(wanted), "sql": statement, "values": len(values)})
        rows = await self._guarded(lambda: self._pool.fetch(statement, *values))
        certainty = _certainty(wanted, rows)
        hits = [_hit(row, place, certainty) for place, row in enumerate(rows)]
        if wanted.count and rows and (wanted.kinds or wanted.conditions):
            hits = [_counted(wanted, rows[0]["total"], search.today), *hits][: search.limit]
        return Searched(hits, wanted.demands, wanted.left_out)

    async def health(self) -> None:
        await self._guarded(lambda: self._pool.fetchval("SELECT 1"))

    async def catalogue(self) -> Catalogue:
        """What the store holds; raises StoreUnavailable only when it was never read."""
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if self._catalogue is None or now - self._read_at > CATALOGUE_SECONDS:
                self._catalogue = await self._guarded(self._read)
                self._lexicon = self._catalogue.lexicon
                self._read_at = now
            return self._catalogue

    def lexicon(self) -> Lexicon:
        """Of what was read last, without waiting; an old one is read again behind the caller."""
        now = asyncio.get_running_loop().time()
        if now - max(self._read_at, self._tried_at) > CATALOGUE_SECONDS:
            self._tried_at = now
            self._behind = asyncio.create_task(self._read_behind())
        return self._lexicon

    async def _read_behind(self) -> None:
        # A store that does not answer leaves the words as they are: its own searches report it.
        with suppress(StoreUnavailable, TimeoutError):
            await within(READ_SECONDS, self.catalogue())

    async def _read(self) -> Catalogue:
        kinds = await self._pool.fetch(catalogues.KINDS)
        attributes = await self._pool.fetch(catalogues.ATTRIBUTES)
        values = await self._pool.fetch(catalogues.VALUES)
        titles = await self._pool.fetch(catalogues.TITLES)
        words = [row["word"] for row in titles]
        return catalogues.build([row["kind"] for row in kinds], attributes, values, words)

    async def _guarded(self, call: Callable[[], Awaitable[Result]]) -> Result:
        try:
            return await call()
        except FAILURES as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error


def _wanted(search: Search, catalogue: Catalogue) -> Filter:
    wanted = parse(search.query, catalogue, search.today)
    if search.window is not None:
        # "What happened to truck T-12 in March" asks for what mentions it, not for trucks.
        kinds = frozenset() if wanted.ids or wanted.names else wanted.kinds
        wanted = replace(wanted, window=search.window, kinds=kinds)
    return wanted.relaxed(search.relaxed)


def said(wanted: Filter) -> dict[str, object]:
    """The filter in words, without what is empty."""
    window = wanted.window
    found = {
        "kinds": sorted(wanted.kinds),
        "ids": list(wanted.ids),
        "names": list(wanted.names),
        "conditions": [str(condition) for condition in wanted.conditions],
        "either": sorted(wanted.either),
        "from": window.start.isoformat() if window and window.start else "",
        "until": window.end.isoformat() if window and window.end else "",
        "order": (window.order if window else None) or wanted.order_by or "",
        "count": wanted.count,
        "contradiction": wanted.contradiction,
        "left out": list(wanted.left_out),
    }
    return {name: value for name, value in found.items() if value}


def _certainty(wanted: Filter, rows: Sequence[Row]) -> float:
    """How sure the filter is that its rows are meant: the more it had to go by, the surer."""
    if wanted.conditions or wanted.order_by:
        return 1.0
    if wanted.kinds and (wanted.names or wanted.count or wanted.ids):
        return 1.0
    if wanted.ids and (wanted.window or any(row["id"].lower() in wanted.ids for row in rows)):
        return 1.0
    # An identifier that texts only mention was searched for as a word.
    if wanted.window:
        return 0.8
    return 0.5 if wanted.kinds else 0.4  # else it only searched for words


def _hit(row: Row, place: int, certainty: float) -> Hit:
    day: date | None = row["occurred_on"]
    return Hit(
        id=row["id"],
        title=row["title"],
        text=row["text"],
        source=row["source"],
        # The filter already decided; the order says the rest.
        score=certainty / (1 + 0.1 * place),
        kind=row["kind"],
        backend="postgres",
        occurred_on=day.isoformat() if day else None,
    )


def _counted(wanted: Filter, total: int, today: date) -> Hit:
    what = " or ".join(sorted(wanted.kinds)) or "record"
    conditions = ", ".join(f"{c.attribute} {c.operator} {c.value}" for c in wanted.conditions)
    text = f"{total} × {what}" + (f" where {conditions}" if conditions else "")
    return Hit(
        id=f"count/{text}",
        title=str(total),
        text=f"{text} (as of {today.isoformat()})",
        source="records",
        score=1.0,
        kind="count",
        backend="postgres",
    )
