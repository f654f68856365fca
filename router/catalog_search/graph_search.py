"""Forms on a team's graph: one Cypher statement each, in a session that only reads."""

from dataclasses import dataclass
from typing import Any

from neo4j import READ_ACCESS, AsyncDriver, Query
from neo4j.exceptions import DriverError, Neo4jError

from router.backends.base import SearchRequest
from router.catalog.model import Catalog
from router.catalog_search.form_search import FormResult, FormSearch
from router.catalog_search.rows import form_result
from router.errors import StoreUnavailable
from router.observability import trace
from router.question.cypher import compile_cypher

ERRORS = (Neo4jError, DriverError, OSError)
STATEMENT_SECONDS_MAX = 1.5


@dataclass(frozen=True, slots=True)
class GraphFormSearch:
    """Runs forms. ``driver`` belongs to the caller, who closes it."""

    driver: AsyncDriver
    database: str
    catalog: Catalog
    name: str = "graph"

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
        statement = compile_cypher(form, self.catalog, limit + 1, search.caller)
        trace.add_note(
            "graph", {"cypher": statement.text, "values": [str(v) for v in statement.values]}
        )
        values = {f"p{place}": value for place, value in enumerate(statement.values, 1)}
        rows = await self._run(statement.text, values)
        return form_result(form, kind, [_flat(row) for row in rows], limit)

    async def _run(self, cypher: str, values: dict[str, object]) -> list[dict[str, Any]]:
        query = Query(cypher, timeout=STATEMENT_SECONDS_MAX)
        try:
            async with self.driver.session(
                database=self.database, default_access_mode=READ_ACCESS
            ) as session:
                result = await session.run(query, values)
                return [record.data() async for record in result]
        except ERRORS as error:
            raise StoreUnavailable(self.name, type(error).__name__, str(error)) from error

    async def health(self) -> None:
        """Return when the store answers. Raises StoreUnavailable."""
        await self._run("RETURN 1 AS one", {})


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a node's properties and what is computed beside them, the driver's times as Python's."""
    columns = row.pop("properties", {}) | row
    return {
        name: value.to_native() if hasattr(value, "to_native") else value
        for name, value in columns.items()
    }
