"""Choice of the store: the catalogue's evidence, weighed with the intent model.

The share of words that a reading accounts for is the evidence. Questions over tables and graphs
reach 0.6 and more; questions about a text's meaning stay below 0.45. In between the intent and the
bandit decide.
"""

from dataclasses import dataclass
from typing import Literal

from router.intent import Intent
from router.question.reading import QuestionReading

COVERAGE_SURE = 0.62
COVERAGE_MIN = 0.45
INTENT_SHIFT = 0.06
HOW_TO_SHIFT = 0.4
"""What "how to" and "how do I" take from the evidence for rows."""
UNRESTRICTED_SHIFT = 0.15
"""What all rows of a kind lose where words of the question were left out."""
AnswerSource = Literal["rows", "text"]


@dataclass(frozen=True, slots=True)
class StoreChoice:
    """The source of the answer: rows of a form, or texts found by meaning."""

    source: AnswerSource
    confidence: float
    sure: bool


def choose_source(
    reading: QuestionReading | None, intent: Intent, *, has_texts: bool, how_to: bool = False
) -> StoreChoice:
    """Choose between the rows of ``reading`` and texts found by meaning.

    ``how_to`` is True for a question of how something is done, which rows seldom answer.
    """
    if reading is None:
        return StoreChoice("text", 1.0, sure=True)
    if not has_texts:
        return StoreChoice("rows", reading.coverage, sure=True)
    evidence = reading.coverage + _shift(intent) - HOW_TO_SHIFT * how_to
    evidence -= UNRESTRICTED_SHIFT * _is_unrestricted(reading)
    source: AnswerSource = "rows" if evidence >= (COVERAGE_SURE + COVERAGE_MIN) / 2 else "text"
    distance = abs(evidence - (COVERAGE_SURE + COVERAGE_MIN) / 2)
    sure = not COVERAGE_MIN <= evidence < COVERAGE_SURE
    return StoreChoice(source, min(1.0, 0.5 + 2 * distance), sure)


def _is_unrestricted(reading: QuestionReading) -> bool:
    """Return True for all rows of a kind that no word names, where words were left out."""
    form = reading.form
    chosen = form.conditions or form.order is not None or form.aggregate is not None
    return bool(reading.left_out) and not chosen and not reading.anchors


def _shift(intent: Intent) -> float:
    if intent.intent in ("metadata", "graph", "temporal"):
        return INTENT_SHIFT * intent.confidence
    return -INTENT_SHIFT * intent.confidence if intent.intent == "semantic" else 0.0
