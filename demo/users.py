"""The people who ask, and what they do with an answer.

A few hundred of them, a handful far busier than the rest, as in any company. What a user does
follows from where the right record stands among the results and how long the answer took:

| the right record | clicks | stays | rates | mean reward |
|---|---|---|---|---|
| first to third | nearly always | about 18 s | a quarter of the time, 4 or 5 | 0.75 to 0.85 |
| fourth to tenth | about half the time | about 12 s | rarely, 3 or 4 | about 0.5 |
| not there | seldom, in hope | seconds | rarely, 1 or 2 | below 0.35 |

Answers slower than a second lose clicks, time and goodwill. Everything is pure: the same generator
state gives the same behaviour.
"""

import math
import random
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from demo.company.asking.question import Question
from demo.company.chance import stream

INTERNAL_TEAM = ("user_alice", "user_bob", "user_charlie")
INTERNAL_SHARE = 0.08
"""Of all requests: enough for the guide's first stage, where only the team is treated."""
ACTIVITY_SPREAD = 1.0  # sigma of the log-normal activity: the busiest tenth asks a third

PATIENCE_MS = 1_000.0
COMPLAINT_STREAK = 3
COMPLAINT_CHANCE = 0.25
NO_FEEDBACK_CHANCE = 0.1
RESULTS_SEEN = 10

Feedback = dict[str, bool | int | float]


class Crowd:
    """Users by id, drawn by how active they are; the team's ids are always among them."""

    def __init__(self, count: int = 300, seed: int = 7) -> None:
        """``count`` includes the team.

        Raises:
            ValueError: fewer users than the team has.
        """
        others = count - len(INTERNAL_TEAM)
        if others < 1:
            raise ValueError(f"users is {count}: give at least {len(INTERNAL_TEAM) + 1}")
        rng = stream(seed, "users")
        activity = [rng.lognormvariate(0, ACTIVITY_SPREAD) for _ in range(others)]
        team = math.fsum(activity) * INTERNAL_SHARE / (1 - INTERNAL_SHARE) / len(INTERNAL_TEAM)
        self.ids = (*INTERNAL_TEAM, *(f"user_{number:04d}" for number in range(1, others + 1)))
        self._sums = list(accumulate([*(team for _ in INTERNAL_TEAM), *activity]))

    def draw(self, rng: random.Random) -> str:
        return self.ids[bisect(self._sums, rng.random() * self._sums[-1])]


@dataclass(frozen=True, slots=True)
class _Habit:
    """``stay`` is the median dwell in seconds of those who click."""

    click: float
    stay: float
    rate: float
    ratings: tuple[int, ...]


_FOUND = _Habit(click=0.93, stay=18.0, rate=0.25, ratings=(5, 5, 4, 4, 4, 3))
_FOUND_LOWER = _Habit(click=0.55, stay=12.0, rate=0.12, ratings=(4, 3, 3))
_NOT_FOUND = _Habit(click=0.16, stay=4.0, rate=0.10, ratings=(2, 1, 1))
TOP = 3
GLANCE_SECONDS = (1.0, 6.0)
STAY_SPREAD = 0.45
STAY_MAX_SECONDS = 120.0


def react(
    question: Question,
    results: Sequence[Mapping[str, object]],
    latency_ms: float,
    rng: random.Random,
    bad_streak: int = 0,
) -> Feedback | None:
    """Fields of ``POST /feedback`` but ``query_id``; None when the user says nothing.

    ``bad_streak`` is how many answers in a row were useless or errors before this one; from the
    third on, a useless answer may bring a complaint.
    """
    if rng.random() < NO_FEEDBACK_CHANCE:
        return None
    if not question.answers:
        return _to_nonsense(results, latency_ms, rng)
    place = position(question, results)
    habit = _NOT_FOUND if place is None else _FOUND if place <= TOP else _FOUND_LOWER
    patience = min(1.0, PATIENCE_MS / max(latency_ms, 1.0)) ** 0.5
    feedback: Feedback = {"result_count": len(results), "latency_ms": round(latency_ms, 1)}
    clicked = bool(results) and rng.random() < habit.click * patience
    feedback["clicked"] = clicked
    if clicked:
        feedback["click_position"] = place or 1
        stayed = rng.lognormvariate(math.log(habit.stay * patience), STAY_SPREAD)
    else:
        stayed = rng.uniform(*GLANCE_SECONDS)
    feedback["dwell_time_seconds"] = round(min(stayed, STAY_MAX_SECONDS), 1)
    if rng.random() < habit.rate:
        feedback["explicit_rating"] = max(1, rng.choice(habit.ratings) - (patience < 1.0))
    if place is None and bad_streak >= COMPLAINT_STREAK and rng.random() < COMPLAINT_CHANCE:
        feedback["complaint"] = True
    return feedback


def position(question: Question, results: Sequence[Mapping[str, object]]) -> int | None:
    """Where the first right record stands, from 1; None when the first ten hold none."""
    for place, result in enumerate(results[:RESULTS_SEEN], start=1):
        if result.get("id") in question.answers:
            return place
    return None


def _to_nonsense(
    results: Sequence[Mapping[str, object]], latency_ms: float, rng: random.Random
) -> Feedback | None:
    """Who asks for the weather knows better than to blame us, and mostly says nothing."""
    if rng.random() < 0.8:  # noqa: PLR2004 - four of five say nothing
        return None
    rating = rng.choice((2, 3)) if results else rng.choice((3, 4, 5))
    return {
        "result_count": len(results),
        "latency_ms": round(latency_ms, 1),
        "explicit_rating": rating,
    }
