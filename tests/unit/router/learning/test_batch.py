"""One batch: what is learned, buried, logged; and the weights document."""

import json

import numpy as np
import pytest

from router.learning import Choice, Decision, LinUCB, WeightsError, build_context
from router.learning.batch import Batch, FeedbackEntry, learn
from router.learning.errors import LearningError
from router.learning.snapshot import LearningSnapshot, NullObserver
from router.learning.weights import Weights, optimistic_prior, parse_version
from router.pipeline.arm_selection import warm_started_bandit

ARMS = ("graph", "vectors")
TEACHING = frozenset({"treatment"})
CONTEXT = np.array([0.5, 0.25, 1.0])


def initial_weights() -> Weights:
    return Weights(4, optimistic_prior(ARMS, 3).recentre(0.5, 100.0, 0.05))


def stream_entry(
    number: int, arm: str = "graph", cohort: str = "treatment", **signals: object
) -> FeedbackEntry:
    decision = Decision.from_choice(CONTEXT, Choice(arm, 0.5, {}, 4), cohort)
    feedback = {"query_id": f"q{number}", **(signals or {"clicked": True})}
    return FeedbackEntry(
        f"{number}-0", {"feedback": json.dumps(feedback), "decision": decision.to_json()}
    )


def learn_batch(*entries: FeedbackEntry) -> Batch:
    return learn(initial_weights(), entries, TEACHING)


def test_a_batch_teaches_in_order_and_leaves_the_base_alone() -> None:
    base = initial_weights()
    batch = learn(base, [stream_entry(1), stream_entry(2, clicked=False)], TEACHING)
    expected = base.model.copy()
    expected.update("graph", CONTEXT, 1.0)
    expected.update("graph", CONTEXT, 0.0)
    assert np.array_equal(batch.weights.model.to_arrays()["theta"], expected.to_arrays()["theta"])
    assert base.model.estimate("graph", CONTEXT) == pytest.approx(0.8)
    totals = batch.weights.totals
    assert (totals.feedback_count, totals.batch_update_count, totals.avg_reward) == (2, 1, 0.5)


def test_the_control_cohort_is_logged_and_teaches_nothing() -> None:
    batch = learn_batch(stream_entry(1, cohort="control"))
    assert batch.update_count == 0
    assert batch.weights.totals.feedback_count == 0
    assert [fields["cohort"] for fields in batch.log_entries] == ["control"]
    assert batch.acknowledged == ["1-0"]


POISON_ENTRIES = [
    None,
    {},
    {"feedback": "{", "decision": "{}"},
    {"feedback": "[1]", "decision": "{}"},
    {"feedback": "{}", "decision": "{}"},
    {"feedback": '{"query_id": "q", "latency_ms": NaN}', "decision": "{}"},
    {"feedback": "[" * 100_000, "decision": ""},
    {**(stream_entry(1).fields or {}), "feedback": '{"query_id": "q"}'},
    {**(stream_entry(1).fields or {}), "decision": "null"},
    {**(stream_entry(1).fields or {}), "decision": '{"arm": "graph", "propensity": 0}'},
]


@pytest.mark.parametrize("fields", POISON_ENTRIES, ids=range(len(POISON_ENTRIES)))
def test_a_poison_entry_is_buried_and_the_rest_is_learned(fields: dict[str, str] | None) -> None:
    batch = learn_batch(stream_entry(1), FeedbackEntry("2-0", fields), stream_entry(3))
    assert batch.acknowledged == ["1-0", "2-0", "3-0"]
    assert [letter["entry"] for letter in batch.dead_letters] == ["2-0"]
    assert batch.dead_letters[0]["reason"]
    assert batch.weights.totals.feedback_count == 2
    assert batch.weights.totals.dead_letters == 1
    json.loads(batch.payload())


def test_a_refused_update_is_counted_and_buried() -> None:
    batch = learn_batch(stream_entry(1, arm="nowhere"))
    assert batch.weights.totals.refused_updates == batch.weights.totals.dead_letters == 1
    assert batch.weights.totals.batch_update_count == 0
    assert batch.log_entries == []


def test_a_decision_needs_a_cohort_of_one_word() -> None:
    with pytest.raises(LearningError, match="cohort"):
        Decision.from_choice(CONTEXT, Choice("graph", 0.5, {}), "two words").to_redis_value()


def test_weights_survive_storage_exactly() -> None:
    weights = learn_batch(
        stream_entry(1), stream_entry(2, arm="vectors", explicit_rating=2)
    ).weights
    copy = Weights.decode(weights.encode(), 0.5, 0.05)
    for name, values in weights.model.to_arrays().items():
        assert np.array_equal(values, copy.model.to_arrays()[name])
    assert (copy.version, copy.totals, copy.note) == (4, weights.totals, weights.note)


@pytest.mark.parametrize(("old", "new"), [("A", "B"), ("}}", "}"), (" ", ""), ("\n", " ")])
def test_damaged_weights_are_refused(old: str, new: str) -> None:
    with pytest.raises(WeightsError):
        Weights.decode(initial_weights().encode().replace(old, new), 0.5, 0.05)


def test_weights_of_another_setup_are_refused() -> None:
    with pytest.raises(WeightsError, match="dimension 3"):
        initial_weights().require_shape(ARMS, 32)
    with pytest.raises(WeightsError, match="vectors"):
        initial_weights().require_shape(("graph",), 3)


def test_the_version_is_read_from_the_head() -> None:
    assert parse_version(initial_weights().encode()[:32]) == 4
    assert parse_version("") == parse_version("damaged") == 0


def test_older_weights_never_replace_newer() -> None:
    published = LearningSnapshot(initial_weights(), NullObserver())
    older = Weights(3, LinUCB(ARMS, 3))
    assert not published.install_if_newer(older)
    assert not published.install_if_newer(Weights(4, older.model))
    assert published.install_if_newer(Weights(5, older.model))
    assert published.weights.version == 5


def user_entries(count: int, *, one_user: bool) -> list[FeedbackEntry]:
    """Zero rewards of a graph question, from one user or from as many users."""
    context = build_context(np.zeros(1), "graph", 0.9, 0.1)
    decision = Decision.from_choice(context, Choice("graph", 0.5, {}, 1), "treatment").to_json()
    return [
        FeedbackEntry(
            f"{number}-0",
            {
                "feedback": json.dumps({"query_id": f"q{number}", "explicit_rating": 1}),
                "decision": decision,
                "user_number": str(number if one_user else 1),
            },
        )
        for number in range(1, count + 1)
    ]


@pytest.mark.parametrize("one_user", [True, False])
def test_many_dissatisfied_users_change_the_best_arm_and_a_single_one_does_not(
    *, one_user: bool
) -> None:
    weights = Weights(1, warm_started_bandit(0.5).recentre(0.5, 100.0, 0.0))
    model = learn(weights, user_entries(300, one_user=one_user), TEACHING).weights.model
    context = build_context(np.zeros(1), "graph", 0.9, 0.1)
    scores = dict(zip(model.arms, model.scores(context), strict=True))
    assert (max(scores, key=lambda arm: scores[arm]) == "graph") == one_user, scores
