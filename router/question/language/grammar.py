"""The words of English that ask, count, compare, order and deny, apart from any schema.

``words.json`` holds them. Adjectives lead to *dimensions*: "longest" to duration or length, "cheapest"
to price. A dimension is a list of nouns, the likeliest first, which the vocabulary looks for among a
kind's columns.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

_WORDS: Mapping[str, Any] = json.loads(
    files("router.question.language").joinpath("words.json").read_text("utf-8")
)
NEGATIONS = frozenset(_WORDS["negations"].split())
FUNCTION_WORDS = frozenset(_WORDS["function"].split())
"""Words that carry no content of their own; they never need a match."""
LIGHT_WORDS = frozenset(_WORDS["light"].split())
"""Words that may stay without a match: they count less where they are not understood."""
WHO = frozenset(_WORDS["who"].split())
PREPOSITIONS = frozenset(_WORDS["prepositions"].split())
MODIFIERS = frozenset(_WORDS["modifiers"].split())
"""Function words that change an answer: one without an effect is named."""
LISTING = frozenset(_WORDS["listing"].split())
"""First words of a question for rows."""
FIRST_PERSON = frozenset(_WORDS["first_person"].split())
YES_NO = frozenset(_WORDS["yes_no"].split())
"""First words of a question that a text answers."""
MONEY: tuple[str, ...] = tuple(_WORDS["money"].split())
AGGREGATES: Mapping[str, str] = _WORDS["aggregates"]
DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    name: tuple(words.split()) for name, words in _WORDS["dimensions"].items()
}
EXTREMES: Mapping[str, bool] = {
    word: side == "more" for side, words in _WORDS["extremes"].items() for word in words.split()
}
"""Superlatives of any number: the word behind them names the column."""
ANTONYMS: Mapping[str, str] = {
    one: other for pair in _WORDS["antonyms"] for one, other in (pair, reversed(pair))
}
"""States that deny each other: an open question is one that is not closed."""
_IRREGULAR: Mapping[str, str] = _WORDS["irregular"]


@dataclass(frozen=True, slots=True)
class Adjective:
    """A graded adjective: its dimension, and whether its superlative means the largest value."""

    dimension: str
    descending: bool


ADJECTIVES: Mapping[str, Adjective] = {
    word: Adjective(dimension, side == "more")
    for dimension, sides in _WORDS["graded"].items()
    for side, words in sides.items()
    for word in words.split()
}


def superlative(word: str) -> Adjective | None:
    """Return the adjective whose superlative ``word`` is: "longest"."""
    if word in _IRREGULAR and not word.endswith("er") and word not in ("better", "worse"):
        return ADJECTIVES.get(_IRREGULAR[word])
    return _strip_ending(word, "est")


def comparative(word: str) -> Adjective | None:
    """Return the adjective whose comparative ``word`` is: "longer"."""
    if word in _IRREGULAR and word.endswith(("er", "se")):
        return ADJECTIVES.get(_IRREGULAR[word])
    return _strip_ending(word, "er")


def _strip_ending(word: str, ending: str) -> Adjective | None:
    if not word.endswith(ending):
        return None
    stem = word[: -len(ending)]
    forms = (stem, f"{stem}e", stem[:-1], f"{stem[:-1]}y" if stem.endswith("i") else stem)
    return next((ADJECTIVES[form] for form in forms if form in ADJECTIVES), None)
