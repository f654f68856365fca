"""The decision log on a real Postgres: batches, a bounded queue, outages, retention."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from router.analytics import DecisionLog, Logged, Outcome, latency_breakdown
from router.answers import Answer
from router.backends.pool import Pool
from router.metrics import Metrics
from router.settings import Analytics, Stores
from router.stores import open_postgres

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
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    pool = await open_postgres(Stores(postgres_dsn=postgres_dsn))
    await pool.execute("DROP TABLE IF EXISTS router_decisions, router_outcomes")
    yield pool
    await pool.close()


def log_on(pool: Pool, metrics: Metrics, **settings: Any) -> DecisionLog:  # noqa: ANN401 - of Analytics
    return DecisionLog(pool, "log-test", Analytics(**settings), metrics)


def answers(count: int) -> list[Logged]:
    return [Logged(replace(ANSWER, query_id=f"c-{n}"), "acme") for n in range(count)]


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


async def test_decisions_and_outcomes_arrive_and_are_broken_down(pool: Pool) -> None:
    metrics = Metrics()
    log = log_on(pool, metrics)
    for logged in answers(700):
        log.decided(logged)
    log.came_of_it(Outcome("c-1", 0.7, True, {"clicked": True, "rating": None}))
    await log.close()
    assert await pool.fetchval("SELECT count(*) FROM router_decisions") == 700
    assert await pool.fetchval("SELECT signals::text FROM router_outcomes") == '{"clicked": true}'
    assert await pool.fetchval("SELECT count(query) FROM router_decisions") == 0  # no text kept
    assert value(metrics, "router_analytics_written_total") == 701
    found = await latency_breakdown(pool, "log-test", cohort="control")
    assert list(found) == ["total", "search", "search.graph", "cache"]
    assert (found["search"].queries, found["search"].p99_ms) == (700, 8.0)
    assert await latency_breakdown(pool, "log-test", cohort="treatment") == {}


async def test_a_full_queue_drops_and_counts_and_never_waits(pool: Pool) -> None:
    metrics = Metrics()
    log = log_on(pool, metrics, queue=10)
    for logged in answers(25):
        log.decided(logged)
    assert value(metrics, "router_analytics_dropped_total", why="queue_full") == 15
    assert value(metrics, "router_analytics_queue_size") == 10


async def test_while_postgres_is_away_rows_wait_and_arrive_later(pool: Pool) -> None:
    metrics = Metrics()
    away = await open_postgres(Stores(postgres_dsn="postgresql://nobody@127.0.0.1:9/none"))
    log = log_on(away, metrics)
    for logged in answers(3):
        log.decided(logged)
    assert not await log._written()
    assert value(metrics, "router_analytics_dropped_total", why="postgres") == 0
    log._pool = pool
    await log.close()
    assert await pool.fetchval("SELECT count(*) FROM router_decisions") == 3
    await away.close()


async def test_what_is_never_written_is_counted_at_the_end() -> None:
    metrics = Metrics()
    away = await open_postgres(Stores(postgres_dsn="postgresql://nobody@127.0.0.1:9/none"))
    log = log_on(away, metrics)
    log.decided(answers(1)[0])
    await log.close()
    assert value(metrics, "router_analytics_dropped_total", why="postgres") == 1
    await away.close()


async def test_rows_older_than_the_retention_go(pool: Pool) -> None:
    log = log_on(pool, Metrics(), retention_days=7)
    for logged in answers(2):
        log.decided(logged)
    assert await log._written()
    await pool.execute(
        "UPDATE router_decisions SET at = at - interval '8 days' WHERE query_id = 'c-0'"
    )
    await log._forget()
    assert await pool.fetchval("SELECT string_agg(query_id, ',') FROM router_decisions") == "c-1"
