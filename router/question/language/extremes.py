"""Superlatives of a question: the places of their words, and what they grade."""

from collections.abc import Iterator
from dataclasses import dataclass

from router.question.language.grammar import ADJECTIVES, EXTREMES, Adjective, superlative
from router.question.language.mentions import Mentions
from router.question.language.term_mentions import names_column


@dataclass(frozen=True, slots=True)
class Extreme:
    """A superlative of a question: ``place`` of its word, its adjective where it has one."""

    place: int
    descending: bool
    adjective: Adjective | None


def find_extremes(mentions: Mentions) -> Iterator[Extreme]:
    """Yield the superlatives that order rows."""
    tokens = mentions.tokens
    for place, token in enumerate(tokens):
        word, next_word = token.folded, tokens[place + 1].folded if place + 1 < len(tokens) else ""
        dated = any(mention.start <= place < mention.end for mention in mentions.dates)
        before = tokens[place - 1].folded if place else ""
        if dated or token.quoted or before == "at" or names_column(mentions.terms, place):
            continue
        if word in ("first", "last") and before in _CLAUSES:
            continue  # "that first flew before 2010" orders nothing
        if word in ("most", "least"):
            graded = superlative(f"{next_word.removesuffix('ly')}est") or _plain(next_word)
            if graded is not None:
                yield Extreme(place, graded.descending == (word == "most"), graded)
                continue
        if word in EXTREMES:
            yield Extreme(place, EXTREMES[word], superlative(word) if word not in _BARE else None)
        elif (graded := superlative(word)) is not None:
            yield Extreme(place, graded.descending, graded)


_CLAUSES = frozenset(("that", "who", "which", "was", "were", "been"))
_BARE = frozenset(
    (
        *("most", "least", "fewest", "top", "bottom", "highest", "lowest", "max"),
        *("min", "maximum", "minimum", "greatest", "largest", "biggest", "smallest"),
    )
)


def _plain(word: str) -> Adjective | None:
    return ADJECTIVES.get(word.removesuffix("ly")) or ADJECTIVES.get(word)
