"""Times of a question, as conditions of a draft."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

from router.catalog.identifiers import phrase_of
from router.catalog.model import Catalog, CatalogColumn
from router.catalog.paths import SchemaPaths
from router.english_words import MONTHS
from router.question.columns import ColumnChoice, ColumnFinder, add_choice, use_choice
from router.question.conditions.date_columns import DateColumns
from router.question.draft import Draft
from router.question.form import (
    AllCondition,
    AnyCondition,
    Condition,
    LinkStep,
    Value,
    ValueCondition,
)
from router.question.language.mentions import DateMention, Mentions
from router.question.validation import end_of

DONE_MIN = 0.6
"""Sureness from which a verb right before a time names the rows that have it."""
MEASURED_DATE = 0.4
"""Sureness of a date that the question does not name."""


class DateReader:
    """Adds the times of a question to a draft."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths, columns: ColumnFinder) -> None:
        self._catalog = catalog
        self._paths = paths
        self._columns = columns
        self._dates = DateColumns(catalog, paths, columns)

    def add_dates(self, draft: Draft, mentions: Mentions) -> None:
        """Add every time; those joined by "or" are alternatives."""
        pending: list[tuple[ColumnChoice, tuple[Condition, ...]]] = []
        for mention in mentions.dates:
            choices = [
                choice
                for choice in self._dates.choices(draft, mentions, (mention.start, mention.end))
                if self._columns.facts(choice).unit != "year" or _is_of_years(mention)
            ]
            if mention.range.bare and not choices:
                continue
            if not choices:
                draft.cost += 0.5
                continue
            choice = _attached(choices, mentions, mention.start)
            conditions = self._build_conditions(choice, mention)
            if mention.negated and choice.path:
                draft.root.deny(choice.path, self._within(choice, mention))
                draft.use(mention.start, mention.end, 1.0)
                continue
            use_choice(draft, choice, (mention.start, mention.end))
            words = mentions.words(mention.start, mention.end)
            if _lacks_year(mention, words):
                draft.assumed.append(f"{words} (taken for {mention.range.words})")
            if self._is_life_date(choice, mentions, mention):
                draft.assumed.append(f"{words} (taken for {phrase_of(choice.column)})")
            draft.matches.append(
                f"{mentions.words(mention.start, mention.end)} → {choice.kind}.{choice.column} "
                f"{mention.range.words}"
            )
            pending.append((choice, conditions))
            if choice.place is None and not choice.path:
                draft.own_times[mention.start] = list(conditions)
        self._merge_dates(draft, mentions, pending)

    def _is_life_date(self, choice: ColumnChoice, mentions: Mentions, mention: DateMention) -> bool:
        """Return True for a date of people that no words name: neither a column's nor theirs."""
        beside = any(
            m.end == mention.start
            for m in mentions.terms
            if any(term.kind == choice.kind for term in m.of("kind"))
        )
        own = choice.place is None and not choice.path and not beside
        return own and self._columns.is_person(choice.kind)

    def add_measured_dates(self, draft: Draft, mentions: Mentions) -> None:
        """Give times without a column of their own to what is measured: "spent most last year"."""
        measure = draft.order.measure if draft.order else None
        if measure is None or not measure.path:
            return
        choice = _measured_date(draft.kind, measure.path, self._catalog, self._paths)
        for mention in mentions.dates if choice is not None else ():
            if choice is None or mention.negated or not _is_free(mention, draft, mentions):
                continue
            for condition in draft.own_times.pop(mention.start, ()):
                if condition in draft.root.conditions:
                    draft.root.conditions.remove(condition)
            use_choice(draft, choice, (mention.start, mention.end))
            words = mentions.words(mention.start, mention.end)
            draft.assumed = [each for each in draft.assumed if not each.startswith(f"{words} (")]
            draft.matches.append(f"{words} → {choice.kind}.{choice.column} {mention.range.words}")
            add_choice(draft, choice, self._build_conditions(choice, mention))

    def _merge_dates(
        self,
        draft: Draft,
        mentions: Mentions,
        pending: list[tuple[ColumnChoice, tuple[Condition, ...]]],
    ) -> None:
        either = any(token.folded == "or" for token in mentions.tokens)
        closed = [range_ for range_ in mentions.dates if range_.range.start and range_.range.end]
        if len(pending) > 1 and (either or len(closed) == len(pending)):
            columns = {(choice.path, choice.column) for choice, _ in pending}
            if len(columns) == 1:
                every = tuple(AllCondition(conditions=alternative) for _, alternative in pending)
                draft.root.add(pending[0][0].path, [AnyCondition(conditions=every)])
                return
        for choice, conditions in pending:
            add_choice(draft, choice, conditions)

    def _within(self, choice: ColumnChoice, mention: DateMention) -> list[ValueCondition]:
        column = self._columns.facts(choice)
        return list(_bounds(choice.column, column, (mention.range.start, mention.range.end)))

    def _build_conditions(
        self, choice: ColumnChoice, mention: DateMention
    ) -> tuple[Condition, ...]:
        conditions = self._within(choice, mention)
        if not mention.negated:
            return tuple(conditions)
        outside = [_outside(condition) for condition in conditions]
        if self._columns.facts(choice).nulls:
            outside.append(ValueCondition(column=choice.column, operator="missing"))
        return (outside[0],) if len(outside) == 1 else (AnyCondition(conditions=tuple(outside)),)


