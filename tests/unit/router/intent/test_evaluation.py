"""Evaluation: the figures a person would count by hand."""

import pytest

from router.intent import Example, Intent
from router.intent.evaluation import evaluate_decisions

EXAMPLES = [
    Example("a", "graph", "easy"),
    Example("b", "graph", "hard"),
    Example("c", "temporal", "easy"),
    Example("d", "semantic"),
]
DECIDED = [
    Intent("graph", 0.95, "rules"),
    Intent("temporal", 0.55, "model"),
    Intent("temporal", 0.85, "model"),
    Intent("semantic", 0.55, "model"),
]


def test_figures_are_what_one_counts() -> None:
    result = evaluate_decisions(EXAMPLES, DECIDED)
    assert result.overall.accuracy == pytest.approx(0.75)
    assert (result.classes["graph"].recall, result.classes["graph"].precision) == (0.5, 1.0)
    assert (result.classes["temporal"].recall, result.classes["temporal"].precision) == (1.0, 0.5)
    assert result.difficulties["easy"].accuracy == pytest.approx(1.0)
    assert result.difficulties["hard"].accuracy == pytest.approx(0.0)
    assert set(result.difficulties) == {"easy", "hard"}
    assert result.tiers["model"].correct == 2
    assert result.confusion["graph"] == {"graph": 1, "temporal": 1}


def test_calibration_compares_confidence_with_what_came_true() -> None:
    result = evaluate_decisions(EXAMPLES, DECIDED)
    assert [(one.count, one.accuracy) for one in result.bins] == [(2, 0.5), (1, 1.0), (1, 1.0)]
    assert result.calibration_error == pytest.approx((2 * 0.05 + 0.15 + 0.05) / 4)


def test_a_class_that_never_was_true_has_no_recall() -> None:
    scores = evaluate_decisions([Example("a", "graph")], [Intent("temporal", 1.0, "model")]).classes
    assert (scores["graph"].precision, scores["temporal"].recall) == (None, None)
    assert scores["temporal"].precision == 0.0
