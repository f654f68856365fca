"""Is an answer good enough, and if not, what else to try?

The guide's self-correction (phase 3). Pure: hits in, a reason or the next try out. The caller counts the tries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from router.backends.base import Hit

# Below these even the best hit is not about the question; measured per backend's own score.
LOW_SCORE = {"graph": 0.35, "qdrant": 0.3, "postgres": 0.55}
FILTER_BACKENDS = frozenset({"postgres"})
FILTER_ARMS = frozenset({"postgres", "temporal"})
FALLBACKS = {
    "graph": ("graph", "qdrant", "postgres"),
    "temporal": ("temporal", "postgres", "qdrant"),
    "metadata": ("postgres", "qdrant", "graph"),
    "semantic": ("qdrant", "graph", "postgres"),
    "out_of_scope": ("qdrant",),
}


@dataclass(frozen=True, slots=True)
class CorrectionAttempt:
    """A next attempt: other arms, and how many conditions are left out."""

    arms: tuple[str, ...]
    relaxed: int


def insufficiency_reason(
    hits: Sequence[Hit], contradiction: str = "", unmet: Sequence[str] = ()
) -> str | None:
    """Why the answer won't do, in words; None when it will.

    ``contradiction`` is what no record can meet, ``unmet`` what the question demands and no store
    could look for. A store that only filters must not be the only one to answer such a question.
    """
    if contradiction:
        return f"contradictory ({contradiction})"
    if not hits:
        return "empty"
    if unmet and not any(hit.scores.keys() - FILTER_BACKENDS for hit in hits):
        return f"not understood ({', '.join(unmet)})"
    best = hits[0]
    if all(score < LOW_SCORE.get(name, 0.0) for name, score in best.scores.items()):
        return "low score"
    return None


def next_attempt(
    intent: str, tried_arms: Sequence[str], relaxed: int, *, contradictory: bool
) -> CorrectionAttempt:
    """First the two arms not asked yet that suit the intent best, then all of them, relaxed.

    ``asked`` are the arms of all tries so far, ``relaxed`` what the last one left out. What
    contradicts itself is put to those who filter once more, without the contradiction.
    """
    order = FALLBACKS[intent]
    if contradictory:
        return CorrectionAttempt(
            tuple(arm for arm in tried_arms if arm in FILTER_ARMS), relaxed + 1
        )
    fresh = tuple(arm for arm in order if arm not in tried_arms)
    return CorrectionAttempt(fresh[:2], relaxed) if fresh else CorrectionAttempt(order, relaxed + 1)
