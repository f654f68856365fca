"""Users reward good answers and only those; activity is uneven; the team is always there."""

from collections import Counter
from statistics import mean

import pytest

from router.learning.feedback import UserFeedback, reward
from sluice.demo.company.questions.labeled_question import LabeledQuestion
from sluice.demo.company.seeded_random import random_stream
from sluice.demo.users import INTERNAL_TEAM, UserPopulation, simulate_feedback

QUESTION = LabeledQuestion("Who drives truck FL-204?", "graph", frozenset({"right"}), "graph")
NONSENSE = LabeledQuestion("tell me a joke", "out_of_scope", frozenset(), "qdrant")


def results(place: int | None) -> list[dict[str, object]]:
    ids = [f"other-{number}" for number in range(10)]
    if place:
        ids[place - 1] = "right"
    return [{"id": id_} for id_ in ids]


def mean_reward(place: int | None, latency_ms: float) -> float:
    rng = random_stream(3, f"{place}/{latency_ms}")
    reactions = [simulate_feedback(QUESTION, results(place), latency_ms, rng) for _ in range(4_000)]
    rewards = [reward(UserFeedback.from_dict({"query_id": "q", **one})) for one in reactions if one]
    return mean(one for one in rewards if one is not None)


@pytest.mark.parametrize("place", [1, 2, 3])
def test_right_record_on_top_is_rewarded(place: int) -> None:
    assert 0.72 <= mean_reward(place, 40) <= 0.85


def test_irrelevant_results_are_not() -> None:
    assert mean_reward(None, 40) <= 0.35


def test_a_right_record_further_down_lies_between() -> None:
    assert mean_reward(None, 40) + 0.1 < mean_reward(7, 40) < mean_reward(1, 40) - 0.1


def test_slow_answers_cost_goodwill() -> None:
    assert mean_reward(1, 2_500) < mean_reward(1, 40) - 0.15


def test_same_seed_same_behaviour() -> None:
    first, second = (
        [simulate_feedback(QUESTION, results(1), 50, rng) for _ in range(50)]
        for rng in (random_stream(1, "a"), random_stream(1, "a"))
    )
    assert first == second
    assert any(one is None for one in first)


def test_complaints_need_a_streak_of_bad_answers() -> None:
    rng = random_stream(1, "complaints")

    def complaints(place: int | None, streak: int) -> int:
        reactions = (
            simulate_feedback(QUESTION, results(place), 40, rng, streak) for _ in range(1_000)
        )
        return sum("complaint" in one for one in reactions if one)

    assert complaints(None, 2) == complaints(1, 9) == 0
    assert 100 < complaints(None, 3) < 350


def test_nonsense_is_mostly_passed_over_in_silence() -> None:
    rng = random_stream(1, "nonsense")
    reactions = [simulate_feedback(NONSENSE, [], 20, rng) for _ in range(1_000)]
    assert 0 < sum(one is not None for one in reactions) < 300


def test_a_few_users_ask_much_and_the_team_is_among_the_crowd() -> None:
    crowd, rng = UserPopulation(300), random_stream(1, "crowd")
    drawn = Counter(crowd.draw(rng) for _ in range(30_000))
    busiest = sum(count for _, count in drawn.most_common(30))
    assert 0.25 < busiest / 30_000 < 0.6
    assert sum(drawn[id_] for id_ in INTERNAL_TEAM) / 30_000 == pytest.approx(0.08, rel=0.15)
    assert UserPopulation(300).ids == crowd.ids
    assert len(set(crowd.ids)) == 300


def test_too_small_a_crowd_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        UserPopulation(3)
