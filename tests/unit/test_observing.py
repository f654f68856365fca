"""What red flags see: errors of the router, and nobody's hurry."""

import time

import pytest
from redis.asyncio import Redis

from router.errors import Late, Overloaded, StoreUnavailable
from router.metrics import Metrics
from router.observing import observe
from router.phases import Assigned
from router.trace import Trace
from router.users import Member, UserCounts


def counted(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, {"cohort": "treatment", **labels}) or 0.0


def failing(error: Exception, *, seconds: float | None, left: float) -> Metrics:
    """A query that gave ``seconds`` and failed with ``left`` of them; what was counted."""
    metrics, trace = Metrics(), Trace(deadline=time.monotonic() + left)
    users = UserCounts(Redis(), "test", metrics)  # contacts nobody until it is flushed
    with (
        pytest.raises((Late, type(error))) as raised,
        observe(metrics, users, Assigned("treatment", MEMBER), trace, seconds),
    ):
        raise error
    late = counted(metrics, "router_refused_total", why="deadline")
    assert isinstance(raised.value, Late) == bool(late)
    assert (("failed", MEMBER.slot) in users._pending) == bool(errors(metrics)[0])
    return metrics


def errors(metrics: Metrics) -> tuple[float, float]:
    """Errors, and how many times were measured."""
    counts = counted(metrics, "router_queries_total", intent="unknown", outcome="error")
    return counts, counted(metrics, "router_query_duration_seconds_count")


MEMBER = Member(1, 7)
HURRIED = [TimeoutError(), StoreUnavailable("graph", "no answer within 0 s")]


@pytest.mark.parametrize("error", HURRIED, ids=repr)
def test_a_short_deadline_of_the_caller_is_no_error(error: Exception) -> None:
    metrics = failing(error, seconds=0.05, left=0.01)
    assert errors(metrics) == (0, 0)
    assert counted(metrics, "router_refused_total", why="deadline") == 1


@pytest.mark.parametrize("error", HURRIED, ids=repr)
def test_no_answer_within_a_second_is_an_error_whoever_set_the_deadline(error: Exception) -> None:
    """Else a release that is too slow for all its callers would look healthy."""
    for seconds in (1.0, None):
        assert errors(failing(error, seconds=seconds, left=0.0)) == (1, 1)


def test_a_failure_with_time_left_is_an_error_however_short_the_deadline() -> None:
    down = StoreUnavailable("graph", "connection refused")
    assert errors(failing(down, seconds=0.9, left=0.8)) == (1, 1)
    assert errors(failing(KeyError("bug"), seconds=0.05, left=0.0)) == (1, 1)


def test_refusals_under_load_are_no_errors_and_have_no_time() -> None:
    metrics = failing(Overloaded("busy"), seconds=None, left=5.0)
    assert errors(metrics) == (0, 0)
    assert counted(metrics, "router_refused_total", why="overload") == 1
