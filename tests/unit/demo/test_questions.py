"""Questions: known answers, a spread of intents, a popularity that caches can live on."""

import json
from collections import Counter
from pathlib import Path

import pytest

from router.pipeline.probes import read_golden_questions
from sluice.demo.company import generate_records as records
from sluice.demo.company.seeded_random import random_stream
from sluice.demo.probes import PROBES, write_probes
from sluice.demo.question_catalog import LabeledQuestion, ZipfSampler, generate_questions


@pytest.fixture(scope="module")
def questions() -> list[LabeledQuestion]:
    return generate_questions(7)


def test_same_seed_same_questions(questions: list[LabeledQuestion]) -> None:
    assert generate_questions(7) == questions


def test_answers_are_records_and_only_nonsense_has_none(questions: list[LabeledQuestion]) -> None:
    ids = {record.id for record in records(7)}
    for question in questions:
        assert question.answers <= ids
        assert bool(question.answers) == (question.intent != "out_of_scope"), question.text


def test_enough_of_every_intent_and_none_twice(questions: list[LabeledQuestion]) -> None:
    counts = Counter(question.intent for question in questions)
    assert 250 <= len(questions) <= 400
    assert min(counts[intent] for intent in ("graph", "temporal", "semantic", "metadata")) >= 45
    assert len({question.text.lower() for question in questions}) == len(questions)


def test_overdue_invoices_match_the_records(questions: list[LabeledQuestion]) -> None:
    """``Which invoices over 10,000 euro are overdue`` agrees with the records' own attributes."""
    asked = next(q for q in questions if q.text == "Which invoices over 10,000 euro are overdue?")
    by_attributes = {
        record.id
        for record in records(7)
        if record.kind == "invoice"
        and record.attributes["status"] == "overdue"
        and float(record.attributes["amount"]) > 10_000
    }
    assert asked.answers == by_attributes


@pytest.mark.parametrize(("requests", "hits"), [(180, 0.7), (3600, 0.9)])
def test_most_requests_repeat_an_earlier_one(
    questions: list[LabeledQuestion], requests: int, hits: float
) -> None:
    """A minute at 3 requests a second, a minute at 60: the share that a cache could answer."""
    shares = ZipfSampler(questions).shares()
    assert sum(share * (1 - (1 - share) ** requests) for share in shares) >= hits


def test_popularity_draws_what_it_promises(questions: list[LabeledQuestion]) -> None:
    popularity, rng = ZipfSampler(questions), random_stream(1, "test")
    drawn = Counter(popularity.draw(rng).text for _ in range(20_000))
    assert drawn[questions[0].text] / 20_000 == pytest.approx(popularity.shares()[0], rel=0.15)
    assert sum(popularity.shares()) == pytest.approx(1)


def test_probes_are_readable_by_the_router_and_not_among_the_load(
    questions: list[LabeledQuestion], tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "probes.jsonl"
    assert write_probes(path) == len(read_golden_questions(path)) >= 40
    asked = {question.text.lower() for question in questions}
    assert not asked & {text.lower() for texts in PROBES.values() for text in texts}
    assert {json.loads(line)["intent"] for line in path.read_text().splitlines()} == set(PROBES)
