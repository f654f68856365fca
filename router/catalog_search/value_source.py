"""The values of every store, read within bounds, one kind after the other."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from router.catalog.model import Catalog
from router.catalog.value_reading import graph_values, postgres_values
from router.catalog.values import ColumnValues

if TYPE_CHECKING:
    from neo4j import AsyncDriver


class ValueSource:
    """Reads the values of a catalogue. Clients belong to the caller; None: a store left out."""

    def __init__(self, pool: Any, driver: "AsyncDriver | None", database: str) -> None:  # noqa: ANN401 - asyncpg is untyped
        self._pool = pool
        self._driver = driver
        self._database = database

    async def read(self, catalog: Catalog) -> AsyncIterator[tuple[str, list[ColumnValues]]]:
        """Yield each kind with its values. Raises what the drivers raise."""
        if self._pool is not None and any(catalog.of_store("postgres")):
            async with self._pool.acquire() as connection, connection.transaction(readonly=True):
                await connection.execute("SET LOCAL statement_timeout = '60s'")
                async for name, values in postgres_values(connection, catalog):
                    yield name, values
        if self._driver is not None and any(catalog.of_store("graph")):
            from neo4j import READ_ACCESS  # noqa: PLC0415 - slow

            async with self._driver.session(
                database=self._database, default_access_mode=READ_ACCESS
            ) as session:
                async for name, values in graph_values(session, catalog):
                    yield name, values
