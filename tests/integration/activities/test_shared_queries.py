"""Many watches share their requests to a real Prometheus, and get the answers they would get alone."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from activities.adapters.prometheus import PrometheusMetrics
from activities.contract.errors import (
    EffectError,
    MetricsQueryError,
    MetricsTimedOutError,
    MetricsUnreachableError,
)
from activities.contract.ports import BatchAnswer
from activities.measuring.query_batch import QueryBatch, SharedQueries

pytestmark = pytest.mark.integration
AT = datetime(2026, 3, 1, 12, 0, 0, 250000, tzinfo=UTC)
QUERIES = {
    "vector(2.5)": 2.5,
    "vector(0/0)": None,
    "vector(1/0)": None,
    "absent_metric_of_nobody": None,
    "vector(1) # a comment": 1.0,
    "-vector(3) * 2": -6.0,
    "time() - vector(0)": AT.timestamp(),
    "1 + 1": 2.0,
    'sum(label_replace(vector(7), "a", "b", "", ""))': 7.0,
}
REFUSED = 'label_replace(vector(1), "", "", "", "")'
SEVERAL = 'label_replace(vector(1), "a", "b", "", "") or vector(2)'
UNBALANCED = "vector(1)) or (vector(2)"


class CountingMetrics(PrometheusMetrics):
    """The real adapter, with the sizes of its requests."""

    requests: list[int]
    slow: str = ""

    def query(self, promql: str, at: datetime) -> float | None:
        self.requests.append(1)
        return super().query(promql, at)

    def query_many(self, promqls: Sequence[str], at: datetime) -> list[BatchAnswer]:
        self.requests.append(len(promqls))
        if self.slow in promqls and self.slow:
            raise MetricsTimedOutError("no answer within 4 s")
        return super().query_many(promqls, at)


@pytest.fixture
def metrics(prometheus_url: str) -> Iterator[CountingMetrics]:
    with CountingMetrics(prometheus_url) as counting:
        counting.requests = []
        yield counting


async def ask(shared: SharedQueries, *promqls: str, at: datetime = AT) -> list[object]:
    """Ask all at once, as so many watches do; an error is its own answer."""
    batch = QueryBatch(shared, 10)
    return await asyncio.gather(
        *(batch.query(promql, at) for promql in promqls), return_exceptions=True
    )


async def test_answers_are_those_of_single_queries(metrics: CountingMetrics) -> None:
    assert await ask(SharedQueries(metrics), *QUERIES) == pytest.approx(list(QUERIES.values()))
    assert metrics.requests == [1, len(QUERIES) - 1], "a scalar can't be part of a union"


async def test_the_same_query_of_many_watches_is_asked_once(metrics: CountingMetrics) -> None:
    shared = SharedQueries(metrics)
    watches = (ask(shared, "vector(1)", f"vector({number})") for number in range(50))
    assert [answers[1] for answers in await asyncio.gather(*watches)] == list(range(50))
    assert metrics.requests == [50]
    await ask(shared, "vector(1)")
    assert metrics.requests == [50], "a little later, the answer is still there"
    await ask(shared, "vector(1)", at=AT + timedelta(seconds=1))
    assert metrics.requests == [50, 1]


async def test_a_bad_query_hurts_no_other(metrics: CountingMetrics) -> None:
    """Prometheus refuses the whole request: each is then asked by itself, the bad one for good."""
    shared = SharedQueries(metrics)
    bad, several, unbalanced, good = await ask(shared, REFUSED, SEVERAL, UNBALANCED, "vector(1)")
    assert good == 1
    assert isinstance(bad, MetricsQueryError)
    assert isinstance(several, MetricsQueryError)
    assert "2 series" in str(several)
    assert isinstance(unbalanced, MetricsQueryError), "alone it does not parse"
    metrics.requests.clear()
    later = AT + timedelta(seconds=5)
    answers = await ask(shared, REFUSED, "vector(1)", "vector(2)", at=later)
    assert answers[1:] == [1, 2]
    assert sorted(metrics.requests) == [1, 2]


async def test_a_slow_query_hurts_the_others_once(metrics: CountingMetrics) -> None:
    metrics.slow = "vector(9)"
    shared = SharedQueries(metrics)
    first = await ask(shared, "vector(9)", "vector(1)", "vector(2)")
    assert all(isinstance(answer, MetricsUnreachableError) for answer in first)
    for seconds in (5, 10):
        later = AT + timedelta(seconds=seconds)
        assert (await ask(shared, "vector(1)", "vector(2)", at=later)) == [1, 2]
    assert metrics.requests == [3, 1, 1, 2], "a query that answered quickly is in a batch again"


async def test_an_unreachable_prometheus_is_an_error_for_all(unused_tcp_port: int) -> None:
    with PrometheusMetrics(f"http://127.0.0.1:{unused_tcp_port}") as away:
        answers = await ask(SharedQueries(away), "vector(1)", "vector(2)")
    assert all(isinstance(answer, EffectError) for answer in answers)
