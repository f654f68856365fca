"""Durations and thresholds as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.rollout.errors import QuantityError
from sluice.rollout.units import (
    format_duration,
    format_hours,
    parse_duration,
    parse_threshold,
    threshold_form,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1h30m", 5400), ("2d", 172800), ("500ms", 0.5), ("1w", 604800), (0, 0)],
)
def test_durations_read_as_written(text: object, seconds: float) -> None:
    """Each unit and their combinations mean what Prometheus users expect."""
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "5", "5q", "-3s", "1h 30", None, True, float("nan"), -1])
def test_an_invalid_duration_is_rejected_with_an_example(text: object) -> None:
    """Nothing is guessed; the error shows how to write one."""
    with pytest.raises(QuantityError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("number", [30, 1.5, 1000])
def test_a_duration_without_unit_is_refused(number: float) -> None:
    """``hold: 48`` was 48 seconds, and meant hours."""
    with pytest.raises(QuantityError, match=f"{number} has no unit; write for example {number}s"):
        parse_duration(number)


@given(st.integers(min_value=0, max_value=10**11))
def test_a_formatted_duration_reads_back_as_itself(milliseconds: int) -> None:
    """Plans survive being written by the data converter and read again."""
    span = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(span)) == span


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1s", 1.0),
        ("5ms", 0.005),
        ("5%", 0.05),
        ("+10%", 0.1),
        ("-1%", -0.01),
        ("2x", 1.0),
        (0.5, 0.5),
    ],
)
def test_thresholds_become_base_units_or_relative_changes(text: object, value: float) -> None:
    """A second is 1.0, a percentage a ratio, +10% and 2x a relative change."""
    assert parse_threshold(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "fast", "x", "%", "1s%", None, True, float("inf"), "nan"])
def test_an_invalid_threshold_is_rejected(text: object) -> None:
    """NaN and infinity are not limits: no reading can be judged against them."""
    with pytest.raises(QuantityError, match="not a threshold"):
        parse_threshold(text)


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_number_too_large_for_a_threshold_is_shortened(number: int) -> None:
    with pytest.raises(QuantityError, match="a number of more than 60 digits is not a threshold"):
        parse_threshold(number)


@pytest.mark.parametrize(
    ("hours", "text"),
    [(0.005, "18 s"), (0.02, "2 minutes"), (1.0, "1 hour"), (30.0, "30 hours"), (96.0, "4 days")],
)
def test_hours_are_rounded_up_for_people(hours: float, text: str) -> None:
    assert format_hours(hours) == text


def test_a_flag_is_not_a_threshold() -> None:
    assert threshold_form(True) is None
