"""Times of a question, as conditions of a draft."""

from collections.abc import Iterator
from datetime import date

from router.catalog.model import CatalogColumn
from router.question.columns import ColumnChoice, ColumnFinder, add_choice, use_choice
from router.question.draft import Draft
from router.question.form import AllCondition, AnyCondition, Condition, Value, ValueCondition
from router.question.language.mentions import DateMention, Mentions


class DateReader:
    """Adds the times of a question to a draft."""

    def __init__(self, columns: ColumnFinder) -> None:
        self._columns = columns

    def add_dates(self, draft: Draft, mentions: Mentions) -> None:
        """Add every time; those joined by "or" are alternatives."""
        pending: list[tuple[ColumnChoice, tuple[Condition, ...]]] = []
        for mention in mentions.dates:
            choices = self._columns.date_choices(draft, mentions, (mention.start, mention.end))
            if mention.range.bare and not choices:
                continue
            if not choices:
                draft.cost += 0.5
                continue
            choice = choices[0]
            conditions = self._build_conditions(choice, mention)
            if mention.negated and choice.path:
                draft.root.deny(choice.path, self._within(choice, mention))
                draft.use(mention.start, mention.end, 1.0)
                continue
            use_choice(draft, choice, (mention.start, mention.end))
            draft.matches.append(
                f"{mentions.words(mention.start, mention.end)} → {choice.kind}.{choice.column} "
                f"{mention.range.words}"
            )
            pending.append((choice, conditions))
        self._merge_dates(draft, mentions, pending)

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
