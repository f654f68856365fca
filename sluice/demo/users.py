"""The simulated users and their reactions to an answer.

There are a few hundred of them, a handful far busier than the rest. A user's reaction follows from
the rank of the right record and from the latency:

| the right record | clicks | stays | rates | mean reward |
|---|---|---|---|---|
| first to third | nearly always | about 18 s | a quarter of the time, 4 or 5 | 0.75 to 0.85 |
| fourth to tenth | about half the time | about 12 s | rarely, 3 or 4 | about 0.5 |
| missing | seldom | seconds | rarely, 1 or 2 | below 0.35 |

Answers slower than a second lose clicks, time and goodwill. Everything is pure: the same generator
state gives the same behaviour.
"""

import math
import random
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from sluice.demo.company.questions.labeled_question import LabeledQuestion
from sluice.demo.company.seeded_random import random_stream

INTERNAL_TEAM = ("user_alice", "user_bob", "user_charlie")
INTERNAL_SHARE = 0.08
"""Of all requests: enough for the guide's first stage, where only the team is treated."""
ACTIVITY_SIGMA = 1.0  # sigma of the log-normal activity: the busiest tenth asks a third

SLOW_ANSWER_MS = 1_000.0
COMPLAINT_STREAK = 3
COMPLAINT_CHANCE = 0.25
NO_FEEDBACK_CHANCE = 0.1
RESULTS_SEEN = 10

Feedback = dict[str, bool | int | float]


class UserPopulation:
    """Users by id, drawn by their activity; the team's ids are always included."""

    def __init__(self, count: int = 300, seed: int = 7) -> None:
        """Create ``count`` users, the team included.

        Raises:
            ValueError: fewer users than the team has.
        """
        external_count = count - len(INTERNAL_TEAM)
        if external_count < 1:
            raise ValueError(f"users is {count}; expected at least {len(INTERNAL_TEAM) + 1}")
        rng = random_stream(seed, "users")
        activity = [rng.lognormvariate(0, ACTIVITY_SIGMA) for _ in range(external_count)]
        team = math.fsum(activity) * INTERNAL_SHARE / (1 - INTERNAL_SHARE) / len(INTERNAL_TEAM)
        self.ids = (
            *INTERNAL_TEAM,
            *(f"user_{number:04d}" for number in range(1, external_count + 1)),
        )
        self._sums = list(accumulate([*(team for _ in INTERNAL_TEAM), *activity]))

    def draw(self, rng: random.Random) -> str:
        return self.ids[bisect(self._sums, rng.random() * self._sums[-1])]


@dataclass(frozen=True, slots=True)
class _FeedbackProfile:
    """A reaction's probabilities; a click is followed by a stay around ``median_dwell_seconds``."""

    click_probability: float
    median_dwell_seconds: float
    rating_probability: float
    ratings: tuple[int, ...]


_ANSWER_IN_TOP = _FeedbackProfile(
    click_probability=0.93,
    median_dwell_seconds=18.0,
    rating_probability=0.25,
    ratings=(5, 5, 4, 4, 4, 3),
)
_ANSWER_BELOW_TOP = _FeedbackProfile(
    click_probability=0.55, median_dwell_seconds=12.0, rating_probability=0.12, ratings=(4, 3, 3)
)
_NO_ANSWER = _FeedbackProfile(
    click_probability=0.16, median_dwell_seconds=4.0, rating_probability=0.10, ratings=(2, 1, 1)
)
TOP_RANKS = 3
NO_CLICK_DWELL_SECONDS = (1.0, 6.0)
DWELL_SIGMA = 0.45
DWELL_MAX_SECONDS = 120.0


def simulate_feedback(
    question: LabeledQuestion,
    results: Sequence[Mapping[str, object]],
    latency_ms: float,
    rng: random.Random,
    bad_streak: int = 0,
) -> Feedback | None:
    """Return the fields of ``POST /feedback`` without ``query_id``; None without feedback.

    ``bad_streak`` counts the useless answers and errors in a row before this one. From the third on,
    a useless answer may cause a complaint.
    """
    if rng.random() < NO_FEEDBACK_CHANCE:
        return None
    if not question.answers:
        return _out_of_scope_feedback(results, latency_ms, rng)
    place = answer_rank(question, results)
    habit = (
        _NO_ANSWER if place is None else _ANSWER_IN_TOP if place <= TOP_RANKS else _ANSWER_BELOW_TOP
    )
    patience = min(1.0, SLOW_ANSWER_MS / max(latency_ms, 1.0)) ** 0.5
    feedback: Feedback = {"result_count": len(results), "latency_ms": round(latency_ms, 1)}
    clicked = bool(results) and rng.random() < habit.click_probability * patience
    feedback["clicked"] = clicked
    if clicked:
        feedback["click_position"] = place or 1
        stayed = rng.lognormvariate(math.log(habit.median_dwell_seconds * patience), DWELL_SIGMA)
    else:
        stayed = rng.uniform(*NO_CLICK_DWELL_SECONDS)
    feedback["dwell_time_seconds"] = round(min(stayed, DWELL_MAX_SECONDS), 1)
    if rng.random() < habit.rating_probability:
        feedback["explicit_rating"] = max(1, rng.choice(habit.ratings) - (patience < 1.0))
    if place is None and bad_streak >= COMPLAINT_STREAK and rng.random() < COMPLAINT_CHANCE:
        feedback["complaint"] = True
    return feedback


def answer_rank(question: LabeledQuestion, results: Sequence[Mapping[str, object]]) -> int | None:
    """Return the rank of the first right record, from 1; None when it is not in the first ten."""
    for place, result in enumerate(results[:RESULTS_SEEN], start=1):
        if result.get("id") in question.answers:
            return place
    return None


def _out_of_scope_feedback(
    results: Sequence[Mapping[str, object]], latency_ms: float, rng: random.Random
) -> Feedback | None:
    """Return feedback on an out-of-scope question: rarely any, and seldom bad."""
    if rng.random() < 0.8:  # noqa: PLR2004 - four of five say nothing
        return None
    rating = rng.choice((2, 3)) if results else rng.choice((3, 4, 5))
    return {
        "result_count": len(results),
        "latency_ms": round(latency_ms, 1),
        "explicit_rating": rating,
    }
