"""Check a form against the catalogue and give its values the columns' types.

Only what the catalogue shows can pass. A form from a language model goes through the same check
as one from the local reading.
"""

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal

from router.catalog.errors import CatalogError, HiddenError
from router.catalog.model import NUMERIC, TEMPORAL, Catalog, CatalogColumn, CatalogKind
from router.question.form import (
    LINKS_MAX,
    Aggregate,
    AllCondition,
    AnyCondition,
    Condition,
    LinkCondition,
    LinkStep,
    Measure,
    MeasureCondition,
    QuestionForm,
    Value,
    ValueCondition,
)

_ORDERED = frozenset((*NUMERIC, *TEMPORAL, "text", "time"))
_TRUE = frozenset(("true", "yes", "1"))
_FALSE = frozenset(("false", "no", "0"))


def validate_form(form: QuestionForm, catalog: Catalog) -> QuestionForm:
    """Return ``form`` with typed values.

    Raises:
        HiddenError: the form uses what the catalogue does not offer.
        CatalogError: a value or an operator does not fit its column.
    """
    kind = _kind(catalog, form.kind)
    if form.aggregate is not None:
        _check_aggregate(form.aggregate, form.kind, catalog)
    if form.order is not None:
        form = form.model_copy(
            update={
                "order": form.order.model_copy(
                    update={"measure": _measure(form.order.measure, form.kind, catalog)}
                )
            }
        )
    for column in form.select:
        _column(kind, form.kind, column)
    conditions = _conditions(form.conditions, form.kind, catalog, 0)
    return form.model_copy(update={"conditions": conditions})


def end_of(step: LinkStep, start: str, catalog: Catalog) -> str:
    """Return the kind that ``step`` leads to from ``start``.

    Raises:
        HiddenError: the catalogue has no such link from ``start``.
    """
    link = catalog.visible_links.get(step.link)
    near_kind, far_kind = (None, None) if link is None else (link.start, link.end)
    if step.reverse:
        near_kind, far_kind = far_kind, near_kind
    if far_kind is None or near_kind != start:
        raise HiddenError(f"link {step.link!r}: the catalogue has no such link from {start!r}")
    return far_kind


def _kind(catalog: Catalog, name: str) -> CatalogKind:
    kind = catalog.visible_kinds.get(name)
    if kind is None:
        raise HiddenError(f"kind {name!r}: the catalogue has no such kind")
    return kind


def _column(kind: CatalogKind, name: str, column: str) -> CatalogColumn:
    facts = kind.visible.get(column)
    if facts is None:
        raise HiddenError(f"column {column!r}: the catalogue has no such column of {name!r}")
    return facts


def _conditions(
    conditions: tuple[Condition, ...], kind: str, catalog: Catalog, depth: int
) -> tuple[Condition, ...]:
    return tuple(_condition(condition, kind, catalog, depth) for condition in conditions)


def _condition(condition: Condition, kind: str, catalog: Catalog, depth: int) -> Condition:
    match condition:
        case ValueCondition():
            column = _column(catalog.kinds[kind], kind, condition.column)
            return validate_condition(condition, column)
        case LinkCondition():
            return _link(condition, kind, catalog, depth)
        case MeasureCondition():
            measure = _measure(condition.measure, kind, catalog)
            return condition.model_copy(update={"measure": measure})
        case AnyCondition() | AllCondition():
            inner = _conditions(condition.conditions, kind, catalog, depth)
            return condition.model_copy(update={"conditions": inner})


def _link(condition: LinkCondition, kind: str, catalog: Catalog, depth: int) -> Condition:
    if depth == LINKS_MAX:
        raise CatalogError(f"conditions: more than {LINKS_MAX} links deep")
    end = end_of(condition.step, kind, catalog)
    columns = catalog.visible_links[condition.step.link].properties
    properties = []
    for property_condition in condition.properties:
        column = columns.get(property_condition.column)
        if column is None or column.hide:
            raise HiddenError(
                f"column {property_condition.column!r}: link {condition.step.link!r} has none"
            )
        properties.append(validate_condition(property_condition, column))
    inner = _conditions(condition.conditions, end, catalog, depth + 1)
    return condition.model_copy(update={"conditions": inner, "properties": tuple(properties)})


def _measure(measure: Measure, kind: str, catalog: Catalog) -> Measure:
    end = kind
    for step in measure.path:
        end = end_of(step, end, catalog)
    if (measure.function in (None, "count")) != (measure.column is None) and measure.path:
        raise CatalogError(f"measure: {measure.function or 'a column'} does not fit its column")
    if not measure.path and measure.function is not None:
        raise CatalogError(f"measure: {measure.function} needs a path of links")
    if measure.column is not None:
        column = _column(catalog.kinds[end], end, measure.column)
        _require_number(measure.function, column, measure.column)
    return measure.model_copy(
        update={"conditions": _conditions(measure.conditions, end, catalog, 0)}
    )


def _check_aggregate(aggregate: Aggregate, kind: str, catalog: Catalog) -> None:
    if (aggregate.function == "count") != (aggregate.column is None):
        raise CatalogError(f"aggregate: {aggregate.function} does not fit {aggregate.column!r}")
    if aggregate.column is not None:
        column = _column(catalog.kinds[kind], kind, aggregate.column)
        _require_number(aggregate.function, column, aggregate.column)
    end = kind
    for step in aggregate.path:
        end = end_of(step, end, catalog)
    for name in aggregate.group_by:
        grouped = _column(catalog.kinds[end], end, name)
        dated = grouped.type in TEMPORAL or grouped.unit == "date"
        if aggregate.unit is not None and not dated:
            raise CatalogError(f"unit: column {name!r} is {grouped.type}, not a date")
    if aggregate.unit is not None and len(aggregate.group_by) != 1:
        raise CatalogError(f"unit: {aggregate.unit} needs one column in group_by")


def _require_number(function: str | None, column: CatalogColumn, name: str) -> None:
    if function in ("sum", "average") and column.type not in NUMERIC:
        raise CatalogError(f"{function}: column {name!r} is {column.type}, not a number")


def validate_condition(condition: ValueCondition, column: CatalogColumn) -> ValueCondition:
    name, operator = condition.column, condition.operator
    if operator == "missing":
        if condition.values:
            raise CatalogError(f"column {name!r}: missing takes no value")
        return condition
    if not condition.values:
        raise CatalogError(f"column {name!r}: {operator} needs a value")
    if operator == "contains":
        values: tuple[Value, ...] = tuple(str(value) for value in condition.values)
        return condition.model_copy(update={"values": values})
    if operator != "=" and (len(condition.values) > 1 or column.type not in _ORDERED):
        raise CatalogError(f"column {name!r} ({column.type}): {operator} does not fit")
    values = tuple(_value(value, column, name) for value in condition.values)
    return condition.model_copy(update={"values": values})


def _value(value: Value, column: CatalogColumn, name: str) -> Value:
    try:
        return _READERS.get(column.type, str)(value)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise CatalogError(f"column {name!r}: {value!r} is not of type {column.type}") from error


def _number(value: Value) -> int | float:
    if isinstance(value, bool | date):
        raise TypeError(value)
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError(value)
    return int(number) if number == number.to_integral_value() else float(number)


def _boolean(value: Value) -> bool:
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(value)
    return text in _TRUE


def _date(value: Value) -> date:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _moment(value: Value) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    return datetime.fromisoformat(str(value))


_READERS: dict[str, Callable[[Value], Value]] = {
    "integer": _number,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _moment,
    "timestamptz": _moment,
    "time": lambda value: time.fromisoformat(str(value)).isoformat(),
}