def _measured_date(
    target: str, steps: Sequence[LinkStep], catalog: Catalog, paths: SchemaPaths
) -> ColumnChoice | None:
    """Return the date of the rows that are measured, if they have one."""
    kind = target
    for step in steps:
        kind = end_of(step, kind, catalog)
    date = catalog.visible_kinds[kind].date
    way = [(step.link, step.reverse) for step in steps]
    for path in paths.between(target, kind) if date else ():
        if date and [(step.link, step.reverse) for step in path] == way:
            return ColumnChoice(path, kind, date, MEASURED_DATE)
    return None


def _is_free(mention: DateMention, draft: Draft, mentions: Mentions) -> bool:
    """Return True where no column took the time, or only the row's own by default.

    "Customers of 2024 with the most orders" are customers of that year.
    """
    if mention.start not in draft.used:
        return True
    first = min((m.start for m in mentions.terms if m.of("kind")), default=0)
    is_apposed = any(m.end == mention.start for m in mentions.terms if m.start == first)
    return mention.start in draft.own_times and not is_apposed


def _attached(choices: Sequence[ColumnChoice], mentions: Mentions, start: int) -> ColumnChoice:
    """Return the date of the kind right before the time, unless a column is named.

    A verb names what was done: "patients admitted last month" have an admission of that month.
    """
    if choices[0].place is None:
        for mention in mentions.terms:
            for term in mention.of("kind") if mention.end == start else ():
                for choice in choices if term.exact or term.weight >= DONE_MIN else ():
                    if choice.kind == term.kind and choice.path:
                        return replace(choice, place=(mention.start, mention.end))
    return choices[0]


def _lacks_year(mention: DateMention, words: str) -> bool:
    """Return True for "in May", which may be of any year."""
    named = any(word in MONTHS for word in words.lower().split())
    return named and not any(part.isdigit() and len(part) == len("2026") for part in words.split())


def _is_of_years(mention: DateMention) -> bool:
    """Return True for a time that a column of years can hold: no month of one."""
    ends = mention.range.start, mention.range.end
    return all(end is None or (end.month, end.day) == (1, 1) for end in ends)


def _bounds(
    name: str, column: CatalogColumn, span: tuple[date | None, date | None]
) -> Iterator[ValueCondition]:
    start, end = span
    years = column.unit == "year"
    if start is not None:
        first: Value = start.year if years else start
        yield ValueCondition(column=name, operator=">=", values=(_column_value(first, column),))
    if end is not None:
        last: Value = end.year + (end > date(end.year, 1, 1)) if years else end
        yield ValueCondition(column=name, operator="<", values=(_column_value(last, column),))


def _column_value(moment: Value, column: CatalogColumn) -> Value:
    """Return a time as its column holds it: ISO text sorts as its dates do."""
    return str(moment) if column.type == "text" else moment


_OUTSIDE = {">=": "<", "<": ">="}


def _outside(condition: ValueCondition) -> ValueCondition:
    return condition.model_copy(update={"operator": _OUTSIDE[condition.operator]})
