"""States of rows: what is over, what is current, and what is denied together with its verb."""

from collections.abc import Mapping

from router.catalog.identifiers import singular, words_of
from router.catalog.model import CatalogColumn, is_temporal
from router.question.draft import Draft
from router.question.form import ValueCondition
from router.question.language.grammar import PREPOSITIONS
from router.question.language.mentions import Mentions
from router.question.language.term_mentions import TermMention

_NOW = frozenset(("now", "currently"))
"""Words that mean little by themselves: one without an effect is named where rows have times."""
_CURRENCY = {"current": False, "former": True, "formerly": True, **dict.fromkeys(_NOW, False)}
_ENDS = frozenset(
    (
        "left",
        "ended",
        "end",
        "closed",
        "retired",
        "returned",
        "back",
        "finished",
        "quit",
        "resigned",
    )
)
"""Words of times that end a row: what is current has none yet."""


def add_currency(draft: Draft, mentions: Mentions, columns: Mapping[str, CatalogColumn]) -> None:
    """Add "current" and "former": the rows without and with the time of their end."""
    ends = [
        name
        for name, facts in columns.items()
        if is_temporal(facts) and facts.nulls and set(words_of(name)) & _ENDS
    ]
    restricted = {getattr(each, "column", None) for each in draft.root.conditions}
    for place, token in enumerate(mentions.tokens):
        over = _CURRENCY.get(token.folded)
        if over is None or draft.used.get(place):
            continue
        if len(ends) != 1 or ends[0] in restricted:
            if token.folded in _NOW and any(map(is_temporal, columns.values())):
                draft.assumed.append(token.text)
            continue
        missing = ValueCondition(column=ends[0], operator="missing", negated=over)
        draft.root.add((), [missing])
        draft.use(place, place + 1, 1.0)
        return


def is_verb_of_denied(mentions: Mentions, verb: TermMention, kind: str) -> bool:
    """Return True for "never enrolled in a course": the courses are missing, not the day."""
    if not verb.negated or any(t.exact for t in verb.terms):
        return False
    for mention in mentions.terms:
        between = [token.folded for token in mentions.tokens[verb.end : mention.start]]
        others = any(t.exact and t.kind != kind for t in mention.of("kind"))
        if mention.negated and others and between[:1] != [] and between[0] in PREPOSITIONS:
            return len(between) <= DENIED_GAP
    return False


DENIED_GAP = 2


def is_plural(column: str) -> bool:
    """Return True for a number of things, where "no seats" are 0 seats."""
    last = words_of(column)[-1]
    return singular(last) != last or last in ("count", "cnt", "qty", "quantity")


def is_over(mentions: Mentions, mention: TermMention) -> bool:
    """Return True for "have left" and "were returned": what happened has a time."""
    before = [t.folded for t in mentions.tokens[max(mention.start - 1, 0) : mention.start]]
    behind = [t.folded for t in mentions.tokens[mention.end : mention.end + 1]]
    verb = mentions.tokens[mention.end - 1].folded
    return (
        verb.endswith(("ed", "t", "n"))
        and before[:1] != []
        and (
            before[0] in ("have", "has", "had", "were", "was", "been", "already")
            and behind not in (["date"], ["on"], ["at"], ["by"])
        )
    )
