"""Rules of judging an answer and of what to try next."""

import pytest

from router.backends.base import Hit
from router.intent import INTENTS
from router.pipeline.correction import (
    FALLBACKS,
    SearchAttempt,
    insufficiency_reason,
    next_attempt,
)


def hit(**scores: float) -> Hit:
    return Hit("a", "A", "text", "x/a", 0.5, "thing", "graph", scores=scores)


def test_no_hits_are_insufficient() -> None:
    assert insufficiency_reason([]) == "empty"


def test_a_weak_best_hit_is_insufficient() -> None:
    assert insufficiency_reason([hit(qdrant=0.1)]) == "low score"


def test_one_convinced_backend_is_enough() -> None:
    assert insufficiency_reason([hit(qdrant=0.1, graph=0.9)]) is None


def test_a_question_that_contradicts_itself_has_no_sufficient_answer() -> None:
    assert (
        insufficiency_reason([hit(graph=0.9)], "a = 1 and a = 2")
        == "contradictory (a = 1 and a = 2)"
    )


def test_an_answer_with_ignored_conditions_is_insufficient() -> None:
    assert insufficiency_reason([hit(postgres=1.0)], unmet=["a = 1"]) == "not understood (a = 1)"
    assert insufficiency_reason([hit(postgres=1.0, qdrant=0.9)], unmet=["a = 1"]) is None


@pytest.mark.parametrize("intent", INTENTS)
def test_the_first_try_asks_nobody_twice(intent: str) -> None:
    asked = (FALLBACKS[intent][0],)
    attempt = next_attempt(intent, SearchAttempt(asked), contradictory=False)
    assert not set(attempt.arms) & set(asked) or attempt.relaxed_conditions


@pytest.mark.parametrize("intent", INTENTS)
def test_each_try_after_all_were_asked_leaves_out_more(intent: str) -> None:
    asked = FALLBACKS[intent]
    attempts = [
        next_attempt(intent, SearchAttempt(asked, relaxed), contradictory=False)
        for relaxed in range(3)
    ]
    assert [attempt.relaxed_conditions for attempt in attempts] == [1, 2, 3]


def test_a_contradiction_is_sent_to_the_backends_without_filters() -> None:
    again = next_attempt("metadata", SearchAttempt(("postgres", "graph")), contradictory=True)
    assert (again.arms, again.relaxed_conditions) == (("postgres",), 1)
