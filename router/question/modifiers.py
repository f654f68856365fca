"""Modifiers of a question that had no effect on its form: they are named, never dropped.

A negation, a superlative, an aggregate, "or" and "than" change an answer, yet a reading may fail to use
them. Each that no condition, order or aggregate took up is returned in the question's own words.
"""

from collections.abc import Iterator
from datetime import date

from router.catalog.identifiers import words_of
from router.catalog.model import CatalogKind
from router.question.draft import Draft
from router.question.far_ends import PLACES, asks_for_others
from router.question.form import AllCondition, AnyCondition, Condition, ValueCondition, walk
from router.question.language.dates import date_ranges
from router.question.language.grammar import (
    EXTREMES,
    FUNCTION_WORDS,
    LIGHT_WORDS,
    MODIFIERS,
    NEGATIONS,
    superlative,
)
from router.question.language.mentions import Mentions
from router.question.language.tokens import tokens_of

_PLAIN = frozenset(("first", "last", "late", "early", "best", "good"))


def unused_modifiers(draft: Draft, mentions: Mentions) -> list[str]:
    """Return the modifiers without effect, each once."""
    places = _covered_places(mentions)
    unused = [*_negations(draft, mentions, places), *_alternatives(draft, mentions, places)]
    for place, token in enumerate(mentions.tokens):
        before = mentions.tokens[place - 1].folded if place else ""
        if (
            place in places
            or draft.used.get(place)
            or token.quoted
            or before in ("other", "rather")
        ):
            continue
        if token.folded in _DETERMINERS and _names_asked(draft, mentions, place + 1):
            continue
        graded = token.folded in EXTREMES or superlative(token.folded) is not None
        if token.folded in MODIFIERS or (graded and token.folded not in _PLAIN):
            unused.append(token.text)
    return list(dict.fromkeys(unused))


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
        if superlative(token.folded) is not None and token.folded not in _PLAIN
    ]
    return found + [question[slice(*each.place)] for each in date_ranges(question, today)]


def is_miscounted(draft: Draft, mentions: Mentions) -> bool:
    """Return True where a number, a time or the noun that is counted had no effect."""
    spans = [(each.start, each.end) for each in mentions.dates]
    spans += [(each.start, each.end) for each in mentions.comparisons if each.marked]
    if any(not draft.used.get(end - 1) for _, end in spans):
        return True
    words = [token.folded for token in mentions.tokens]
    counts = draft.aggregate is not None and draft.aggregate.function == "count"
    if not counts or words[:2] != ["how", "many"] or len(words) < len(("how", "many", "what")):
        return False
    noun = words[2]
    return noun not in FUNCTION_WORDS | LIGHT_WORDS and not draft.used.get(2)


def unanswered_words(draft: Draft, mentions: Mentions, facts: CatalogKind) -> list[str]:
    """Return "who", "what" or "where" where a draft only shows the row that the question names.

    "What did order 7 contain" does not ask for order 7. A row says where it is if it has a place.
    """
    words = [token.folded for token in mentions.tokens]
    own = [each for each in draft.root.conditions if isinstance(each, ValueCondition)]
    named = any(each.column in (*facts.key, *facts.title) and not each.negated for each in own)
    if words[:1] == ["where"] and named:
        placed = any(PLACES & {words_of(column)[-1]} for column in facts.visible)
        return [] if placed else [mentions.tokens[0].text]
    shown = bool(draft.select or draft.order or draft.aggregate is not None)
    if not named or shown or words[:1] not in (["what"], ["who"], ["whom"]):
        return []
    of = "of" in words or any(token.possessive for token in mentions.tokens)
    beside = len(words) > 1 and words[1] in _BEING and of
    return [mentions.tokens[0].text] if asks_for_others(mentions) or beside else []


_BEING = frozenset(("is", "was", "are", "were"))


def _names_asked(draft: Draft, mentions: Mentions, place: int) -> bool:
    """Return True for "every doctor" of a list of doctors, which means all of them."""
    names_kind = any(
        term.kind == draft.kind
        for mention in mentions.terms
        if mention.start == place
        for term in mention.of("kind")
    )
    return names_kind and draft.aggregate is None and draft.order is None


_DETERMINERS = frozenset(("each", "every"))


def _covered_places(mentions: Mentions) -> frozenset[int]:
    """Return the places of numbers, times and values, whose words mean nothing by themselves."""
    spans = [(number.start, number.end) for number in mentions.comparisons if number.marked]
    spans += [(mention.start, mention.end) for mention in mentions.dates]
    spans += [(mention.start, mention.end) for mention in mentions.values]
    return frozenset(place for start, end in spans for place in range(start, end))


def _negations(draft: Draft, mentions: Mentions, places: frozenset[int]) -> Iterator[str]:
    if draft.negated or any(mention.negated for mention in mentions.dates):
        return
    for place, token in enumerate(mentions.tokens):
        if token.folded in NEGATIONS and place not in places and not token.quoted:
            yield token.text


def _alternatives(draft: Draft, mentions: Mentions, places: frozenset[int]) -> Iterator[str]:
    """Yield "or" where no condition has alternatives."""
    conditions = draft.form().conditions
    if any(_has_alternatives(condition) for condition in walk(conditions)):
        return
    for place, token in enumerate(mentions.tokens):
        if (
            token.folded == "or"
            and place not in places
            and not token.quoted
            and len(conditions) > 1
        ):
            yield token.text


def _has_alternatives(condition: Condition) -> bool:
    if isinstance(condition, ValueCondition):
        return len(condition.values) > 1 or condition.negated
    return isinstance(condition, AnyCondition | AllCondition)
