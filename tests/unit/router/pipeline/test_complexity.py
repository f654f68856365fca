"""Complexity: every point of the score has a reason a person can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.intent import Intent
from router.pipeline.complexity import COMPLEX, MODERATE, assess

SURE = Intent("graph", 0.95, "model")


@pytest.mark.parametrize(
    ("query", "level"),
    [
        ("who owns Globex", "simple"),
        ("status = 'open'", "simple"),
        ("where is container 7", "simple"),
        ("list overdue invoices and show the history of Globex", "moderate"),
        ("why do late trucks affect churn", "moderate"),
        ("compare Q1 and Q2; explain why margins fell; list the suppliers involved", "complex"),
        (
            "which suppliers of the plants that failed inspection last year also work with Globex, "
            "and how did their delivery times change since the new contract was signed",
            "complex",
        ),
    ],
)
def test_levels_follow_the_work_in_a_question(query: str, level: str) -> None:
    assert assess(query, SURE).level == level


def test_an_unsure_classifier_makes_a_question_harder() -> None:
    sure, unsure = assess("globex", SURE), assess("globex", Intent("graph", 0.4, "model"))
    assert unsure.score > sure.score
    assert unsure.reasons == ("unsure of the intent (0.40)",)


def test_a_question_without_features_scores_zero_and_has_no_reasons() -> None:
    found = assess("globex partners", SURE)
    assert (found.score, found.reasons) == (0.0, ())


@given(st.text(), st.floats(0, 1))
def test_score_level_and_reasons_agree(query: str, confidence: float) -> None:
    found = assess(query, Intent("semantic", confidence, "model"))
    assert 0.0 <= found.score <= 1.0
    assert (found.score > 0) == bool(found.reasons)
    assert (found.level == "complex") == (found.score >= COMPLEX)
    assert (found.level == "simple") == (found.score < MODERATE)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("joint", ["the drivers of hanover, ", "the the a b c, ", "a, the "])
def test_a_long_list_without_an_end_is_read_in_no_time(joint: str) -> None:
    """A repeated group that could match in two ways took 2^n steps for n items."""
    assess("Compare the trucks, " + joint * 60, SURE)


def test_a_list_of_three_asks_the_same_of_several_things() -> None:
    for query in (
        "the depots in hanover, the port of kiel, the hub of ulm, and bremen",
        "A, B, C and D",
    ):
        assert "asks the same of several things" in assess(query, SURE).reasons
