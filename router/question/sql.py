# ruff: noqa: S608 - identifiers are quoted names of the catalogue and values are parameters
"""Compile a checked form to one SELECT statement for Postgres.

Identifiers come from the catalogue and are quoted; every value is a numbered parameter with a
cast. Links become EXISTS. A measure becomes one grouped subquery, so that a table without an index
on its foreign key is read once and not once a row.
"""

from collections.abc import Iterator
from decimal import Decimal

from router.catalog.model import NUMERIC, TEMPORAL, Catalog, CatalogColumn
from router.question.form import (
    UNIT_LETTERS,
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
from router.question.rights import row_conditions
from router.question.statement import (
    GROUP_COLUMN,
    SORT_COLUMN,
    VALUE_COLUMN,
    Caller,
    CompiledStatement,
    StatementScope,
    aggregate_call,
)
from router.question.validation import end_of

TEXT_CHARS_MAX = 2000
_BIGINT = 2**63
_CASTS = {
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
}


def compile_sql(
    form: QuestionForm, catalog: Catalog, limit: int, caller: Caller
) -> CompiledStatement:
    """Return the statement for ``form``, which ``validate_form`` has returned.

    ``limit`` bounds the rows. Raises CatalogError where the rights of a kind refuse ``caller``.
    """
    scope = StatementScope(catalog, caller)
    root = scope.alias()
    predicates = [*_rights(scope, form.kind, root)]
    predicates += [_condition(scope, condition, form.kind, root) for condition in form.conditions]
    source = f"{_table(scope, form.kind)} AS {root}"
    if form.aggregate is not None:
        text = _aggregate_statement(scope, form.aggregate, form.kind, (root, source, predicates))
    else:
        text = _rows(scope, form, (root, source, predicates))
    text += f" LIMIT ${scope.bind(limit)}::bigint"
    return CompiledStatement(text, tuple(scope.values))


def quote_identifier(name: str) -> str:
    """Return ``name`` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def _table(scope: StatementScope, kind: str) -> str:
    schema, _, table = scope.kind(kind).source.partition(".")
    return (
        f"{quote_identifier(schema)}.{quote_identifier(table)}"
        if table
        else quote_identifier(schema)
    )


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


_Parts = tuple[str, str, list[str]]


def _rows(scope: StatementScope, form: QuestionForm, parts: _Parts) -> str:
    root, source, predicates = parts
    kind = scope.kind(form.kind)
    columns = [_output(root, name, column) for name, column in kind.visible.items()]
    order = []
    if form.order is not None:
        join_clause, value = _sort_parts(scope, form.order, form.kind, root)
        source += join_clause
        order.append(f"{value} {'DESC' if form.order.descending else 'ASC'} NULLS LAST")
        columns.append(f"{value} AS {quote_identifier(SORT_COLUMN)}")
    order += [f"{root}.{quote_identifier(name)}" for name in kind.key]
    text = f"SELECT {', '.join(columns) or '1'} FROM {source}{_where(predicates)}"
    return text + (f" ORDER BY {', '.join(order)}" if order else "")


def _output(alias: str, name: str, column: CatalogColumn) -> str:
    value = f"{alias}.{quote_identifier(name)}"
    if column.type in ("text", "other", "enum"):
        value = f"left({value}::text, {TEXT_CHARS_MAX})"
    return f"{value} AS {quote_identifier(name)}"


def _sort_parts(scope: StatementScope, order: SortKey, kind: str, root: str) -> tuple[str, str]:
    measure = order.measure
    if not measure.path:
        return "", f"{root}.{quote_identifier(measure.column or '')}"
    return _join_measure(scope, measure, kind, root)


def _join_measure(scope: StatementScope, measure: Measure, kind: str, root: str) -> tuple[str, str]:
    alias = scope.alias()
    subquery, pairs = _measure_subquery(scope, measure, kind)
    on = " AND ".join(
        f"{alias}.{quote_identifier(f'k{place}')} = {root}.{quote_identifier(near)}"
        for place, near in enumerate(pairs)
    )
    value = f"{alias}.v"
    if measure.function in ("count", "sum"):
        value = f"coalesce({value}, 0)"
    return f" LEFT JOIN ({subquery}) AS {alias} ON {on}", value


def _measure_subquery(scope: StatementScope, measure: Measure, kind: str) -> tuple[str, list[str]]:
    """Return a subquery with columns k0…, v, and the columns of ``kind`` that k0… equal."""
    first, *later = measure.path
    alias, end = scope.alias(), end_of(first, kind, scope.catalog)
    pairs = _pairs(scope, first)
    source = f"{_table(scope, end)} AS {alias}"
    predicates = [*_rights(scope, end, alias)]
    keys = [f"{alias}.{quote_identifier(far)} AS k{place}" for place, (_, far) in enumerate(pairs)]
    for step in later:
        start_alias, end = alias, end_of(step, end, scope.catalog)
        alias = scope.alias()
        source += f" JOIN {_table(scope, end)} AS {alias} ON {_on(scope, step, start_alias, alias)}"
        predicates += _rights(scope, end, alias)
    predicates += [_condition(scope, condition, end, alias) for condition in measure.conditions]
    values = [
        f"{alias}.{quote_identifier(name)} AS d{place}"
        for place, name in enumerate(scope.kind(end).key)
    ]
    values.append(
        f"{alias}.{quote_identifier(measure.column)} AS v" if measure.column else "1 AS v"
    )
    distinct = "DISTINCT " if later and scope.kind(end).key else ""
    rows = f"SELECT {distinct}{', '.join([*keys, *values])} FROM {source}{_where(predicates)}"
    names = ", ".join(f"k{place}" for place in range(len(keys)))
    call = aggregate_call(measure.function or "count", "v")
    text = f"SELECT {names}, {call} AS v FROM ({rows}) AS r GROUP BY {names}"
    return text, [near for near, _ in pairs]


def _aggregate_statement(
    scope: StatementScope, aggregate: Aggregate, kind: str, parts: _Parts
) -> str:
    root, source, predicates = parts
    argument = f"{root}.{quote_identifier(aggregate.column)}" if aggregate.column else "*"
    value = f"{aggregate_call(aggregate.function, argument)} AS {quote_identifier(VALUE_COLUMN)}"
    if not aggregate.group_by:
        return f"SELECT {value} FROM {source}{_where(predicates)}"
    alias, end = root, kind
    for step in aggregate.path:
        start_alias, end = alias, end_of(step, end, scope.catalog)
        alias = scope.alias()
        source += f" JOIN {_table(scope, end)} AS {alias} ON {_on(scope, step, start_alias, alias)}"
        predicates += _rights(scope, end, alias)
    names = [f"{alias}.{quote_identifier(name)}" for name in aggregate.group_by]
    group = names[0] if len(names) == 1 else f"concat_ws(' ', {', '.join(names)})"
    if aggregate.unit is not None:
        group = f"left({group}::text, {UNIT_LETTERS[aggregate.unit]})"
    key_columns = (
        [f"{alias}.{quote_identifier(name)}" for name in scope.kind(end).key]
        if aggregate.each
        else []
    )
    return (
        f"SELECT {group} AS {quote_identifier(GROUP_COLUMN)}, {value} FROM {source}{_where(predicates)}"
        f" GROUP BY {', '.join([group, *key_columns])} ORDER BY 2 DESC NULLS LAST, 1"
    )


def _rights(scope: StatementScope, kind: str, alias: str) -> Iterator[str]:
    for condition in row_conditions(kind, scope.kind(kind), scope.caller):
        yield _value_condition(scope, condition, kind, alias)


def _condition(scope: StatementScope, condition: Condition, kind: str, alias: str) -> str:
    match condition:
        case ValueCondition():
            return _value_condition(scope, condition, kind, alias)
        case LinkCondition():
            return _exists(scope, condition, kind, alias)
        case AnyCondition() | AllCondition():
            inner = [_condition(scope, nested, kind, alias) for nested in condition.conditions]
            joint = " OR " if isinstance(condition, AnyCondition) else " AND "
            return f"({joint.join(inner)})"
        case MeasureCondition():
            return _compare_measure(scope, condition, kind, alias)


def _exists(scope: StatementScope, condition: LinkCondition, kind: str, alias: str) -> str:
    end, end_alias = end_of(condition.step, kind, scope.catalog), scope.alias()
    inner = [_on(scope, condition.step, alias, end_alias), *_rights(scope, end, end_alias)]
    inner += [_condition(scope, nested, end, end_alias) for nested in condition.conditions]
    if condition.distinct:
        inner.append(_different(scope, end, end_alias))
    text = f"EXISTS (SELECT 1 FROM {_table(scope, end)} AS {end_alias}{_where(inner)})"
    return f"NOT {text}" if condition.negated else text


def _different(scope: StatementScope, kind: str, alias: str) -> str:
    """Return that the row is not the one the form asks for, whose alias is always t1."""
    columns = scope.kind(kind).key
    row_key = ", ".join(f"{alias}.{quote_identifier(name)}" for name in columns)
    root = ", ".join(f"t1.{quote_identifier(name)}" for name in columns)
    return f"({row_key}) IS DISTINCT FROM ({root})" if columns else "true"


def _compare_measure(
    scope: StatementScope, condition: MeasureCondition, kind: str, alias: str
) -> str:
    measure = condition.measure
    value = f"${scope.bind(Decimal(str(condition.value)))}::numeric"
    if not measure.path:
        return f"{alias}.{quote_identifier(measure.column or '')} {condition.operator} {value}"
    subquery, pairs = _measure_subquery(scope, measure, kind)
    on = " AND ".join(
        f"m.k{place} = {alias}.{quote_identifier(near)}" for place, near in enumerate(pairs)
    )
    number = f"(SELECT m.v FROM ({subquery}) AS m WHERE {on})"
    if measure.function in ("count", "sum"):
        number = f"coalesce({number}, 0)"
    return f"{number} {condition.operator} {value}"


def _pairs(scope: StatementScope, step: LinkStep) -> list[tuple[str, str]]:
    """Return the columns that a step joins, near ones first."""
    pairs = scope.catalog.visible_links[step.link].columns
    return [(far, near) for near, far in pairs] if step.reverse else list(pairs)


def _on(scope: StatementScope, step: LinkStep, start_alias: str, end_alias: str) -> str:
    return " AND ".join(
        f"{end_alias}.{quote_identifier(far)} = {start_alias}.{quote_identifier(near)}"
        for near, far in _pairs(scope, step)
    )


def _value_condition(
    scope: StatementScope, condition: ValueCondition, kind: str, alias: str
) -> str:
    column = scope.kind(kind).columns[condition.column]
    value = f"{alias}.{quote_identifier(condition.column)}"
    if condition.operator == "missing":
        return f"{value} IS {'NOT ' if condition.negated else ''}NULL"
    tests = [
        _test(scope, (value, condition.operator, allowed_value), column)
        for allowed_value in condition.values
    ]
    text = tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"
    return f"({text}) IS NOT TRUE" if condition.negated else text


def _test(scope: StatementScope, test: tuple[str, str, Value], column: CatalogColumn) -> str:
    value, operator, operand = test
    if operator == "contains":
        return f"position(lower(${scope.bind(str(operand))}::text) in lower({value}::text)) > 0"
    if column.type == "list":
        return f"${scope.bind(str(operand))}::text = ANY({value}::text[])"
    if column.type in NUMERIC:
        number, cast = _number(operand)
        return f"{value} {operator} ${scope.bind(number)}::{cast}"
    if column.type in TEMPORAL or column.type == "boolean":
        return f"{value} {operator} ${scope.bind(operand)}::{_CASTS[column.type]}"
    if column.type == "text":
        return f"{value} {operator} ${scope.bind(str(operand))}::text"
    return f"{value}::text {operator} ${scope.bind(str(operand))}::text"


def _number(value: Value) -> tuple[int | Decimal, str]:
    number = Decimal(str(value))
    if number == number.to_integral_value() and abs(number) < _BIGINT:
        return int(number), "bigint"
    return number, "numeric"
