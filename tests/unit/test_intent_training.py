"""Training: what it refuses, that it is repeatable, and that the shipped model is its product."""

from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from router.embedding import LocalEmbedder
from router.intent import INTENTS, Example, IntentClassifier, IntentModelError, load
from router.intent.training import read_examples, train, with_background

QUESTIONS = Path(str(files("router.intent").joinpath("questions.jsonl")))
SHIPPED = Path(str(files("router.intent").joinpath("model.npz")))

SMALL = [
    Example(f"{words} {number}", intent)
    for number in range(6)
    for words, intent in (
        ("who reports to manager", "graph"),
        ("history of account", "temporal"),
        ("articles about topic", "semantic"),
    )
]


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder(recent=4096)


@pytest.fixture(scope="module")
def questions() -> list[Example]:
    return read_examples(QUESTIONS)


def test_the_projects_questions_are_many_distinct_and_balanced(questions: list[Example]) -> None:
    counts = Counter(question.intent for question in questions)
    assert set(counts) == set(INTENTS)
    assert min(counts.values()) >= 200
    assert max(counts.values()) < 1.6 * min(counts.values())
    assert len({question.query.lower() for question in questions}) == len(questions)


def test_the_shipped_model_is_what_training_gives(
    questions: list[Example], embedder: LocalEmbedder
) -> None:
    """Made again with `python -m router.intent.training`."""
    fresh, shipped = train(questions, embedder), load(SHIPPED)
    assert fresh.classes == shipped.classes
    assert SHIPPED.stat().st_size < 2_000_000
    for question in questions[::9]:
        vector = embedder.embed([question.query])[0]
        expected = fresh.probabilities(question.query, vector)
        assert shipped.probabilities(question.query, vector) == pytest.approx(expected, abs=0.02)


def test_a_saved_model_answers_as_before(tmp_path: Path, embedder: LocalEmbedder) -> None:
    model = train(SMALL, embedder)
    model.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    vector = embedder.embed(["who reports to Ann"])[0]
    assert again.scores("who reports to Ann", vector) == pytest.approx(
        model.scores("who reports to Ann", vector)
    )
    assert again.classes == ("graph", "semantic", "temporal")


def test_a_teams_label_wins_over_the_projects(questions: list[Example]) -> None:
    mine = Example(questions[0].query.upper(), "metadata")
    together = with_background([mine])
    assert len(together) == len(questions)
    assert together[0] == mine
    assert questions[0] not in together


def test_two_intents_are_enough(embedder: LocalEmbedder) -> None:
    model = train([one for one in SMALL if one.intent != "semantic"], embedder)
    for query, intent in (("who reports to manager 9", "graph"), ("history of x", "temporal")):
        probabilities = model.probabilities(query, embedder.embed([query])[0])
        assert max(probabilities, key=probabilities.__getitem__) == intent
        assert sum(probabilities.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "at least two intents"),
        ([Example("a", "graph")] * 6, "at least two intents"),
        ([*SMALL, Example("x", "sql")], "unknown intent 'sql'"),
        ([*SMALL, Example("x", "metadata")], "fewer than 5 examples of 'metadata'"),
        ([*SMALL, Example("  ", "graph")], "empty query"),
    ],
)
def test_examples_that_cannot_train_are_refused(
    examples: list[Example], message: str, embedder: LocalEmbedder
) -> None:
    with pytest.raises(IntentModelError, match=message):
        train(examples, embedder)


@pytest.mark.parametrize("line", ["{", '{"query": "x"}', "[]", '{"query": 3, "intent": "graph"}'])
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"query": "a", "intent": "graph"}\n\n' + line + "\n", "utf-8")
    with pytest.raises(IntentModelError, match=r"questions\.jsonl:3"):
        read_examples(path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_a_broken_model_file_is_refused_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(IntentModelError, match="sluice train"):
        load(path)


def test_a_model_that_would_run_code_is_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    np.savez(path, header=np.array([print], dtype=object))
    with pytest.raises(IntentModelError, match="not an intent model"):
        load(path)


def test_a_missing_model_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntentModelError, match="no-such"):
        load(tmp_path / "no-such.npz")


def test_a_model_for_other_vectors_is_refused(embedder: LocalEmbedder) -> None:
    class Narrow(LocalEmbedder):
        dimension = 3

    with pytest.raises(IntentModelError, match="384 numbers, the embedder makes 3"):
        IntentClassifier(load(SHIPPED), Narrow())
