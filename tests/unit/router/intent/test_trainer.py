"""Training: what it refuses, that it is repeatable, and that the shipped model is its product."""

from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from router.embedding import LocalEmbedder
from router.intent import INTENTS, Example, IntentClassifier, IntentModelError, load_intent_model
from router.intent.evaluation import evaluate_decisions
from router.intent.examples import read_examples, with_background
from tests.lazy_import import LazyModule

if TYPE_CHECKING:
    from router.intent.trainer import TrainingResult

training = LazyModule("router.intent.trainer")

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
    return LocalEmbedder(cache_size=4096)


@pytest.fixture(scope="module")
def questions() -> list[Example]:
    return read_examples(QUESTIONS)


def test_the_projects_questions_are_many_distinct_and_balanced(questions: list[Example]) -> None:
    counts = Counter(question.intent for question in questions)
    assert set(counts) == set(INTENTS)
    assert min(counts.values()) >= 200
    assert max(counts.values()) < 1.6 * min(counts.values())
    assert len({question.query.lower() for question in questions}) == len(questions)


@pytest.fixture(scope="module")
def retrained_model(questions: list[Example], embedder: LocalEmbedder) -> "TrainingResult":
    trained: TrainingResult = training.fit_intent_model(
        questions, embedder, training.Hyperparameters(), INTENTS
    )
    return trained


def test_questions_it_was_not_trained_on_are_understood(
    questions: list[Example], retrained_model: "TrainingResult"
) -> None:
    held_out = evaluate_decisions(questions, retrained_model.held_out_decisions(questions))
    assert held_out.overall.accuracy > 0.85
    assert held_out.calibration_error < 0.05


def test_the_shipped_model_is_what_training_gives(
    questions: list[Example], embedder: LocalEmbedder, retrained_model: "TrainingResult"
) -> None:
    """Made again with `python -m router.intent.trainer`."""
    fresh, shipped = retrained_model.model, load_intent_model(SHIPPED)
    assert fresh.classes == shipped.classes
    assert SHIPPED.stat().st_size < 2_000_000
    for question in questions[::9]:
        vector = embedder.embed([question.query])[0]
        expected = fresh.probabilities(question.query, vector)
        assert shipped.probabilities(question.query, vector) == pytest.approx(expected, abs=0.02)


def test_a_saved_model_answers_as_before(tmp_path: Path, embedder: LocalEmbedder) -> None:
    model = training.train(SMALL, embedder)
    model.save(tmp_path / "model.npz")
    again = load_intent_model(tmp_path / "model.npz")
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
    model = training.train([one for one in SMALL if one.intent != "semantic"], embedder)
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
        training.train(examples, embedder)


TOPICS = {
    "baking": "how long must a {} rise before it goes into the oven",
    "sailing": "which knot holds a {} on the deck in a storm",
    "gardening": "when should I water the {} in a dry summer",
}
THINGS = ("loaf", "cake", "roll", "rope", "rose", "sail", "tomato", "bun", "hedge", "anchor")


def test_a_teams_own_labels_and_what_is_unlike_them(
    tmp_path: Path, embedder: LocalEmbedder
) -> None:
    examples = [Example(ask.format(thing), t) for t, ask in TOPICS.items() for thing in THINGS]
    model, held_out = training.train_and_evaluate(examples, embedder, own_labels=True)
    model.save(tmp_path / "own.npz")
    classifier = IntentClassifier.load(embedder, tmp_path / "own.npz")
    assert set(classifier.intents) == set(TOPICS)
    assert held_out.overall.accuracy > 0.85
    assert classifier.classify("how long must a pretzel rise in the oven").intent == "baking"
    unknown = classifier.classify("who won the chess championship of 1972")
    assert (unknown.intent, unknown.tier) == ("out_of_scope", "model")
    assert unknown.confidence > 0.5
    # The rules speak of the router's intents, not of this team's.
    assert classifier.classify("status = 'active' and region = 'north'").intent != "metadata"


def test_own_labels_in_letters_that_no_gram_has_can_be_trained_on(embedder: LocalEmbedder) -> None:
    """Grams are of Latin words; a team that writes others has the vectors alone."""
    rows = [
        Example(sign * n, label) for label, sign in (("a", "猫"), ("b", "船")) for n in range(1, 7)
    ]
    model = training.train(rows, embedder, known=None)
    assert model.dimension == embedder.dimension


def test_a_team_sees_figures_of_its_own_questions_only(embedder: LocalEmbedder) -> None:
    _, held_out = training.train_and_evaluate(SMALL, embedder)
    assert held_out.overall.count == len(SMALL)


@pytest.mark.parametrize("line", ["{", '{"query": "x"}', "[]", '{"query": 3, "intent": "graph"}'])
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"query": "a", "intent": "graph"}\n\n' + line + "\n", "utf-8")
    with pytest.raises(IntentModelError, match=r"questions\.jsonl:3"):
        read_examples(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"query": "x", "intent": "sql"}', "unknown intent 'sql'"),
        (b'{"query": " ", "intent": "graph"}', "query is empty"),
        (b'{"query": "Fran\xe7ois", "intent": "graph"}', "byte 16 is not UTF-8"),
        (b'{"query": 3, "intent": "graph"}', "query: Input should be a valid string"),
    ],
)
def test_a_bad_line_error_names_the_problem(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(b"\xef\xbb\xbf\r\n" + line + b"\r\n")
    with pytest.raises(IntentModelError, match=rf"questions\.jsonl:2: .*{message}"):
        read_examples(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntentModelError, match="nowhere"):
        read_examples(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_a_broken_model_file_is_refused_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(IntentModelError, match="sluice train"):
        load_intent_model(path)


def test_a_model_that_would_run_code_is_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    np.savez(path, header=np.array([print], dtype=object))
    with pytest.raises(IntentModelError, match="not an intent model"):
        load_intent_model(path)


def test_a_missing_model_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntentModelError, match="no-such"):
        load_intent_model(tmp_path / "no-such.npz")


def test_a_model_for_other_vectors_is_refused(embedder: LocalEmbedder) -> None:
    class Narrow(LocalEmbedder):
        dimension = 3

    with pytest.raises(IntentModelError, match="384 numbers, the embedder makes 3"):
        IntentClassifier(load_intent_model(SHIPPED), Narrow())
