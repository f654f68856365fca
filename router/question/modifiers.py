"""Modifiers of a question that had no effect on its form: they are named, never dropped.

A negation, a superlative, an aggregate, "or" and "than" change an answer, yet a reading may fail to use
them. Each that no condition, order or aggregate took up is returned in the question's own words.
"""

from collections.abc import Iterator

from router.question.candidates import asks_for_others
from router.question.draft import Draft
from router.question.form import AllCondition, AnyCondition, Condition, ValueCondition, walk
from router.question.language.grammar import EXTREMES, MODIFIERS, NEGATIONS, superlative
from router.question.language.mentions import Mentions

_PLAIN = frozenset(("first", "last", "late", "early", "best", "good"))


def unused_modifiers(draft: Draft, mentions: Mentions) -> list[str]:
    """Return the modifiers without effect, each once."""
    taken = _taken(mentions)
    found = [*_negations(draft, mentions, taken), *_alternatives(draft, mentions, taken)]
    for place, token in enumerate(mentions.tokens):
        before = mentions.tokens[place - 1].folded if place else ""
        if place in taken or draft.used.get(place) or token.quoted or before in ("other", "rather"):
            continue
        if token.folded in _DETERMINERS and _names_asked(draft, mentions, place + 1):
            continue
        graded = token.folded in EXTREMES or superlative(token.folded) is not None
        if token.folded in MODIFIERS or (graded and token.folded not in _PLAIN):
            found.append(token.text)
    return list(dict.fromkeys(found))


def unanswered(draft: Draft, mentions: Mentions, titled: frozenset[str]) -> list[str]:
    """Return "who" or "what" where a draft only shows the row that the question names.

    ``titled`` are the columns that name a row. "What did order 7 contain" does not ask for order 7.
    """
    words = [token.folded for token in mentions.tokens]
    own = [each for each in draft.root.conditions if isinstance(each, ValueCondition)]
    named = any(each.column in titled and not each.negated for each in own)
    shown = bool(draft.select or draft.order or draft.aggregate is not None)
    if not named or shown or words[:1] not in (["what"], ["who"], ["whom"]):
        return []
    of = "of" in words or any(token.possessive for token in mentions.tokens)
    beside = len(words) > 1 and words[1] in _BEING and of
    return [mentions.tokens[0].text] if asks_for_others(mentions) or beside else []


_BEING = frozenset(("is", "was", "are", "were"))


def _names_asked(draft: Draft, mentions: Mentions, place: int) -> bool:
    """Return True for "every doctor" of a list of doctors, which means all of them."""
    asked = any(
        term.kind == draft.kind
        for mention in mentions.terms
        if mention.start == place
        for term in mention.of("kind")
    )
    return asked and draft.aggregate is None and draft.order is None


_DETERMINERS = frozenset(("each", "every"))


def _taken(mentions: Mentions) -> frozenset[int]:
    """Return the places of numbers, times and values, whose words mean nothing by themselves."""
    spans = [(each.start, each.end) for each in mentions.comparisons if each.marked]
    spans += [(each.start, each.end) for each in mentions.dates]
    spans += [(each.start, each.end) for each in mentions.values]
    return frozenset(place for start, end in spans for place in range(start, end))


def _negations(draft: Draft, mentions: Mentions, taken: frozenset[int]) -> Iterator[str]:
    if draft.negated or any(each.negated for each in mentions.dates):
        return
    for place, token in enumerate(mentions.tokens):
        if token.folded in NEGATIONS and place not in taken and not token.quoted:
            yield token.text


def _alternatives(draft: Draft, mentions: Mentions, taken: frozenset[int]) -> Iterator[str]:
    """Yield "or" where no condition has alternatives."""
    conditions = draft.form().conditions
    if any(_has_alternatives(each) for each in walk(conditions)):
        return
    for place, token in enumerate(mentions.tokens):
        if token.folded == "or" and place not in taken and not token.quoted and len(conditions) > 1:
            yield token.text


def _has_alternatives(condition: Condition) -> bool:
    if isinstance(condition, ValueCondition):
        return len(condition.values) > 1 or condition.negated
    return isinstance(condition, AnyCondition | AllCondition)
