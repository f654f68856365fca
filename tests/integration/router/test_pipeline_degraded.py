"""The pipeline with stores that are down."""

from dataclasses import replace

import pytest

from router.errors import StoreUnavailable
from router.settings import Settings
from tests.integration.router.running_router import CLOSED_ADDRESS, running_router

pytestmark = pytest.mark.integration

UNREACHABLE_STORES = {
    "graph": {"neo4j_uri": f"bolt://{CLOSED_ADDRESS}"},
    "postgres": {"postgres_dsn": f"postgresql://nobody@{CLOSED_ADDRESS}/none"},
    "qdrant": {"qdrant_url": f"http://{CLOSED_ADDRESS}"},
}


QUESTION_OF_STORE = {
    "graph": ("Who drives truck T-12?", "TRK-12"),
    "postgres": ("overdue invoices with amount_eur > 5000", "INV-1042"),
    "qdrant": ("find documents about rest times of drivers", None),
}


@pytest.mark.parametrize("store", list(UNREACHABLE_STORES))
async def test_a_store_that_is_down_degrades_the_answer(
    seeded_settings: Settings, store: str
) -> None:
    broken = replace(
        seeded_settings, stores=replace(seeded_settings.stores, **UNREACHABLE_STORES[store])
    )
    question, record = QUESTION_OF_STORE[store]
    async with running_router(broken, enable_semantic_cache=False) as router:
        answer = await router.query(question, user_id="bob")
        assert (await router.health())[store] != "ok"
    assert answer.degraded
    assert store in answer.failures
    assert record is None or record in {hit.id for hit in answer.results}


async def test_every_store_down_is_an_error_not_an_empty_answer(seeded_settings: Settings) -> None:
    addresses = {name: value for one in UNREACHABLE_STORES.values() for name, value in one.items()}
    broken = replace(seeded_settings, stores=replace(seeded_settings.stores, **addresses))
    async with running_router(broken, enable_semantic_cache=False) as router:
        with pytest.raises(StoreUnavailable):
            await router.query("Who drives truck T-12?", user_id="bob")
        errors = router.metrics.registry.get_sample_value(
            "router_queries_total", {"cohort": "control", "intent": "graph", "outcome": "error"}
        )
    assert errors == 1


async def test_without_redis_answers_go_on_for_control(seeded_settings: Settings) -> None:
    broken = replace(
        seeded_settings,
        stores=replace(seeded_settings.stores, redis_url=f"redis://{CLOSED_ADDRESS}/0"),
    )
    async with running_router(
        broken, enable_feature_flags=True, enable_online_learning=True
    ) as router:
        answer = await router.query("Who drives truck T-12?", user_id="alice")
    assert (answer.cohort, answer.results[0].id) == ("control", "DRV-1")
