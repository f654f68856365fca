"""The router on its real stores: right records, degraded answers, faults only for the treatment."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from router.embedding import LocalEmbedder
from router.errors import InjectedFault, InvalidQuestion, StoreUnavailable, UnknownDecision
from router.ingest import ingest
from router.learning import UserFeedback
from router.phases import FLAG
from router.records import Link, Record
from router.router import QueryRouter
from router.settings import Settings, Stores
from router.stores import open_stores
from tests.conftest import Neo4jSettings

pytestmark = pytest.mark.integration

RECORDS = [
    Record("DRV-1", "driver", "Anna Kowalski", "Anna Kowalski drives long-haul routes.", "drivers/DRV-1",
           {"status": "active", "depot": "Gdansk"}, (Link("DRIVES", "TRK-12"), Link("REPORTS_TO", "DRV-3"))),
    Record("DRV-2", "driver", "Marek Nowak", "Marek Nowak drives regional deliveries.", "drivers/DRV-2",
           {"status": "on leave", "depot": "Poznan"}, (Link("DRIVES", "TRK-7"), Link("REPORTS_TO", "DRV-3"))),
    Record("DRV-3", "driver", "Julia Wrona", "Julia Wrona leads the team.", "drivers/DRV-3",
           {"status": "active", "depot": "Gdansk"}),
    Record("TRK-12", "truck", "Truck T-12", "A Volvo FH 500 with a refrigerated trailer.", "trucks/TRK-12",
           {"capacity_kg": 24000}),
    Record("TRK-7", "truck", "Truck T-7", "A Scania R450 flatbed.", "trucks/TRK-7", {"capacity_kg": 18000}),
    Record("CUS-1", "customer", "Baltic Foods", "Baltic Foods ships frozen fish.", "customers/CUS-1"),
    Record("CON-1", "contract", "Contract C-101", "Cold chain contract.", "contracts/CON-1",
           {"status": "active"}, (Link("WITH", "CUS-1"),)),
    Record("INV-1042", "invoice", "Invoice INV-1042", "Invoice INV-1042 to Baltic Foods.", "invoices/INV-1042",
           {"status": "overdue", "amount_eur": 12500, "occurred_on": "2025-03-05"}, (Link("UNDER", "CON-1"),)),
    Record("INV-1043", "invoice", "Invoice INV-1043", "Invoice INV-1043 to Nordwind.", "invoices/INV-1043",
           {"status": "paid", "amount_eur": 3200, "occurred_on": "2025-02-11"}),
    Record("INC-1", "incident", "Incident INC-1", "The cooling unit of truck T-12 failed near Lodz.",
           "incidents/INC-1", {"severity": "high", "occurred_on": "2025-03-17"}, (Link("INVOLVES", "TRK-12"),)),
    Record("INC-2", "incident", "Incident INC-2", "Truck T-7 had a flat tyre on the A2.", "incidents/INC-2",
           {"severity": "low", "occurred_on": "2025-05-20"}, (Link("INVOLVES", "TRK-7"),)),
    Record("HB-2", "handbook", "Driving and rest times",
           "Drivers rest 45 minutes after four and a half hours at the wheel.", "handbook/HB-2"),
]  # fmt: skip
NOWHERE = "127.0.0.1:9"  # the discard port: nothing listens


@pytest.fixture
def settings(
    redis_url: str, postgres_dsn: str, neo4j_settings: Neo4jSettings, qdrant_url: str
) -> Settings:
    stores = Stores(
        redis_url=redis_url,
        postgres_dsn=postgres_dsn,
        neo4j_uri=neo4j_settings.uri,
        neo4j_user=neo4j_settings.user,
        neo4j_password=neo4j_settings.password,
        neo4j_database=neo4j_settings.database,
        qdrant_url=qdrant_url,
    )
    return Settings(environment="router-test", stores=stores)


@pytest.fixture
async def filled(settings: Settings) -> Settings:
    """The records in every store, alone and twice: ingestion is idempotent."""
    stores = await open_stores(settings.stores)
    async with stores.neo4j.session(database=stores.neo4j_database) as session:
        await (await session.run("MATCH (n) DETACH DELETE n")).consume()
    await stores.postgres.execute("DROP TABLE IF EXISTS records")
    embedder = LocalEmbedder()
    first = await ingest(RECORDS, stores, embedder)
    assert await ingest(RECORDS, stores, embedder) == first
    assert (first.records, first.dangling) == (len(RECORDS), 0)
    await stores.close()
    return settings


@asynccontextmanager
async def running(settings: Settings, **switches: bool) -> AsyncIterator[QueryRouter]:
    router = QueryRouter(settings=settings, **switches)  # type: ignore[arg-type]  # booleans only
    await router.initialize()
    try:
        yield router
    finally:
        await router.close()


@asynccontextmanager
async def treated(settings: Settings) -> AsyncIterator[QueryRouter]:
    """Alice is treated, everybody else is not."""
    async with running(settings, enable_feature_flags=True, enable_online_learning=True) as router:
        flags = router.feature_flags
        assert flags is not None
        await flags.create_flag(FLAG)
        await flags.add_to_whitelist(FLAG, "alice")
        async with asyncio.timeout(3):
            while not flags.evaluate(FLAG, "alice").enabled:  # noqa: ASYNC110  # another thread or process changes it
                await asyncio.sleep(0.02)
        yield router


async def test_a_question_of_each_intent_finds_its_record_with_its_source(filled: Settings) -> None:
    expected = {
        "Who drives truck T-12?": ("graph", "DRV-1", "drivers/DRV-1"),
        "What happened to truck T-12 in March 2025?": ("temporal", "INC-1", "incidents/INC-1"),
        "overdue invoices with amount_eur > 5000": ("metadata", "INV-1042", "invoices/INV-1042"),
        "find documents about rest times of drivers": ("semantic", "HB-2", "handbook/HB-2"),
    }
    async with running(filled) as router:
        for question, (intent, record, source) in expected.items():
            answer = await router.query(question, user_id="bob")
            assert answer.intent == intent, question
            assert (answer.results[0].id, answer.results[0].source) == (record, source), question
            assert (answer.cohort, answer.degraded) == ("control", False)


async def test_nothing_is_searched_for_what_is_out_of_scope(filled: Settings) -> None:
    async with running(filled) as router:
        answer = await router.query("Tell me a joke", user_id="bob")
    assert (answer.intent, answer.results, answer.backends) == ("out_of_scope", (), ())


async def test_the_second_time_comes_from_the_cache_of_the_same_cohort(filled: Settings) -> None:
    async with treated(filled) as router:
        first = await router.query("Who drives truck T-12?", user_id="bob")
        async with asyncio.timeout(3):
            while not (again := await router.query("who drives truck T-12", user_id="bob")).cached:  # noqa: ASYNC110  # another thread or process changes it
                await asyncio.sleep(0.02)
        other = await router.query("Who drives truck T-12?", user_id="alice")
    assert [hit.id for hit in again.results] == [hit.id for hit in first.results]
    assert again.query_id != first.query_id
    assert (other.cohort, other.cached) == ("treatment", False)


DOWN = {
    "graph": {"neo4j_uri": f"bolt://{NOWHERE}"},
    "postgres": {"postgres_dsn": f"postgresql://nobody@{NOWHERE}/none"},
    "qdrant": {"qdrant_url": f"http://{NOWHERE}"},
}
ASKED_OF = {
    "graph": ("Who drives truck T-12?", "TRK-12"),
    "postgres": ("overdue invoices with amount_eur > 5000", "INV-1042"),
    "qdrant": ("find documents about rest times of drivers", None),
}


@pytest.mark.parametrize("store", list(DOWN))
async def test_a_store_that_is_down_degrades_the_answer(filled: Settings, store: str) -> None:
    broken = replace(filled, stores=replace(filled.stores, **DOWN[store]))
    question, record = ASKED_OF[store]
    async with running(broken, enable_semantic_cache=False) as router:
        answer = await router.query(question, user_id="bob")
        assert (await router.health())[store] != "ok"
    assert answer.degraded
    assert store in answer.failures
    assert record is None or record in {hit.id for hit in answer.results}


async def test_every_store_down_is_an_error_not_an_empty_answer(filled: Settings) -> None:
    addresses = {name: value for one in DOWN.values() for name, value in one.items()}
    broken = replace(filled, stores=replace(filled.stores, **addresses))
    async with running(broken, enable_semantic_cache=False) as router:
        with pytest.raises(StoreUnavailable):
            await router.query("Who drives truck T-12?", user_id="bob")
        errors = router.metrics.registry.get_sample_value(
            "router_queries_total", {"cohort": "control", "intent": "unknown", "outcome": "error"}
        )
    assert errors == 1


async def test_without_redis_answers_go_on_for_control(filled: Settings) -> None:
    broken = replace(filled, stores=replace(filled.stores, redis_url=f"redis://{NOWHERE}/0"))
    async with running(broken, enable_feature_flags=True, enable_online_learning=True) as router:
        answer = await router.query("Who drives truck T-12?", user_id="alice")
    assert (answer.cohort, answer.results[0].id) == ("control", "DRV-1")


async def test_an_empty_question_is_the_callers_mistake(filled: Settings) -> None:
    async with running(filled) as router:
        with pytest.raises(InvalidQuestion):
            await router.query("   ", user_id="bob")


async def test_feedback_of_the_treatment_is_learned_and_of_control_only_counted(
    filled: Settings,
) -> None:
    async with treated(filled) as router:
        alice = await router.query("Who drives truck T-12?", user_id="alice")
        bob = await router.query("Who drives truck T-12?", user_id="bob")
        learned = await router.record_feedback(UserFeedback(alice.query_id, clicked=True))
        counted = await router.record_feedback(
            UserFeedback(bob.query_id, clicked=True), complaint=True
        )
        with pytest.raises(UnknownDecision):
            await router.record_feedback(UserFeedback("t-never", clicked=True))
        value = router.metrics.registry.get_sample_value
        assert value("router_complaints_total", {"cohort": "control"}) == 1
        assert value("router_feedback_total", {"cohort": "treatment"}) == 1
        assert value("router_feedback_reward_sum", {"cohort": "control"}) == 1
    assert (learned.outcome, counted.outcome) == ("accepted", "observed")


async def test_a_fault_hurts_only_the_treatment_and_leaves_with_its_key(filled: Settings) -> None:
    faulty = replace(filled, fault_injection=True)
    key = f"sluice:{faulty.environment}:faults"
    redis = Redis.from_url(faulty.stores.redis_url)
    async with redis, treated(faulty) as router:
        await redis.set(key, '{"kind": "errors", "share": 1.0}')
        await _until(lambda: router.parts.faults.fault is not None)
        with pytest.raises(InjectedFault):
            await router.query("Who drives truck T-12?", user_id="alice")
        assert (await router.query("Who drives truck T-12?", user_id="bob")).results
        await redis.set(key, '{"kind": "reward"}')
        await _until(
            lambda: (
                router.parts.faults.fault is not None and router.parts.faults.fault.kind == "reward"
            )
        )
        wrong = await router.query("Who drives truck T-12?", user_id="alice")
        assert "DRV-1" not in {hit.id for hit in wrong.results[:3]}
        await redis.delete(key)
        await _until(lambda: router.parts.faults.fault is None)
        right = await router.query("Who drives truck T-12?", user_id="alice")
        assert (right.results[0].id, right.cached) == ("DRV-1", False)


async def test_phases_switch_live_through_the_flag_document(filled: Settings) -> None:
    async with running(filled) as router:
        assert router.feature_flags is None
        assert router.online_learning_router is None
        flags = router.parts.phases.flags
        await flags.set_phases({"enable_feature_flags": False, "enable_online_learning": True})
        await _until(lambda: router.online_learning_router is not None)
        answer = await router.query("Who drives truck T-12?", user_id="anybody")
        assert answer.cohort == "treatment"
        await flags.set_phases({"enable_online_learning": False})
        await _until(lambda: router.online_learning_router is None)
        assert (await router.query("Who drives T-7?", user_id="anybody")).cohort == "control"


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # another thread or process changes it
            await asyncio.sleep(0.02)
