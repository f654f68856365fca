"""The circuit breaker opens, lets one trial through, and closes again."""

from unittest.mock import patch

from router.overload.circuit_breaker import CircuitBreaker


def test_a_breaker_opens_lets_one_try_and_closes_again() -> None:
    now = 100.0
    with patch("router.overload.circuit_breaker.time.monotonic", lambda: now):
        breaker = CircuitBreaker(failures_max=2, open_seconds=2.0)
        breaker.record_failure()
        assert breaker.allows_request()
        breaker.record_failure()
        assert not breaker.allows_request()
        now = 102.1
        assert [breaker.allows_request() for _ in range(3)] == [True, False, False]
        breaker.record_failure()
        assert not breaker.allows_request()
        now = 104.2
        assert breaker.allows_request()
        breaker.record_success()
        assert [breaker.allows_request() for _ in range(3)] == [True, True, True]


def test_a_trial_that_never_reports_is_forgotten() -> None:
    now = 0.0
    with patch("router.overload.circuit_breaker.time.monotonic", lambda: now):
        breaker = CircuitBreaker(failures_max=1)
        breaker.record_failure()
        now = 3.0
        assert breaker.allows_request()
        now = 14.0
        assert breaker.allows_request()
