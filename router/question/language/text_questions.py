"""Questions that a text answers: "how to", and what a search by meaning cannot apply."""

from datetime import date

from router.question.language.comparisons import comparisons_of
from router.question.language.dates import date_ranges
from router.question.language.grammar import EXTREMES, superlative
from router.question.language.tokens import tokens_of

PLAIN = frozenset(("first", "last", "late", "early", "best", "good"))
"""Superlatives that often order nothing: "first name", "last resort"."""


def asks_how_to(question: str) -> bool:
    """Return True for "how to", "how do I" and "how was X made", which ask for a text."""
    words = [token.folded for token in tokens_of(question)[:3]]
    does = words[1:2] in (["do"], ["can"], ["should"]) and words[2:] in (["i"], ["we"], ["you"])
    explains = words[1:2] != [] and words[1] in _EXPLAINING
    return words[:1] == ["how"] and (does or explains)


_EXPLAINING = frozenset(("to", "does", "did", "is", "are", "was", "were"))


def unapplied_words(question: str, today: date) -> list[str]:
    """Return what a search by meaning cannot apply to a question for rows: a count, a superlative, a time.

    "How do I sort by the latest date" asks for a text and loses nothing.
    """
    tokens = tokens_of(question)
    words = [token.folded for token in tokens]
    counts = words[1:2] in (["many"], ["much"])
    if words[:1] == ["why"] or (words[:1] == ["how"] and not counts):
        return []
    found = ["how many"] if words[:2] == ["how", "many"] else []
    found += [
        token.text
        for token in tokens
        if (superlative(token.folded) is not None or token.folded in EXTREMES)
        and token.folded not in PLAIN
    ]
    found += [
        " ".join(token.text for token in tokens[each.start : each.end])
        for each in comparisons_of(tokens)
        if each.marked
    ]
    return found + [question[slice(*each.place)] for each in date_ranges(question, today)]
