"""The readings of a block that no statistical gate may count."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from sluice.rollout.analysis.blocks import BlockReadings, CounterIncreases
from sluice.rollout.analysis.cohorts import Cohort

SINCE = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR, STALE_AFTER = (SINCE, SINCE + timedelta(hours=1)), timedelta(minutes=2)
SCRAPED = 1e9


@pytest.mark.parametrize(
    ("events", "scrapes", "problem"),
    [
        (3.0, SCRAPED, ""),
        (None, SCRAPED, "the control cohort has no counts"),
        (math.nan, SCRAPED, "the control cohort has no counts"),
        (-1.0, SCRAPED, "a counter of the control cohort went down"),
        (3.0, 0.0, "nothing was scraped for 120 s"),
        (3.0, math.nan, "nothing was scraped for 120 s"),
    ],
)
def test_readings_with_a_gap_are_not_evidence(
    events: float | None, scrapes: float, problem: str
) -> None:
    increases: dict[Cohort, CounterIncreases] = {
        "treatment": {"events": 1.0},
        "control": {"events": events},
    }
    readings = BlockReadings(increases, scrapes)
    assert readings.problem(HOUR, STALE_AFTER, SINCE) == problem
