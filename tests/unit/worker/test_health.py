"""Readiness of a worker whose clock differs from Temporal's."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice.worker.health import POLL_AGE_MAX, PollAge


@pytest.mark.parametrize("skew", [-300, 0, 300])
def test_a_poll_is_old_when_temporal_names_the_same_time_for_too_long(skew: int) -> None:
    """Only time that passes on this machine counts, never the difference of two clocks."""
    seconds = 0.0
    age = PollAge(lambda: seconds)
    polled_at = datetime.now(UTC) + timedelta(seconds=skew)
    assert age.is_recent(polled_at)
    seconds = POLL_AGE_MAX.total_seconds() - 1
    assert age.is_recent(polled_at)
    seconds = POLL_AGE_MAX.total_seconds()
    assert not age.is_recent(polled_at)
    assert age.is_recent(polled_at + timedelta(minutes=1))
