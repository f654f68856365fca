"""The alpha budget is split over its claims, and evidence is printed readably."""

import math

import pytest

from sluice.rollout.analysis.stats.alpha_allocation import AlphaBudget, AlphaClaim
from sluice.rollout.analysis.stats.result import format_e_value


def test_the_budget_is_split_and_spent_once() -> None:
    budget = AlphaBudget(total=0.03, claims=(AlphaClaim(name="a"), AlphaClaim(name="b", weight=2)))
    assert budget.alpha("a") == pytest.approx(0.01)
    assert budget.alpha("b") == pytest.approx(0.02)
    assert budget.spend("b").spend("b").spent == pytest.approx(0.02)
    assert budget.spend("b").text() == "α spent 0.02 of 0.03 (b 0.02)"
    with pytest.raises(KeyError, match="known: a, b"):
        budget.alpha("c")
    assert AlphaBudget.even(0.1, ("x",), ("s", "t")).names == ("s/x", "t/x")


@pytest.mark.parametrize(
    ("log_e", "text"),
    [
        (math.log(0.031), "0.031"),
        (math.log(310), "310"),
        (math.log(12400), "12,400"),
        (99, "over 10^12"),
    ],
)
def test_evidence_reads_well(log_e: float, text: str) -> None:
    assert format_e_value(log_e) == text
