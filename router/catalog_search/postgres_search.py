"""Forms on a team's Postgres: one read-only statement each, within the server's own time limit."""

from dataclasses import dataclass
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from router.backends.base import SearchRequest
from router.backends.postgres_pool import keep_session
from router.catalog.model import Catalog
from router.catalog_search.form_search import FormResult, FormSearch
from router.catalog_search.rows import form_result
from router.errors import StoreUnavailable
from router.observability import trace
from router.question.sql import compile_sql

ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
STATEMENT_MS_MAX = 1500
POOL_SIZE = 16
CONNECT_SECONDS = 2


async def open_read_only_pool(dsn: str) -> Any:  # noqa: ANN401 - asyncpg is untyped
    """Return a pool whose sessions cannot write; nothing is contacted here.

    Behind a transaction pooler ("pgbouncer=true" in the DSN) settings of a session are not ours:
    there every statement runs in a read-only transaction of its own.
    """
    pooled = "pgbouncer=true" in dsn
    settings = (
        {}
        if pooled
        else {
            "default_transaction_read_only": "on",
            "statement_timeout": str(STATEMENT_MS_MAX),
            "application_name": "sluice-router",
        }
    )
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=POOL_SIZE,
        timeout=CONNECT_SECONDS,
        command_timeout=STATEMENT_MS_MAX / 1000 + 1,
        statement_cache_size=0 if pooled else 200,
        server_settings=settings,
        reset=keep_session,
    )


@dataclass(frozen=True, slots=True)
class PostgresFormSearch:
    """Runs forms. ``pool`` belongs to the caller, who closes it."""

    pool: Any
    catalog: Catalog
    in_transactions: bool = False
    name: str = "postgres"

    async def search(self, search: SearchRequest) -> FormResult:
        """Run one search.

        Raises:
            StoreUnavailable: the store failed.
            CatalogError: the caller may not ask.
        """
        if not isinstance(search, FormSearch) or search.form is None:
            return FormResult(())
        form, kind = search.form, self.catalog.kinds[search.form.kind]
        limit = search.limit
        statement = compile_sql(form, self.catalog, limit + 1, search.caller)
        trace.add_note(
            "postgres", {"sql": statement.text, "values": [str(v) for v in statement.values]}
        )
        try:
            rows = await self._fetch(statement.text, statement.values)
        except ERRORS as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error
        return form_result(form, kind, [dict(row) for row in rows], limit)

    async def _fetch(self, text: str, values: tuple[object, ...]) -> list[Any]:
        if not self.in_transactions:
            rows: list[Any] = await self.pool.fetch(text, *values)
            return rows
        async with self.pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_MS_MAX}")
            return list(await connection.fetch(text, *values))

    async def health(self) -> None:
        """Return when the store answers. Raises StoreUnavailable."""
        try:
            await self.pool.fetchval("SELECT 1")
        except ERRORS as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error
