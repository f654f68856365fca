"""Rewards, contexts and what feedback is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.learning import (
    DIMENSION,
    INTENTS,
    InvalidContextError,
    InvalidFeedbackError,
    UserFeedback,
    build_context,
    reward,
)

GOLDEN_SIGNS = [1, 1, 1, 1, -1, -1, 1, 1, -1, 1, 1, -1, 1, -1, 1, -1]
maybe = st.none()
feedbacks = st.builds(
    UserFeedback,
    query_id=st.just("q1"),
    clicked=maybe | st.just(True),
    click_position=maybe | st.integers(1, 50),
    dwell_time_seconds=maybe | st.floats(0, 1e9),
    explicit_rating=maybe | st.floats(1, 5),
    result_count=maybe | st.integers(0, 100),
    latency_ms=maybe | st.floats(0, 1e9),
)


@given(feedbacks)
def test_a_reward_is_between_0_and_1_or_absent(feedback: UserFeedback) -> None:
    value = reward(feedback)
    assert value is None or 0.0 <= value <= 1.0


@given(feedbacks)
def test_feedback_survives_storage(feedback: UserFeedback) -> None:
    assert UserFeedback.from_dict(feedback.to_dict()) == feedback


def test_the_reward_uses_the_guides_weights() -> None:
    """0.4 clicked + 0.3 dwell + 0.2 rating + 0.1 latency."""
    feedback = UserFeedback(
        "q", clicked=True, dwell_time_seconds=15, explicit_rating=2, latency_ms=800
    )
    assert reward(feedback) == pytest.approx(0.4 + 0.3 * 0.5 + 0.2 * 0.25 + 0.1 * 0.2)


def test_missing_signals_are_reweighted_not_counted_as_zero() -> None:
    assert reward(UserFeedback("q", clicked=True)) == 1.0
    assert reward(UserFeedback("q", clicked=True, latency_ms=5_000)) == pytest.approx(0.8)
    assert reward(UserFeedback("q", clicked=False, explicit_rating=5)) == pytest.approx(1 / 3)


def test_feedback_without_signals_has_no_reward() -> None:
    assert reward(UserFeedback("q", result_count=3)) is None


def test_a_click_position_means_a_click() -> None:
    assert reward(UserFeedback("q", click_position=2)) == 1.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clicked", 1),
        ("click_position", 0),
        ("click_position", 1.5),
        ("click_position", True),
        ("dwell_time_seconds", -1.0),
        ("dwell_time_seconds", math.nan),
        ("dwell_time_seconds", "30"),
        ("explicit_rating", 0),
        ("explicit_rating", 6),
        ("explicit_rating", math.inf),
        ("result_count", -1),
        ("latency_ms", -0.1),
        ("latency_ms", math.nan),
        ("latency_ms", True),
    ],
)
def test_a_bad_value_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(InvalidFeedbackError, match=name) as caught:
        UserFeedback.from_dict({"query_id": "q", name: value})
    assert caught.value.field == name


@pytest.mark.parametrize("query_id", ["", "x" * 201, "a\nb", "\x00", None, 7])
def test_a_bad_query_id_is_refused(query_id: object) -> None:
    with pytest.raises(InvalidFeedbackError, match="query_id"):
        UserFeedback.from_dict({"query_id": query_id})


def test_an_unknown_field_and_a_contradiction_are_refused() -> None:
    with pytest.raises(InvalidFeedbackError, match="stars"):
        UserFeedback.from_dict({"query_id": "q", "stars": 5})
    with pytest.raises(InvalidFeedbackError, match="click_position"):
        UserFeedback("q", clicked=False, click_position=1)


def test_the_context_has_the_documented_slots() -> None:
    context = build_context(np.ones(384), "temporal", 0.75, 0.5)
    one_hot = [float(name == "temporal") for name in INTENTS]
    assert context.shape == (DIMENSION,)
    assert context[16:22].tolist() == one_hot
    assert context[22:28].tolist() == [0.75 * flag for flag in one_hot]
    assert context[28:].tolist() == [0.75, 0.5, 0.375, 1.0]


def test_the_projection_never_changes_between_releases() -> None:
    """Stored weights are worthless under another projection."""
    context = build_context(np.eye(384)[0], "graph", 1.0, 0.0)
    assert (context[:16] * 4).astype(int).tolist() == GOLDEN_SIGNS


def test_the_projection_keeps_lengths_on_average() -> None:
    rng = np.random.default_rng(5)
    lengths = [
        np.linalg.norm(build_context(rng.normal(size=384), "graph", 1.0, 0.0)[:16])
        for _ in range(200)
    ]
    assert float(np.mean(lengths)) == pytest.approx(1.0, abs=0.05)


def test_the_length_of_an_embedding_and_the_spelling_of_an_intent_do_not_matter() -> None:
    embedding = np.arange(384.0)
    first = build_context(embedding, "out_of_scope", 0.5, 0.5)
    assert np.array_equal(first, build_context(embedding * 7, "Out-of-scope", 0.5, 0.5))
    assert build_context(np.zeros(384), "poetry", 0.5, 0.5)[16 + INTENTS.index("other")] == 1.0


@pytest.mark.parametrize(
    ("embedding", "confidence", "complexity"),
    [
        (np.full(384, math.nan), 0.5, 0.5),
        (np.zeros((2, 384)), 0.5, 0.5),
        (np.zeros(0), 0.5, 0.5),
        (np.ones(384), math.nan, 0.5),
        (np.ones(384), 0.5, 1.5),
    ],
)
def test_a_context_of_bad_parts_is_refused(
    embedding: np.ndarray, confidence: float, complexity: float
) -> None:
    with pytest.raises(InvalidContextError):
        build_context(embedding, "graph", confidence, complexity)
