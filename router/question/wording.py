"""A form in words: "invoices whose status is not paid, by total descending, first 5"."""

from collections.abc import Iterable, Iterator

from router.catalog.identifiers import phrase_of
from router.catalog.model import Catalog
from router.question.form import (
    Aggregate,
    AllCondition,
    AnyCondition,
    Condition,
    LinkCondition,
    LinkStep,
    Measure,
    MeasureCondition,
    QuestionForm,
    SortKey,
    Value,
    ValueCondition,
)
from router.question.validation import end_of

VALUES_MAX = 5
_OPERATORS = {
    "=": "is",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
    "contains": "contains",
}
_FUNCTIONS = {
    "count": "number",
    "distinct": "number of different values",
    "sum": "sum",
    "average": "average",
    "minimum": "minimum",
    "maximum": "maximum",
}


def interpretation(form: QuestionForm, catalog: Catalog) -> str:
    """Return one sentence without a full stop, for people."""
    if form.text is not None:
        return f"{phrase_of(form.kind)} about “{form.text}”"
    words = plural(phrase_of(form.kind))
    conditions = list(_conditions(form.conditions, form.kind, catalog))
    if conditions:
        words += f" {' and '.join(conditions)}"
    if form.aggregate is not None:
        words = f"{_aggregate(form.aggregate)} of {words}{_group(form.aggregate)}"
    if form.order is not None:
        words += f", by {_order(form.order, form.kind, catalog)}"
    if form.limit is not None:
        words += f", first {form.limit}" if form.limit > 1 else ", the first"
    if form.select:
        words += f": {', '.join(phrase_of(column) for column in form.select)}"
    return words


def plural(phrase: str) -> str:
    """Return an English noun phrase in the plural."""
    if phrase.endswith("person"):
        return f"{phrase.removesuffix('person')}people"
    if phrase.endswith("y") and phrase[-2:-1] not in "aeiou":
        return f"{phrase[:-1]}ies"
    return phrase if phrase.endswith("s") else f"{phrase}s"


def _conditions(conditions: Iterable[Condition], kind: str, catalog: Catalog) -> Iterator[str]:
    for condition in conditions:
        match condition:
            case ValueCondition():
                yield _value(condition)
            case LinkCondition():
                yield _link(condition, kind, catalog)
            case MeasureCondition():
                measure = _measure(condition.measure, kind, catalog)
                yield f"whose {measure} {_OPERATORS[condition.operator]} {condition.value}"
            case AnyCondition():
                yield f"({' or '.join(_conditions(condition.conditions, kind, catalog))})"
            case AllCondition():
                yield " and ".join(_conditions(condition.conditions, kind, catalog))


def _value(condition: ValueCondition) -> str:
    column = phrase_of(condition.column)
    if condition.operator == "missing":
        return f"{'with' if condition.negated else 'without'} {column}"
    values = " or ".join(_format_value(value) for value in condition.values[:VALUES_MAX])
    if len(condition.values) > VALUES_MAX:
        values += f" or {len(condition.values) - VALUES_MAX} more"
    operator = _OPERATORS[condition.operator]
    if condition.negated:
        operator = operator.replace("is", "is not", 1).replace("contains", "does not contain")
    return f"whose {column} {operator} {values}"


def _format_value(value: Value) -> str:
    return f"“{value}”" if isinstance(value, str) else str(value)


def _link(condition: LinkCondition, kind: str, catalog: Catalog) -> str:
    end = end_of(condition.step, kind, catalog)
    link = catalog.visible_links[condition.step.link]
    verb = "without" if condition.negated else "with"
    via = phrase_of(link.name)
    end_phrase = phrase_of(end)
    via_text = "" if via == end_phrase or via == phrase_of(kind) else f" ({via})"
    if link.start == link.end and condition.step.reverse:
        via_text = f" ({via}, the other way round)"
    inner = [
        *(_value(value_condition) for value_condition in condition.properties),
        *_conditions(condition.conditions, end, catalog),
    ]
    article = "another " if condition.distinct else "a "
    return f"{verb} {article}{end_phrase}{via_text}" + (f" {' and '.join(inner)}" if inner else "")


def _measure(measure: Measure, kind: str, catalog: Catalog) -> str:
    if not measure.path:
        return phrase_of(measure.column or "")
    end = _end(measure.path, kind, catalog)
    subject = (
        plural(phrase_of(end))
        if measure.column is None
        else f"{phrase_of(end)} {phrase_of(measure.column)}"
    )
    inner = " and ".join(_conditions(measure.conditions, end, catalog))
    return f"{_FUNCTIONS[measure.function or 'count']} of {subject}" + (
        f" {inner}" if inner else ""
    )


def _end(path: tuple[LinkStep, ...], kind: str, catalog: Catalog) -> str:
    for step in path:
        kind = end_of(step, kind, catalog)
    return kind


def _order(order: SortKey, kind: str, catalog: Catalog) -> str:
    direction = "descending" if order.descending else "ascending"
    return f"{_measure(order.measure, kind, catalog)} {direction}"


def _aggregate(aggregate: Aggregate) -> str:
    column = f" of {phrase_of(aggregate.column)}" if aggregate.column else ""
    return f"{_FUNCTIONS[aggregate.function]}{column}"


def _group(aggregate: Aggregate) -> str:
    if not aggregate.group_by:
        return ""
    names = " and ".join(phrase_of(name) for name in aggregate.group_by)
    return f", for each {aggregate.unit} of {names}" if aggregate.unit else f", for each {names}"
