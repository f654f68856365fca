"""User feedback on an answer, and its reward in [0, 1].

reward = 0.4 clicked + 0.3 dwell + 0.2 rating + 0.1 latency (rollout guide, phase 4), where

| term | 0 | 1 | between |
|---|---|---|---|
| clicked | no click | a click | nothing |
| dwell | 0 s | 30 s or more (the "satisfied click" of Fox et al. 2005) | linear |
| rating | 1 of 5 | 5 of 5 | linear |
| latency | 1,000 ms or more (the guide's p99 limit) | 0 ms | linear |

A missing signal is left out, and the other weights are scaled up to sum to 1. ``click_position``
and ``result_count`` are validated and stored, but do not affect the reward.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from router.learning.errors import InvalidFeedbackError

WEIGHT_CLICKED = 0.4
WEIGHT_DWELL = 0.3
WEIGHT_RATING = 0.2
WEIGHT_LATENCY = 0.1
DWELL_SATISFIED_SECONDS = 30.0
LATENCY_LIMIT_MS = 1_000.0
RATING_MIN, RATING_MAX = 1, 5
QUERY_ID_MAX = 200
COUNT_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class UserFeedback:
    """Signals about one answer; each may be missing (None).

    ``click_position`` counts from 1; ``explicit_rating`` is 1 to 5. Raises InvalidFeedbackError.
    """

    query_id: str
    clicked: bool | None = None
    click_position: int | None = None
    dwell_time_seconds: float | None = None
    explicit_rating: float | None = None
    result_count: int | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        _check_query_id(self.query_id)
        if self.clicked is not None and not isinstance(self.clicked, bool):
            raise InvalidFeedbackError("clicked", self.clicked, "send true, false or nothing")
        _check_count("click_position", self.click_position, minimum=1)
        _check_count("result_count", self.result_count, minimum=0)
        _check_number("dwell_time_seconds", self.dwell_time_seconds, 0.0, math.inf)
        _check_number("latency_ms", self.latency_ms, 0.0, math.inf)
        _check_number("explicit_rating", self.explicit_rating, RATING_MIN, RATING_MAX)
        if self.clicked is False and self.click_position is not None:
            fix = "leave it out when clicked is false"
            raise InvalidFeedbackError("click_position", self.click_position, fix)

    def to_dict(self) -> dict[str, object]:
        """Return the present signals only, for storage."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "UserFeedback":
        """Invert ``to_dict``. Raises InvalidFeedbackError, also for an unknown field."""
        field_names = {field.name for field in fields(cls)}
        for name, value in data.items():
            if name not in field_names:
                raise InvalidFeedbackError(name, value, f"known: {', '.join(sorted(field_names))}")
        return cls(**{"query_id": "", **data})  # type: ignore[arg-type]  # __post_init__ checks every type


def reward(feedback: UserFeedback) -> float | None:
    """Return the reward in [0, 1], or None when the feedback carries no signal."""
    weighted = [
        (weight, term) for weight, term in _reward_terms(feedback).values() if term is not None
    ]
    if not weighted:
        return None
    total = math.fsum(weight * term for weight, term in weighted)
    return min(1.0, total / math.fsum(weight for weight, _ in weighted))


def _reward_terms(feedback: UserFeedback) -> dict[str, tuple[float, float | None]]:
    return {
        "clicked": (WEIGHT_CLICKED, _click_score(feedback)),
        "dwell": (WEIGHT_DWELL, _dwell_score(feedback.dwell_time_seconds)),
        "rating": (WEIGHT_RATING, _rating_score(feedback.explicit_rating)),
        "latency": (WEIGHT_LATENCY, _latency_score(feedback.latency_ms)),
    }


def _click_score(feedback: UserFeedback) -> float | None:
    if feedback.clicked is None:
        return None if feedback.click_position is None else 1.0
    return 1.0 if feedback.clicked else 0.0


def _dwell_score(seconds: float | None) -> float | None:
    return None if seconds is None else min(seconds / DWELL_SATISFIED_SECONDS, 1.0)


def _rating_score(rating: float | None) -> float | None:
    return None if rating is None else (rating - RATING_MIN) / (RATING_MAX - RATING_MIN)


def _latency_score(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else max(0.0, 1.0 - milliseconds / LATENCY_LIMIT_MS)


def _check_query_id(query_id: str) -> None:
    if not isinstance(query_id, str) or not 1 <= len(query_id) <= QUERY_ID_MAX:
        fix = f"send the id that the query's answer carried, 1 to {QUERY_ID_MAX} characters"
        raise InvalidFeedbackError("query_id", query_id, fix)
    if not query_id.isprintable():
        raise InvalidFeedbackError("query_id", query_id, "send printable characters only")


def _check_count(name: str, value: int | None, minimum: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= COUNT_MAX:
        fix = f"send a whole number from {minimum} to {COUNT_MAX}, or leave it out"
        raise InvalidFeedbackError(name, value, fix)


def _check_number(name: str, value: float | None, minimum: float, maximum: float) -> None:
    if value is None:
        return
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not number or not math.isfinite(value) or not minimum <= value <= maximum:
        limit = f"from {minimum:g}" + (f" to {maximum:g}" if maximum < math.inf else " up")
        raise InvalidFeedbackError(name, value, f"send a finite number {limit}, or leave it out")
