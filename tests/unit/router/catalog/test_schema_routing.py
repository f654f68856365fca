"""The store of a question is found from names alone, on schemas that nobody trained on."""

import pytest

from router.catalog_search.schema_routing import SchemaRouter
from router.embedding import LocalEmbedder
from router.intent import IntentClassifier

SCHEMA = (
    "postgres: shipments(id, port, departed_on, weight); ports(id, name, country) | "
    "graph: Sailor(name, rank); Ship(name, built); relationships (Sailor)-[SERVED_ON]->(Ship) | "
    "qdrant: safety_manuals(chapter, body)"
)


@pytest.fixture(scope="module")
def router() -> SchemaRouter:
    embedder = LocalEmbedder()
    return SchemaRouter(embedder, IntentClassifier.load(embedder, None))


@pytest.mark.parametrize(
    ("query", "store"),
    [
        ("How many shipments left each port in May?", "postgres"),
        ("Which sailors served on the Vasa?", "graph"),
        ("Can a wet rope be used to secure a lifeboat?", "qdrant"),
    ],
)
def test_a_question_goes_to_the_store_that_names_its_words(
    router: SchemaRouter, query: str, store: str
) -> None:
    evidence = router.route(query, SCHEMA)
    assert evidence.store == store
    assert 0.5 <= evidence.confidence <= 1


def test_a_missing_store_is_never_chosen(router: SchemaRouter) -> None:
    rows_only = SCHEMA.rpartition(" | ")[0]
    assert router.route("Can a wet rope secure a lifeboat?", rows_only).store != "qdrant"
    with pytest.raises(ValueError, match="schema: expected postgres"):
        router.route("any question", "mysql: t(a)")
