"""Self-correction (phase 3): judge an answer, and choose the next attempt if it is insufficient.

Pure functions: hits in, a reason or the next attempt out. The caller counts the attempts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from router.backends.base import Hit

# A best hit below these scores is not about the question; measured on each backend's own scale.
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
class SearchAttempt:
    """Arms to query, and the number of conditions to leave out."""

    arms: tuple[str, ...] = ()
    relaxed_conditions: int = 0


def insufficiency_reason(
    hits: Sequence[Hit], contradiction: str = "", unmet: Sequence[str] = ()
) -> str | None:
    """Return why the answer is insufficient, in words, or None if it is sufficient.

    ``contradiction`` is a condition that no record can meet. ``unmet`` are conditions that no
    backend could apply: a backend that only filters must not answer such a question alone.
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


def next_attempt(intent: str, previous: SearchAttempt, *, contradictory: bool) -> SearchAttempt:
    """Return the two best arms not queried yet, then all arms with one condition fewer.

    ``previous`` holds the arms of all attempts so far. A contradictory question goes to the
    filtering arms again, without its last condition.
    """
    order, relaxed = FALLBACKS[intent], previous.relaxed_conditions
    if contradictory:
        return SearchAttempt(tuple(arm for arm in previous.arms if arm in FILTER_ARMS), relaxed + 1)
    unused = tuple(arm for arm in order if arm not in previous.arms)
    return SearchAttempt(unused[:2], relaxed) if unused else SearchAttempt(order, relaxed + 1)
