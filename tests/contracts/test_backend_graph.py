"""Rules of searching the graph, kept by the embedded Bolt server and by a real Neo4j alike."""

import logging
from collections.abc import AsyncIterator
from datetime import date

import pytest

from router.backends.base import SearchRequest
from router.backends.dialect import PLAIN
from router.backends.graph import GraphBackend
from router.embedding import LocalEmbedder
from router.settings import Settings, StoreSettings
from router.store_clients import open_neo4j
from tests.company_fixtures import fill_stores, store_addresses
from tests.conftest import Neo4jSettings

pytestmark = [
    pytest.mark.integration,
    # Maven may have to fetch Neo4j first: its own limits end that, with a reason.
    pytest.mark.timeout(900),
]


@pytest.fixture(params=["embedded", "neo4j"])
def stores(
    request: pytest.FixtureRequest, redis_url: str, postgres_dsn: str, qdrant_url: str
) -> StoreSettings:
    if request.param == "embedded":
        server: Neo4jSettings = request.getfixturevalue("neo4j_settings")
    else:
        uri: str = request.getfixturevalue("real_neo4j_uri")
        server = Neo4jSettings(uri=uri, user="neo4j", password="", database="neo4j")
    return store_addresses(redis_url, postgres_dsn, server, qdrant_url)


@pytest.fixture
async def graph(stores: StoreSettings) -> AsyncIterator[GraphBackend]:
    await fill_stores(Settings(environment="graph-test", stores=stores))
    driver = open_neo4j(stores)
    yield GraphBackend(driver, stores.neo4j_database)
    await driver.close()


async def search_ids(graph: GraphBackend, question: str) -> list[str]:
    vector = LocalEmbedder().embed([question])[0]
    hits = (await graph.search(SearchRequest(question, vector, "graph", 10, date(2025, 6, 1)))).hits
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    return [hit.id for hit in hits]


async def test_names_words_and_vectors_lead_into_the_graph(
    graph: GraphBackend, caplog: pytest.LogCaptureFixture
) -> None:
    by_name = await search_ids(graph, "Who drives truck T-12?")
    assert by_name[0] == "DRV-1"
    assert "TRK-7" not in by_name, "an identifier leaves no doubt: nothing else is looked for"
    # No record is named: the incident is the nearest, its truck is linked to it.
    by_vector = await search_ids(graph, "the refrigeration broke down on the road")
    assert by_vector.index("INC-1") < by_vector.index("TRK-12") < 5
    assert "DRV-2" in (await search_ids(graph, "flatbed scania")), (
        "two steps: by a word, then its driver"
    )
    # Signs that mean something to a full-text parser are only signs.
    assert await search_ids(graph, 'AND "flatbed OR (scania~ /x:^ NOT')
    for question in ("Who drives truck T-12?", "a breakdown on the road"):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, logger="neo4j.io"):
            await search_ids(graph, question)
        sent = [message for message in caplog.messages if " C: RUN " in message]
        assert 1 <= len(sent) <= 2, "more than two round trips"
    graph.dialect = PLAIN  # a server without indexes
    assert await search_ids(graph, "flatbed scania") == []
