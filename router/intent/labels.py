"""The intents, in the router's own words."""

from dataclasses import dataclass

OUT_OF_SCOPE = "out_of_scope"
INTENTS = ("graph", "temporal", "semantic", "metadata", OUT_OF_SCOPE)


@dataclass(frozen=True, slots=True)
class Intent:
    """The decision for one question.

    ``confidence`` is a calibrated probability in [0, 1] that ``intent`` is right; ``tier`` is what
    decided: ``rules``, ``model`` or ``llm``.
    """

    intent: str
    confidence: float
    tier: str


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the intent that a person assigned; ``difficulty`` is for reports only."""

    query: str
    intent: str
    difficulty: str = ""


class IntentModelError(ValueError):
    """Examples that cannot train a model, or a file that is not a model of this program."""
