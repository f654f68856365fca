"""The same form gives the same rows on Postgres and on a graph that hold the same data."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import HealthCheck, given, settings
from neo4j import READ_ACCESS, AsyncDriver, AsyncGraphDatabase

from router.catalog_search.rows import form_result, plain_value
from router.question.cypher import compile_cypher
from router.question.form import Aggregate, QuestionForm
from router.question.sql import compile_sql
from router.question.validation import validate_form
from tests.clinic import clinic_catalog, fill_graph, fill_postgres
from tests.conftest import Neo4jSettings
from tests.unit.router.question.forms import forms

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
SQL, CYPHER = clinic_catalog("postgres"), clinic_catalog("graph")
ROWS = 100
Loop = asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True)
class _Stores:
    loop: Loop
    postgres: Any
    driver: AsyncDriver
    database: str

    def rows_of_sql(self, form: QuestionForm) -> list[tuple[Any, ...]]:
        return _comparable(form, self.raw_of_sql(form))

    def raw_of_sql(self, form: QuestionForm) -> list[dict[str, Any]]:
        statement = compile_sql(validate_form(form, SQL), SQL, ROWS, {})
        rows = self.loop.run_until_complete(self.postgres.fetch(statement.text, *statement.values))
        return [dict(row) for row in rows]

    def rows_of_cypher(self, form: QuestionForm) -> list[tuple[Any, ...]]:
        return _comparable(form, self.raw_of_cypher(form))

    def raw_of_cypher(self, form: QuestionForm) -> list[dict[str, Any]]:
        statement = compile_cypher(validate_form(form, CYPHER), CYPHER, ROWS, {})
        values = {f"p{place}": value for place, value in enumerate(statement.values, 1)}
        return self.loop.run_until_complete(self._run(statement.text, values))

    async def _run(self, cypher: str, values: dict[str, object]) -> list[dict[str, Any]]:
        async with self.driver.session(
            database=self.database, default_access_mode=READ_ACCESS
        ) as session:
            result = await session.run(cypher, values)
            rows = [record.data() async for record in result]
        return [{**row, **row.pop("properties", {})} for row in rows]


def _comparable(form: QuestionForm, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return what must be equal: the number, the groups as a set, or the rows in their order."""
    numbers = [_rounded(row.get("value")) for row in rows]
    if form.aggregate is None:
        keys = [(row["id"],) for row in rows]
        return keys if form.order is None else list(zip(keys, numbers, strict=True))
    if not form.aggregate.group_by:
        return [(numbers[0] or 0,)]
    groups = [_native(row["group"]) for row in rows]
    return sorted(zip(map(str, groups), numbers, strict=True))


def _native(value: object) -> object:
    return value.to_native() if hasattr(value, "to_native") else value


def _rounded(value: object) -> object:
    number = plain_value(value)
    return round(number, 6) if isinstance(number, int | float) else number


@pytest.fixture(scope="module", params=["embedded", "neo4j"])
def stores(request: pytest.FixtureRequest, postgres_dsn: str) -> Iterator[_Stores]:
    if request.param == "embedded":
        server: Neo4jSettings = request.getfixturevalue("neo4j_settings")
    else:
        uri: str = request.getfixturevalue("real_neo4j_uri")
        server = Neo4jSettings(uri=uri, user="neo4j", password="", database="neo4j")
    auth = (server.user, server.password) if server.password else None
    loop = asyncio.new_event_loop()
    opened = _opened(postgres_dsn, server, auth)
    found = loop.run_until_complete(anext(opened))
    yield _Stores(loop, *found)
    loop.run_until_complete(opened.aclose())
    loop.close()


async def _opened(
    dsn: str, server: Neo4jSettings, auth: tuple[str, str] | None
) -> AsyncGenerator[tuple[Any, AsyncDriver, str], None]:
    connection = await asyncpg.connect(dsn)
    await fill_postgres(connection)
    await connection.execute("SET default_transaction_read_only = on")
    driver = AsyncGraphDatabase.driver(server.uri, auth=auth, notifications_min_severity="OFF")
    async with driver.session(database=server.database) as session:
        await fill_graph(session)
    try:
        yield connection, driver, server.database
    finally:
        await connection.close()
        await driver.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form=forms())
def test_both_stores_give_the_same_rows(stores: _Stores, form: QuestionForm) -> None:
    assert stores.rows_of_sql(form) == stores.rows_of_cypher(form)


def test_groups_that_tie_for_the_last_place_are_shown_by_both(stores: _Stores) -> None:
    """Both stores cut "top 1 city by doctors" alike: Paris and no city have one doctor each."""
    form = QuestionForm(
        kind="doctor", limit=2, aggregate=Aggregate(function="count", group_by=("city",))
    )
    answers = [
        [
            (hit.title, hit.kind)
            for hit in form_result(validate_form(form, catalog), kind, rows, ROWS).hits
        ]
        for catalog, rows in ((SQL, stores.raw_of_sql(form)), (CYPHER, stores.raw_of_cypher(form)))
        for kind in (catalog.kinds["doctor"],)
    ]
    assert answers[0] == answers[1]
    assert {title for title, _ in answers[0]} == {"Oslo: 2", "Paris: 1", "None: 1"}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form=forms())
def test_the_servers_accept_every_form_as_a_plan(stores: _Stores, form: QuestionForm) -> None:
    """EXPLAIN parses and plans with the real parameter types, and runs nothing."""
    sql = compile_sql(validate_form(form, SQL), SQL, ROWS, {})
    explain = stores.postgres.fetch(f"EXPLAIN {sql.text}", *sql.values)
    assert stores.loop.run_until_complete(explain)
