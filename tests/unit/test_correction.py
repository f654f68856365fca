"""Rules of judging an answer and of what to try next."""

import pytest

from router.backends.base import Hit
from router.correction import FALLBACKS, insufficient, next_try
from router.intent import INTENTS


def hit(**scores: float) -> Hit:
    return Hit("a", "A", "text", "x/a", 0.5, "thing", "graph", scores=scores)


def test_no_hits_are_insufficient() -> None:
    assert insufficient([]) == "empty"


def test_a_weak_best_hit_is_insufficient() -> None:
    assert insufficient([hit(qdrant=0.1)]) == "low score"


def test_one_convinced_backend_is_enough() -> None:
    assert insufficient([hit(qdrant=0.1, graph=0.9)]) is None


@pytest.mark.parametrize("intent", INTENTS)
def test_the_first_try_asks_nobody_twice(intent: str) -> None:
    asked = (FALLBACKS[intent][0],)
    attempt = next_try(intent, asked, 0)
    assert not set(attempt.arms) & set(asked) or attempt.relaxed


@pytest.mark.parametrize("intent", INTENTS)
def test_the_second_try_relaxes_conditions(intent: str) -> None:
    assert next_try(intent, FALLBACKS[intent][:1], 1).relaxed
