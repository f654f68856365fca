"""A router over a catalogue: discovered, read-only, within rights, and honest about what it read."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
from neo4j import AsyncGraphDatabase

from router.catalog.document import dump_catalog
from router.catalog.drift import drift
from router.catalog.model import Catalog, StoreName
from router.catalog_search.discovery import discover
from router.catalog_search.postgres_search import open_read_only_pool
from router.errors import InvalidQuestion
from router.http.schemas import answer_json
from router.router import QueryRouter
from router.settings import Settings
from sluice.cli.commands.questions.query import explanation_lines
from tests.clinic import SCHEMA, clinic_catalog, fill_graph, fill_postgres
from tests.conftest import Neo4jSettings
from tests.integration.router.running_router import running_router

pytestmark = pytest.mark.integration


@pytest.fixture
async def clinic(settings: Settings, neo4j_settings: Neo4jSettings) -> Settings:
    """Fill Postgres and the graph with the clinic; return the settings."""
    connection = await asyncpg.connect(settings.stores.postgres_dsn)
    await fill_postgres(connection)
    await connection.close()
    auth = (neo4j_settings.user, neo4j_settings.password)
    driver = AsyncGraphDatabase.driver(
        neo4j_settings.uri, auth=auth, notifications_min_severity="OFF"
    )
    async with driver, driver.session(database=neo4j_settings.database) as session:
        await fill_graph(session)
    return settings


@pytest.fixture(params=["postgres", "graph"])
async def router(
    request: pytest.FixtureRequest, clinic: Settings, tmp_path: Path
) -> AsyncIterator[QueryRouter]:
    store: StoreName = request.param
    async with catalog_router(clinic, clinic_catalog(store), tmp_path) as running:
        yield running


def catalog_router(settings: Settings, catalog: Catalog, folder: Path) -> Any:  # noqa: ANN401 - a context manager
    """Return a running router over ``catalog``, whose team has no Qdrant."""
    path = folder / "catalog.yaml"
    path.write_text(dump_catalog(catalog), "utf-8")
    stores = replace(settings.stores, qdrant_url=None, qdrant_path=None)
    return running_router(replace(settings, catalog=path, stores=stores))


async def until_values_are_read(router: QueryRouter) -> None:
    """Wait until the value index is there; it is read behind the start."""
    stores = router.components.catalog_stores
    assert stores is not None
    async with asyncio.timeout(20):
        while not stores.reader.values_read:  # noqa: ASYNC110  # another task changes it
            await asyncio.sleep(0.02)


async def test_questions_are_answered_with_their_interpretation(router: QueryRouter) -> None:
    await until_values_are_read(router)
    unpaid = await router.query("which visits have not been paid yet?")
    assert [hit.id for hit in unpaid.results] == ["visit:101", "visit:103", "visit:104"]
    assert unpaid.interpretation == "visits whose status is not “paid”"
    assert unpaid.left_out == ()
    counted = await router.query("how many patients are there in Oslo?")
    assert (counted.value, counted.left_out) == (1, ())
    strange = await router.query("visits on weekends")
    assert strange.left_out == ("“weekends”",)


@pytest.mark.parametrize(
    ("question", "found"),
    [("doctors with patients in Lyon", {3}), ("doctors with no patients in Lyon", {1, 2, 4})],
)
async def test_two_links_and_their_denial_are_explained(
    router: QueryRouter, question: str, found: set[int]
) -> None:
    """`sluice ask --explain` shows the match, the form with both links, and the statement."""
    await until_values_are_read(router)
    answer = await router.query(question)
    assert {hit.id for hit in answer.results} == {f"doctor:{number}" for number in found}
    lines = list(explanation_lines(json.loads(answer_json(answer, explain=True))))
    shown = {line.split()[0]: line for line in lines if line}
    assert shown["matches"].endswith("Lyon → patient.city = Lyon")
    assert shown["form"].count('"link"') == len(("visit", "patient"))
    denied = found != {3}
    assert ('"negated": true' in shown["form"]) == denied
    statement = shown.get("sql", "") + shown.get("graph", "")
    assert ("NOT" in statement) == denied
    assert "Lyon" not in statement.partition("; values")[0]  # a value is bound, never written


async def test_a_question_that_no_form_holds_is_refused_or_left_out(router: QueryRouter) -> None:
    """Neither is an error of the router; the catalogue has no texts to fall back to."""
    await until_values_are_read(router)
    parts = " and ".join(f"visits costing over {cost}" for cost in range(30))
    with pytest.raises(InvalidQuestion, match="conditions"):
        await router.query(f"{parts} and patients without visits")
    for text in ("how are you today my friend", "漢字" * 900, "Oslo or " * 200):
        answer = await router.query(text)
        assert (answer.results, bool(answer.left_out)) == ((), True), text


async def test_another_wording_of_a_form_comes_from_the_cache(router: QueryRouter) -> None:
    await until_values_are_read(router)
    first = await router.query("patients in Oslo")
    await asyncio.sleep(0.2)  # answers are stored behind the reply
    again = await router.query("show me every patient who lives in Oslo")
    other = await router.query("patients not in Oslo")
    assert again.cached
    assert again.results == first.results
    assert not other.cached


@pytest.mark.parametrize("store", ["postgres", "graph"])
async def test_no_tenant_sees_another_s_rows(
    store: StoreName, clinic: Settings, tmp_path: Path
) -> None:
    """Neither as rows, nor in a count, an order, a link, or an error."""
    whole = clinic_catalog(store)
    doctor = whole.kinds["doctor"].model_copy(update={"where": ("city = $tenant",)})
    limited = Catalog(kinds={**whole.kinds, "doctor": doctor}, links=whole.links)
    async with catalog_router(clinic, limited, tmp_path) as router:
        await until_values_are_read(router)
        rows = await router.query("doctors", tenant="Oslo")
        assert {hit.id for hit in rows.results} == {"doctor:1", "doctor:3"}
        assert (await router.query("how many doctors", tenant="Oslo")).value == 2
        best = await router.query("doctor with the most visits", tenant="Paris")
        assert [hit.id for hit in best.results] == ["doctor:2"]
        await _try_ways_around(router)
        hidden = await router.query("visits of doctor Ada Brandt", tenant="Paris")
        invented = await router.query("visits of doctor Uma Oddson", tenant="Paris")
        assert hidden.results == invented.results  # a hidden name is as unknown as an invented one
        assert "Brandt" not in hidden.interpretation
        typo = await router.query("doctor Brandtt", tenant="Paris")
        assert "Ada" not in f"{typo.interpretation} {typo.left_out}"
        seen = await router.query("visits of doctor Ada Brandt", tenant="Oslo")
        assert {hit.id for hit in seen.results} == {"visit:100", "visit:101"}


async def _try_ways_around(router: QueryRouter) -> None:
    """Ask by groups, two links, an average and a far order what only Oslo may see."""
    groups = await router.query("how many visits per doctor", tenant="Paris")
    assert [hit.title for hit in groups.results] == ["Émile Roux: 2"]
    average = await router.query("average fee of doctors", tenant="Paris")
    assert average.value == 90
    for tenant, is_seen in (("Paris", False), ("Oslo", True)):
        far = await router.query("visits of doctors with a fee over 100", tenant=tenant)
        assert bool(far.results) == is_seen, tenant
    counted = await router.query("patients with more than 1 doctor", tenant="Paris")
    assert counted.results == ()  # the second doctor of both is in Oslo
    sum_of_both = await router.query("patients by number of doctors", tenant="Paris")
    assert not any("2" in hit.title for hit in sum_of_both.results)


async def test_nothing_can_be_written_by_the_router_s_sessions(clinic: Settings) -> None:
    pool = await open_read_only_pool(clinic.stores.postgres_dsn)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await pool.execute(f"DELETE FROM {SCHEMA}.visit")  # noqa: S608 - our own name
    await pool.close()


async def test_discovery_finds_keys_titles_dates_and_links(clinic: Settings) -> None:
    notes: list[str] = []
    found = await discover(clinic.stores, lambda store, text: notes.append(f"{store}: {text}"))
    assert len(notes) == 3
    sources = {kind.source: (name, kind) for name, kind in found.kinds.items()}
    name, doctor = sources[f"{SCHEMA}.doctor"]
    assert (doctor.key, doctor.title, doctor.date) == (("id",), ("name",), "hired")
    visit = sources[f"{SCHEMA}.visit"][1]
    assert (visit.description, visit.date) == ("An appointment of a patient", "day")
    assert visit.columns["status"].samples
    links = {(link.start, link.end, link.name) for link in found.links}
    assert (name, name, "chief") in links
    graph_name, graph_doctor = sources["ClinicDoctor"]
    assert (graph_doctor.store, graph_doctor.columns["hired"].type) == ("graph", "date")
    assert (graph_name, graph_name, "CLINIC_CHIEF") in links


async def test_drift_names_what_was_added_and_lost(clinic: Settings) -> None:
    before = await discover(clinic.stores, lambda *_: None)
    connection = await asyncpg.connect(clinic.stores.postgres_dsn)
    await connection.execute(
        f"ALTER TABLE {SCHEMA}.visit RENAME COLUMN status TO state; "
        f"CREATE TABLE {SCHEMA}.room (id integer PRIMARY KEY)"
    )
    await connection.close()
    after = await discover(clinic.stores, lambda *_: None)
    found = {
        (each.change, each.place.split(".")[-1]): each.message for each in drift(before, after)
    }
    assert "renamed to state?" in found["lost", "status"]
    assert ("added", "state") in found
    assert ("added", "room") in found
    assert not list(drift(after, after))
