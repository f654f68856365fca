"""Meanings of a value, and what stays doubtful about the surest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from router.catalog.identifiers import phrase_of
from router.catalog.values import ValueEntry
from router.question.language.term_mentions import TermMention
from router.question.language.value_mentions import PART_MAX, ValueMention
from router.question.relations import ScoredPath


@dataclass(frozen=True, slots=True)
class ValueOption:
    """One meaning of a value: its entry, and the way there."""

    entry: ValueEntry
    way: ScoredPath
    score: float
    apposed: tuple[TermMention, ...] = ()


def columns_of(entry: ValueEntry) -> tuple[str, ...]:
    """Return the columns that hold a value."""
    return tuple(column for column, _ in entry.conditions)


def doubts(words: str, best: ValueOption, options: Sequence[ValueOption]) -> Iterator[str]:
    """Yield what ``words`` were taken for where something else is nearly as likely."""
    if _is_ambiguous(best, options):
        yield taken_for(words, best)
    if _is_roundabout(best, options):
        links = (phrase_of(step.link.split(".")[-2]) for step in best.way.path)
        yield f"{words} (taken for {' and '.join(links)})"


def _is_ambiguous(best: ValueOption, options: Sequence[ValueOption]) -> bool:
    """Return True where another column holds the value nearly as surely.

    So may a part of several names, where the whole of another value is the same.
    """
    meaning = best.entry.kind, columns_of(best.entry)
    others = [each for each in options if (each.entry.kind, columns_of(each.entry)) != meaning]
    part = best.entry.weight <= PART_MAX and any(each.entry.weight > PART_MAX for each in others)
    return part or any(best.score - each.score < AMBIGUOUS for each in others)


def _is_roundabout(best: ValueOption, options: Sequence[ValueOption]) -> bool:
    """Return True where another way is shorter or as likely, and no words name each link of this one."""
    path, meaning = best.way.path, (best.entry.kind, columns_of(best.entry))
    shorter = any(each.way.path and len(each.way.path) < len(path) for each in options)
    twin = any(
        {step.link for step in each.way.path} != {step.link for step in path}
        and (each.entry.kind, columns_of(each.entry)) == meaning
        and best.score - each.score < AMBIGUOUS
        for each in options
    )
    named = {(term.start, term.end) for term, _ in best.way.mentions}
    return (shorter or twin) and len(named) < len(path)


def taken_for(words: str, best: ValueOption) -> str:
    """Return a value's words and the columns that they were taken for."""
    return f"{words} (taken for {' and '.join(map(phrase_of, columns_of(best.entry)))})"


def has_namesake(best: ValueOption, mention: ValueMention) -> bool:
    """Return True where a row of another kind has the same name, and no words say which is meant."""
    alone = not best.way.path and not best.apposed and best.entry.name
    weight = best.entry.weight
    return alone and any(
        entry.kind != best.entry.kind and entry.weight >= weight for entry in mention.entries
    )


AMBIGUOUS = 0.06
"""Two meanings of a value whose scores differ by less are nearly tied."""
