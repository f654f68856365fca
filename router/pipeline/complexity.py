"""The complexity of a question: one store, several, or a decomposition first.

Interpretable on purpose: each feature adds a stated weight and a reason a person can read in
``sluice ask --explain``.
"""

import re
from dataclasses import dataclass
from typing import Literal

from router.intent.labels import Intent

ComplexityLevel = Literal["simple", "moderate", "complex"]

MODERATE, COMPLEX = 0.3, 0.6  # lowest score of each level
_LONG, _VERY_LONG = 14, 26  # words
_UNSURE = 0.6  # below this probability more than one intent is in play


_OF = "of|for|in|from|by|with|at|do|does|did|are|were|is|was|has|have|had|which|what|who|and"
_NUMBER = r"(?:two|three|four|five|six|seven|eight|nine|ten|[2-9]|10)(?! \w+ \d{4}| \w*(?:day|week|month|quarter|year|hour))"


@dataclass(frozen=True, slots=True)
class Complexity:
    """``score`` in [0, 1] is the sum of the reasons' weights, capped at one."""

    level: ComplexityLevel
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Feature:
    reason: str
    weight: float
    pattern: re.Pattern[str]


def _feature(reason: str, weight: float, pattern: str) -> _Feature:
    return _Feature(reason, weight, re.compile(pattern, re.IGNORECASE))


_FEATURES = (
    _feature(
        "asks several things",
        0.4,
        r"\?\s*\S+.*\?"
        r"|(?:,|;|\band|\bthen|\balso)\s+(?:also\s+|then\s+)?(?:who|what|when|where|which|why|how|"
        r"list|show|find|tell|compare|explain|summari[sz]e|give)\b",
    ),
    _feature("compares", 0.25, r"\b(?:compare|versus|vs|differ\w*|better|worse|rather than)\b"),
    _feature(
        "asks for reasons or effects",
        0.3,
        r"\b(?:why|impact|effects? (?:of|on)|affect\w*|caus\w+|reasons?|led to|leads? to|implications?)\b",
    ),
    _feature(
        "goes through other things first",
        0.3,
        r"\b(?:whose|(?:who|that|which) (?:also|are|were|is|was|have|had|has) \w.*"
        r"\b(?:who|that|which|whose)|of the \w+ (?:who|that|which))\b",
    ),
    _feature(
        "asks the same of several things",
        0.3,
        # "the capitals of the five largest countries", "each of", "A, B, C and D".
        rf"\b(?:{_OF}) (?:each|every|the (?:[\w-]+ )?{_NUMBER}|(?:top|first|last) {_NUMBER})\b"
        r"|\brespective(?:ly)?\b"
        # The two commas before the last item are enough: a repeated group would cost 2^n.
        r"|\w, [\w ]*\w, [\w ]+,? (?:and|or) \w",
    ),
    _feature(
        "summarises over many",
        0.15,
        r"\b(?:how many|average|mean|sum|total|count|top \d+|most|fewest|ratio|share of|per)\b",
    ),
    _feature(
        "spans time",
        0.15,
        r"\b(?:over time|since|between .+ and|before|after|during|trend\w*|evol\w+|history|"
        r"(?:last|past) (?:\d+ )?(?:days?|weeks?|months?|quarters?|years?))\b",
    ),
    _feature(
        "follows relations",
        0.15,
        r"\b(?:connected|linked|related|depends?|dependenc\w+|reports? to|supply chain|network|works? with)\b",
    ),
    _feature(
        "filters by attributes",
        0.1,
        r"[<>=]|\bwhere \w+ (?:is|are|equals)\b|\b(?:more than|less than|at least|at most|older than|over \d+|under \d+)\b",
    ),
    _feature(
        "needs the meaning of texts",
        0.1,
        r"\b(?:similar|about|explain|mention\w*|discuss\w*|summari[sz]e)\b",
    ),
    _feature("has exceptions", 0.1, r"\b(?:not|except|without|excluding|unless|never|only if)\b"),
)


def assess(query: str, intent: Intent) -> Complexity:
    """Judge a question by its wording and by how sure the classifier was."""
    signals = [
        (feature.reason, feature.weight) for feature in _FEATURES if feature.pattern.search(query)
    ]
    words = len(query.split())
    if words >= _LONG:
        signals.append((f"long ({words} words)", 0.3 if words >= _VERY_LONG else 0.15))
    if intent.intent != "out_of_scope" and intent.confidence < _UNSURE:
        signals.append((f"unsure of the intent ({intent.confidence:.2f})", 0.2))
    score = min(1.0, round(sum(weight for _, weight in signals), 3))
    return Complexity(_level_of(score), score, tuple(reason for reason, _ in signals))


def _level_of(score: float) -> ComplexityLevel:
    if score >= COMPLEX:
        return "complex"
    return "moderate" if score >= MODERATE else "simple"
