"""A limit and a reading that differ are never printed alike, whatever their unit and size."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluice.rollout.analysis.value_format import (
    PER_HOUR,
    format_distinct,
    format_effect,
    format_value,
)
from sluice.rollout.analysis.verdict import Effect

UNITS = ["seconds", "ratio", "bytes", "count", "score", "per_second", "e-value"]
units = st.sampled_from([*UNITS, *(f"{unit}{PER_HOUR}" for unit in UNITS)])
values = st.floats(-1e15, 1e15, allow_nan=False)


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[float, float]:
    """Draw two values that differ: by much, by a part, or by the last bit."""
    first = draw(values)
    near = [first * (1 + draw(st.floats(-1e-3, 1e-3))), math.nextafter(first, math.inf)]
    second = draw(st.sampled_from([draw(values), *near]))
    return (first, second) if draw(st.booleans()) else (second, first)


@given(pair=neighbours(), unit=units)
@example(pair=(0.0, -0.0), unit="seconds")
def test_values_that_differ_are_printed_differently(pair: tuple[float, float], unit: str) -> None:
    texts = format_distinct(pair, unit)
    assert (texts[0] == texts[1]) == (pair[0] == pair[1])


@given(value=values, unit=units)
def test_equal_values_are_printed_alike_and_short(value: float, unit: str) -> None:
    assert format_distinct((value, value), unit) == (format_value(value, unit),) * 2


@pytest.mark.parametrize(
    ("pair", "unit", "texts"),
    [
        ((0.8821, 0.8819), "seconds", ("882.1 ms", "881.9 ms")),
        ((0.05, 0.0500001), "ratio", ("5.00000%", "5.00001%")),
        ((1e-20, math.nextafter(1e-20, 1)), "seconds", ("1e-20 s", "1.0000000000000001e-20 s")),
        ((1.5, 1.5000001), "bytes", ("1.5000000 B", "1.5000001 B")),
    ],
)
def test_digits_are_as_many_as_needed(
    pair: tuple[float, float], unit: str, texts: tuple[str, str]
) -> None:
    assert format_distinct(pair, unit) == texts


@pytest.mark.parametrize(
    ("effect", "text"),
    [
        (Effect(kind="ratio"), "not known yet"),
        (Effect(kind="ratio", estimate=2, low=1.1), "2 times the control (1.1 to unknown)"),
        (
            Effect(kind="difference", estimate=0.1, low=0.0, high=0.2, limit=0.3),
            "+0.1 against the control (+0 to +0.2; harm beyond +0.3)",
        ),
    ],
)
def test_a_bound_that_is_unknown_is_not_printed_as_zero(effect: Effect, text: str) -> None:
    assert format_effect(effect) == text
