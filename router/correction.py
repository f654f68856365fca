"""Is an answer good enough, and if not, what else to try?

The guide's self-correction (phase 3). Pure: hits in, a reason or the next try out. The caller counts the tries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from router.backends.base import Hit

# Below these even the best hit is not about the question; measured per backend's own score.
LOW_SCORE = {"graph": 0.35, "qdrant": 0.3, "postgres": 0.55}
FALLBACKS = {
    "graph": ("graph", "qdrant", "postgres"),
    "temporal": ("temporal", "postgres", "qdrant"),
    "metadata": ("postgres", "qdrant", "graph"),
    "semantic": ("qdrant", "graph", "postgres"),
    "out_of_scope": ("qdrant",),
}


@dataclass(frozen=True, slots=True)
class Try:
    """A next attempt: other arms, conditions relaxed."""

    arms: tuple[str, ...]
    relaxed: bool


def insufficient(hits: Sequence[Hit]) -> str | None:
    """Why the answer won't do: ``empty`` or ``low score``; None when it will."""
    if not hits:
        return "empty"
    best = hits[0]
    if all(score < LOW_SCORE.get(name, 0.0) for name, score in best.scores.items()):
        return "low score"
    return None


def next_try(intent: str, asked: Sequence[str], attempt: int) -> Try:
    """First the two arms not asked yet that suit the intent best, then all of them, relaxed."""
    order = FALLBACKS[intent]
    fresh = tuple(arm for arm in order if arm not in asked)
    if attempt == 0 and fresh:
        return Try(fresh[:2], relaxed=False)
    return Try(order, relaxed=True)
