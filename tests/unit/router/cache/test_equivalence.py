"""Near questions that are not the same question must never share an answer."""

import pytest

from benchmarks.support.cache_near_misses import near_misses, paraphrases
from router.cache.equivalence import QuestionMatch, best_match, is_same_question, similarity

TRAPS = [
    ("Shipments from Kiel to Bremen", "Shipments from Bremen to Kiel"),
    ("shipments from kiel to bremen", "shipments from bremen to kiel"),
    ("Invoices over 5000 euro", "Invoices over 500 euro"),
    ("Invoices over 5000 euro", "Invoices under 5000 euro"),
    ("amount > 5000", "amount < 5000"),
    ("status = 'active'", "status != 'active'"),
    ("cargo at -18 degrees", "cargo at 18 degrees"),
    ("Incidents in March 2025", "Incidents in May 2025"),
    ("Incidents in March 2025", "Incidents in March 2024"),
    ("Incidents on 2025-03-01", "Incidents on 2025-03-02"),
    ("Which invoices are paid?", "Which invoices are not paid?"),
    ("Which invoices are paid?", "Which invoices aren't paid?"),
    ("trucks with a trailer", "trucks without a trailer"),
    ("Who drives truck T-12?", "Who drives truck T-21?"),
    ("Who drives truck T-12?", "When was truck T-12 driven?"),
    ("Who does Anna Kowalski report to?", "Who reports to Anna Kowalski?"),
    ("Does Anna manage Marek?", "Does Marek manage Anna?"),
    ("contracts of Baltic Foods", "contracts of Nordwind Furniture"),
    ("latest incident", "first incident"),
    ("incidents before June", "incidents after June"),
    ("overdue invoices", "invoices"),
    ("highest cost", "lowest cost"),
    ("What happened this week?", "What happened last week?"),
    ("Does it ship to us?", "Does it ship to US?"),
    ("plan A for Kiel", "plan for Kiel"),
    ("list prices of pumps", "prices of pumps"),
    ("What is 5!", "What is 5?"),
]
SAME_QUESTIONS = [
    ("Who drives truck T-12?", "who drives truck T-12"),
    ("Who drives truck T-12?", "Please tell me who drives truck T-12"),
    ("overdue invoices", "Show me the overdue invoices, please"),
    ("Which invoices are overdue?", "What invoices are overdue?"),
    *((pair.stored, pair.query) for pair in paraphrases()),
]


@pytest.mark.parametrize(("one", "other"), TRAPS)
def test_a_trap_question_does_not_hit(one: str, other: str) -> None:
    assert not is_same_question(one, other)
    assert not is_same_question(other, one)


@pytest.mark.parametrize(("one", "other"), SAME_QUESTIONS)
def test_a_polite_or_shorter_form_is_the_same_question(one: str, other: str) -> None:
    assert is_same_question(one, other)
    assert is_same_question(other, one)


@pytest.mark.parametrize("kind", sorted({trap.kind for trap in near_misses()}))
def test_no_trap_of_the_benchmark_hits_at_the_default_threshold(kind: str) -> None:
    """Even if their vectors were equal; docs/routing.md has the peers' figures."""
    found = [trap for trap in near_misses() if trap.kind == kind]
    assert not [trap for trap in found if similarity(trap.query, trap.stored, 1.0) >= 0.95]


def test_a_rival_casts_doubt() -> None:
    """Two stored questions that differ, and both look like this one: one of them is wrong."""
    query, near, rival = "how to bake bread", "how to bake breads", "how to bake brown bread"
    alone = best_match_of(query, (near, 0.97))
    doubted = best_match_of(query, (near, 0.97), (rival, 0.96))
    assert alone.index == doubted.index
    assert doubted.threshold_max < alone.threshold_max


def test_where_words_differ_any_near_question_casts_doubt_and_the_nearer_the_more() -> None:
    query, near = "how to bake bread", ("how do bakers make bread", 0.9)
    alone = best_match_of(query, near)
    far = best_match_of(query, near, ("how not to bake bread", 0.7))
    close = best_match_of(query, near, ("how not to bake bread", 0.8))
    assert close.threshold_max < far.threshold_max < alone.threshold_max == similarity(query, *near)
    assert close.similarity == close.threshold_max


def test_where_words_agree_what_contradicts_them_keeps_no_answer_back() -> None:
    """A store full of questions of one form still answers them all."""
    stored = [("status of truck T-12", 0.97), ("status of truck T-13", 0.96)]
    match = best_match_of("What is the status of truck T-12?", *stored)
    assert (match.index, match.threshold_max) == (0, 0.97)
    assert match.similarity < 0.97  # of two hits, the one with nothing near is the surer


def test_the_same_question_passes_however_near_another_is() -> None:
    match = best_match_of(
        "How to bake bread?", ("how to bake breads", 0.98), ("how to bake bread", 0.97)
    )
    assert (match.index, match.threshold_max) == (1, 0.97)
    assert match.similarity < 0.97


def best_match_of(query: str, *stored: tuple[str, float]) -> QuestionMatch:
    match = best_match(query, stored)
    assert match is not None
    return match


def test_the_best_need_not_be_the_nearest() -> None:
    match = best_match(
        "invoices of may", [("invoices of june", 0.98), ("the invoices of may", 0.96)]
    )
    assert match is not None
    assert match.index == 1
    assert best_match("amount > 5", [("amount < 5", 0.99)]) is None
    assert best_match("anything", []) is None
