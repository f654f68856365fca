"""The contract of metrics providers: the double and a real Prometheus run the same tests."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from activities.adapters.prometheus import PrometheusMetrics
from activities.contract.errors import MetricsQueryError, MetricsUnreachableError
from activities.contract.ports import MetricsProvider
from activities.doubles.metrics import MemoryMetrics

AT = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
REFUSED = "sum("


@pytest.fixture(params=["memory", pytest.param("prometheus", marks=pytest.mark.integration)])
def metrics(request: pytest.FixtureRequest) -> Iterator[MetricsProvider]:
    if request.param == "memory":
        answers = {"vector(2.5)": 2.5, "vector(0/0)": float("nan"), "vector(1/0)": float("inf")}
        yield MemoryMetrics({**answers, REFUSED: MetricsQueryError("refused")})
        return
    with PrometheusMetrics(request.getfixturevalue("prometheus_url")) as prometheus:
        yield prometheus


def test_gives_the_value(metrics: MetricsProvider) -> None:
    assert metrics.query("vector(2.5)", AT) == 2.5


@pytest.mark.parametrize("promql", ["absent_metric_of_nobody", "vector(0/0)", "vector(1/0)"])
def test_empty_nan_and_infinite_results_count_as_no_data(
    metrics: MetricsProvider, promql: str
) -> None:
    assert metrics.query(promql, AT) is None


def test_a_refused_query_is_permanent(metrics: MetricsProvider) -> None:
    with pytest.raises(MetricsQueryError):
        metrics.query(REFUSED, AT)


def test_out_of_reach_is_transient(unused_tcp_port: int) -> None:
    down = MemoryMetrics()
    down.down = MetricsUnreachableError("down")
    away = PrometheusMetrics(f"http://127.0.0.1:{unused_tcp_port}")
    for metrics in (down, away):
        with pytest.raises(MetricsUnreachableError):
            metrics.query("vector(1)", AT)
    away.close()
