"""The errors behind red flags: the router's, not those of short deadlines."""

import time

import pytest
from redis.asyncio import Redis

from router.errors import DeadlineExceeded, Overloaded, StoreUnavailable
from router.observability.metrics import TENANTS_MAX, RouterMetrics
from router.observability.trace import Trace
from router.phases.phase_switches import Assignment
from router.pipeline.query_metrics import observe_query
from router.pipeline.query_request import QueryRequest
from sluice.flags.service.counted_user import CountedUser
from sluice.flags.service.unique_users import UniqueUserCounter


def sample_value(metrics: RouterMetrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, {"cohort": "treatment", **labels}) or 0.0


def observe_failure(error: Exception, *, seconds: float | None, left: float) -> RouterMetrics:
    """Return the counters after a query with ``seconds`` failed with ``left`` of them."""
    metrics, trace = RouterMetrics(), Trace(deadline=time.monotonic() + left)
    users = UniqueUserCounter(Redis(), "test", metrics.users)  # contacts nobody until it is flushed
    request = QueryRequest("q", "alice", Assignment("treatment", MEMBER), seconds=seconds)
    with (
        pytest.raises((DeadlineExceeded, type(error))) as raised,
        observe_query(metrics, users, request, trace),
    ):
        raise error
    late = sample_value(metrics, "router_refused_total", reason="deadline")
    assert isinstance(raised.value, DeadlineExceeded) == bool(late)
    assert (
        any(
            one.failed
            for counter in users._counters
            for user in counter._pending.values()
            for one in user.requests
        )
    ) == bool(error_counts(metrics)[0])
    return metrics


def error_counts(metrics: RouterMetrics) -> tuple[float, float]:
    """Errors, and how many times were measured."""
    counts = sample_value(metrics, "router_queries_total", intent="unknown", outcome="error")
    return counts, sample_value(metrics, "router_query_duration_seconds_count")


MEMBER = CountedUser(1, 7, 9)
DEADLINE_ERRORS = [TimeoutError(), StoreUnavailable("graph", "no answer within 0 s")]


@pytest.mark.parametrize("error", DEADLINE_ERRORS, ids=repr)
def test_a_timeout_under_a_second_is_not_an_error(error: Exception) -> None:
    metrics = observe_failure(error, seconds=0.05, left=0.01)
    assert error_counts(metrics) == (0, 0)
    assert sample_value(metrics, "router_refused_total", reason="deadline") == 1


@pytest.mark.parametrize("error", DEADLINE_ERRORS, ids=repr)
def test_a_callers_deadline_is_no_error_but_from_the_p99_target_on_a_duration(
    error: Exception,
) -> None:
    """One caller's deadline must not fire error_spike, and a slow release must not look fast."""
    metrics = observe_failure(error, seconds=1.0, left=0.0)
    assert error_counts(metrics) == (0, 1)
    assert sample_value(metrics, "router_refused_total", reason="deadline") == 1


@pytest.mark.parametrize("error", DEADLINE_ERRORS, ids=repr)
def test_the_routers_own_deadline_is_an_error(error: Exception) -> None:
    assert error_counts(observe_failure(error, seconds=None, left=0.0)) == (1, 1)


def test_a_failure_with_time_left_is_an_error_however_short_the_deadline() -> None:
    down = StoreUnavailable("graph", "connection refused")
    assert error_counts(observe_failure(down, seconds=0.9, left=0.8)) == (1, 1)
    assert error_counts(observe_failure(KeyError("bug"), seconds=0.05, left=0.0)) == (1, 1)


def test_load_shedding_counts_neither_errors_nor_latency() -> None:
    metrics = observe_failure(Overloaded("busy"), seconds=None, left=5.0)
    assert error_counts(metrics) == (0, 0)
    assert sample_value(metrics, "router_refused_total", reason="overload") == 1


def test_a_failure_counts_for_its_intent_and_its_tenant() -> None:
    """Without the intent, every failure is of ``unknown``, whose error rate is always 100 %."""
    metrics, trace = RouterMetrics(), Trace(attributes={"intent": "graph"})
    users = UniqueUserCounter(Redis(), "test", metrics.users)
    request = QueryRequest("q", "alice", Assignment("treatment", MEMBER), tenant="acme")
    with pytest.raises(KeyError), observe_query(metrics, users, request, trace):
        raise KeyError("bug")
    for name, group in (("router_queries", "intent"), ("router_tenant_queries", "tenant")):
        label = {group: {"intent": "graph", "tenant": "acme"}[group]}
        assert sample_value(metrics, f"{name}_total", outcome="error", **label) == 1


def test_tenants_after_the_limit_share_a_label() -> None:
    metrics = RouterMetrics()
    for number in range(TENANTS_MAX + 5):
        metrics.count_query("treatment", "graph", f"tenant-{number}", "ok")
    counted = {
        sample.labels["tenant"]: sample.value
        for family in metrics.tenant_queries.collect()
        for sample in family.samples
        if sample.labels["cohort"] == "treatment"
        and sample.labels["outcome"] == "ok"
        and sample.name.endswith("_total")
    }
    assert len(counted) == TENANTS_MAX + 1
    assert counted["other"] == 5
