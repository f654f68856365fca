"""The decision log on a real Postgres: batches, a bounded queue, outages, retention."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from router.analytics import DecisionLog, DecisionRow, OutcomeRow, fetch_latency_breakdown
from router.answer import Answer
from router.backends.postgres_pool import PostgresPool
from router.observability.metrics import RouterMetrics
from router.settings import AnalyticsSettings, StoreSettings
from router.store_clients import open_postgres

pytestmark = pytest.mark.integration
PHASES = {"cache": 1.0, "search": 8.0, "search.graph": 7.0}
ANSWER = Answer(
    query_id="c-1",
    query="Who drives T-12?",
    intent="graph",
    confidence=0.9,
    tier="model",
    cohort="control",
    backends=("graph",),
    results=(),
    latency_ms=10.0,
    phases_ms=PHASES,
)


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[PostgresPool]:
    pool = await open_postgres(StoreSettings(postgres_dsn=postgres_dsn))
    await pool.execute("DROP TABLE IF EXISTS router_decisions, router_outcomes")
    yield pool
    await pool.close()


def decision_log(pool: PostgresPool, metrics: RouterMetrics, **settings: Any) -> DecisionLog:  # noqa: ANN401 - of Analytics
    return DecisionLog(pool, "log-test", AnalyticsSettings(**settings), metrics)


def decision_rows(count: int) -> list[DecisionRow]:
    return [DecisionRow(replace(ANSWER, query_id=f"c-{n}"), "acme") for n in range(count)]


def sample_value(metrics: RouterMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


async def test_decisions_and_outcomes_arrive_and_are_broken_down(pool: PostgresPool) -> None:
    metrics = RouterMetrics()
    log = decision_log(pool, metrics)
    for logged in decision_rows(700):
        log.record_decision(logged)
    log.record_outcome(OutcomeRow("c-1", 0.7, True, {"clicked": True, "rating": None}, "acme"))
    await log.close()
    assert await pool.fetchval("SELECT count(*) FROM router_decisions") == 700
    assert await pool.fetchval("SELECT signals::text FROM router_outcomes") == '{"clicked": true}'
    assert await pool.fetchval("SELECT count(query) FROM router_decisions") == 0  # no text kept
    assert sample_value(metrics, "router_analytics_written_total") == 701
    found = await fetch_latency_breakdown(pool, "log-test", cohort="control")
    assert list(found) == ["total", "search", "search.graph", "cache"]
    assert (found["search"].queries, found["search"].p99_ms) == (700, 8.0)
    assert await fetch_latency_breakdown(pool, "log-test", cohort="treatment") == {}


async def test_a_full_queue_drops_and_counts_and_never_waits(pool: PostgresPool) -> None:
    metrics = RouterMetrics()
    log = decision_log(pool, metrics, queue_max=10)
    for logged in decision_rows(25):
        log.record_decision(logged)
    assert sample_value(metrics, "router_analytics_dropped_total", reason="queue_full") == 15
    assert sample_value(metrics, "router_analytics_queue_size") == 10


async def test_while_postgres_is_away_rows_wait_and_arrive_later(pool: PostgresPool) -> None:
    metrics = RouterMetrics()
    away = await open_postgres(StoreSettings(postgres_dsn="postgresql://nobody@127.0.0.1:9/none"))
    log = decision_log(away, metrics)
    for logged in decision_rows(3):
        log.record_decision(logged)
    assert not await log._write_batch()
    assert sample_value(metrics, "router_analytics_dropped_total", reason="postgres") == 0
    log._pool = pool
    await log.close()
    assert await pool.fetchval("SELECT count(*) FROM router_decisions") == 3
    await away.close()


async def test_what_is_never_written_is_counted_at_the_end() -> None:
    metrics = RouterMetrics()
    away = await open_postgres(StoreSettings(postgres_dsn="postgresql://nobody@127.0.0.1:9/none"))
    log = decision_log(away, metrics)
    log.record_decision(decision_rows(1)[0])
    await log.close()
    assert sample_value(metrics, "router_analytics_dropped_total", reason="postgres") == 1
    await away.close()


async def test_rows_older_than_the_retention_go(pool: PostgresPool) -> None:
    log = decision_log(pool, RouterMetrics(), retention_days=7)
    for logged in decision_rows(2):
        log.record_decision(logged)
    assert await log._write_batch()
    await pool.execute(
        "UPDATE router_decisions SET at = at - interval '8 days' WHERE query_id = 'c-0'"
    )
    await log._delete_expired()
    assert await pool.fetchval("SELECT string_agg(query_id, ',') FROM router_decisions") == "c-1"


async def test_an_outcome_names_its_tenant_and_why_its_decision_is_missing(
    pool: PostgresPool,
) -> None:
    log = decision_log(pool, RouterMetrics(), retention_days=7)
    log.record_decision(decision_rows(1)[0])
    for query_id in ("c-0", "c-later", "c-never"):
        log.record_outcome(OutcomeRow(query_id, 0.5, False, {}, "acme"))
    assert await log._write_batch()
    log.record_decision(DecisionRow(replace(ANSWER, query_id="c-later"), "acme"))
    assert await log._write_batch()
    await log._delete_expired()
    select = "SELECT query_id, decision_missing FROM router_outcomes WHERE tenant = 'acme'"
    rows = {row["query_id"]: row["decision_missing"] for row in await pool.fetch(select)}
    assert rows == {"c-0": None, "c-later": None, "c-never": "not_written"}
    await pool.execute("UPDATE router_decisions SET at = at - interval '8 days'")
    await log._delete_expired()
    rows = {row["query_id"]: row["decision_missing"] for row in await pool.fetch(select)}
    assert rows == {"c-0": "expired", "c-later": "expired", "c-never": "not_written"}
