"""Compile a checked form to one read-only Cypher statement.

Links that must hold become MATCH clauses of their own, so that a planner may start at the rarest
end; negated and alternative ones become EXISTS subqueries. Values are parameters ``$p1`` ….
"""

from collections.abc import Iterator

from router.catalog.model import Catalog, CatalogColumn
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

_INTEGER_MAX = 2**63


def compile_cypher(
    form: QuestionForm, catalog: Catalog, limit: int, caller: Caller
) -> CompiledStatement:
    """Return the statement for ``form``, which ``validate_form`` has returned.

    A row is ``properties`` (a map) and ``value``; of a group, ``group`` and ``value``.
    Raises CatalogError where the rights of a kind refuse ``caller``.
    """
    scope = StatementScope(catalog, caller)
    root = scope.alias()
    clauses = [f"MATCH {_node(scope, form.kind, root)}"]
    clauses += _filter_clauses(scope, form.kind, root, form.conditions)
    if any(
        isinstance(condition, LinkCondition) and not condition.negated
        for condition in form.conditions
    ):
        clauses.append(f"WITH DISTINCT {root}")
    if form.aggregate is not None:
        clauses += _aggregate_clauses(scope, form.aggregate, form.kind, root)
    else:
        clauses += _rows(scope, form, root)
    clauses.append(f"LIMIT $p{scope.bind(limit)}")
    return CompiledStatement(" ".join(clauses), tuple(scope.values))


def escape_identifier(name: str) -> str:
    """Return ``name`` as an escaped identifier."""
    return "`" + name.replace("`", "``") + "`"


def _node(scope: StatementScope, kind: str, alias: str) -> str:
    return f"({alias}:{escape_identifier(scope.kind(kind).source)})"


def _filter_clauses(
    scope: StatementScope, kind: str, alias: str, conditions: tuple[Condition, ...]
) -> Iterator[str]:
    """Yield the WHERE of one node, then a MATCH for each link that must hold."""
    links = [
        condition
        for condition in conditions
        if isinstance(condition, LinkCondition) and not condition.negated
    ]
    node_conditions = [condition for condition in conditions if condition not in links]
    tests = [*_rights(scope, kind, alias)]
    tests += [_condition(scope, condition, kind, alias) for condition in node_conditions]
    if tests:
        yield f"WHERE {' AND '.join(tests)}"
    for link in links:
        yield from _match_clauses(scope, link, kind, alias)


def _match_clauses(
    scope: StatementScope, condition: LinkCondition, kind: str, alias: str
) -> Iterator[str]:
    end, end_alias, edge = end_of(condition.step, kind, scope.catalog), scope.alias(), scope.alias()
    yield f"MATCH ({alias}){_edge(scope, condition.step, edge)}{_node(scope, end, end_alias)}"
    tests = [*_edge_tests(scope, condition, edge)]
    if condition.distinct:
        tests.append(f"{end_alias} <> t1")
    if tests:
        yield f"WHERE {' AND '.join(tests)} WITH *"
    yield from _filter_clauses(scope, end, end_alias, condition.conditions)


def _edge(scope: StatementScope, step: LinkStep, alias: str) -> str:
    name = escape_identifier(scope.catalog.visible_links[step.link].relationship or "")
    edge = f"-[{alias}:{name}]-"
    return f"<{edge}" if step.reverse else f"{edge}>"


def _edge_tests(scope: StatementScope, condition: LinkCondition, edge: str) -> Iterator[str]:
    columns = scope.catalog.visible_links[condition.step.link].properties
    for property_condition in condition.properties:
        yield _value_condition(scope, property_condition, columns[property_condition.column], edge)


def _rows(scope: StatementScope, form: QuestionForm, root: str) -> Iterator[str]:
    kind = scope.kind(form.kind)
    value = "null"
    if form.order is not None:
        measure = form.order.measure
        value = f"{root}.{escape_identifier(measure.column or '')}"
        if measure.path:
            yield from _measure_clauses(scope, measure, form.kind, root)
            value = "v"
    columns = ", ".join(f".{escape_identifier(name)}" for name in kind.visible)
    yield f"WITH {root}, {value} AS v"
    yield f"RETURN {root} {{{columns}}} AS properties, v AS {escape_identifier(SORT_COLUMN)}"
    order = [f"{root}.{escape_identifier(name)}" for name in kind.key]
    if form.order is not None:
        order = ["v IS NULL", f"v {'DESC' if form.order.descending else 'ASC'}", *order]
    if order:
        yield f"ORDER BY {', '.join(order)}"


def _measure_clauses(
    scope: StatementScope, measure: Measure, kind: str, root: str
) -> Iterator[str]:
    """Yield clauses after which ``root`` and ``v`` are bound."""
    pattern, end, alias, tests = f"({root})", kind, root, list[str]()
    for step in measure.path:
        end, alias = end_of(step, end, scope.catalog), scope.alias()
        pattern += f"{_edge(scope, step, '')}{_node(scope, end, alias)}"
        tests += _rights(scope, end, alias)
    tests += [_condition(scope, condition, end, alias) for condition in measure.conditions]
    yield f"OPTIONAL MATCH {pattern}"
    if tests:
        yield f"WHERE {' AND '.join(tests)}"
    yield f"WITH DISTINCT {root}, {alias}"
    argument = f"{alias}.{escape_identifier(measure.column)}" if measure.column else alias
    yield f"WITH {root}, {aggregate_call(measure.function or 'count', argument)} AS v"


def _aggregate_clauses(
    scope: StatementScope, aggregate: Aggregate, kind: str, root: str
) -> Iterator[str]:
    argument = f"{root}.{escape_identifier(aggregate.column)}" if aggregate.column else "*"
    value = f"{aggregate_call(aggregate.function, argument)} AS {escape_identifier(VALUE_COLUMN)}"
    if not aggregate.group_by:
        yield f"RETURN {value}"
        return
    alias, end = root, kind
    for step in aggregate.path:
        start_alias, end = alias, end_of(step, end, scope.catalog)
        alias = scope.alias()
        yield f"MATCH ({start_alias}){_edge(scope, step, '')}{_node(scope, end, alias)}"
        tests = [*_rights(scope, end, alias)]
        if tests:
            yield f"WHERE {' AND '.join(tests)}"
    group = " + ' ' + ".join(f"{alias}.{escape_identifier(name)}" for name in aggregate.group_by)
    if aggregate.unit is not None:
        group = f"substring(toString({group}), 0, {UNIT_LETTERS[aggregate.unit]})"
    if aggregate.each:
        yield f"WITH {alias}, {value}"
        value = escape_identifier(VALUE_COLUMN)
    yield f"RETURN {group} AS {escape_identifier(GROUP_COLUMN)}, {value}"
    yield f"ORDER BY {escape_identifier(VALUE_COLUMN)} DESC, {escape_identifier(GROUP_COLUMN)}"


def _rights(scope: StatementScope, kind: str, alias: str) -> Iterator[str]:
    columns = scope.kind(kind).columns
    for condition in row_conditions(kind, scope.kind(kind), scope.caller):
        yield _value_condition(scope, condition, columns[condition.column], alias)


def _condition(scope: StatementScope, condition: Condition, kind: str, alias: str) -> str:
    match condition:
        case ValueCondition():
            column = scope.kind(kind).columns[condition.column]
            return _value_condition(scope, condition, column, alias)
        case LinkCondition():
            return _exists(scope, condition, kind, alias)
        case AnyCondition() | AllCondition():
            inner = [_condition(scope, nested, kind, alias) for nested in condition.conditions]
            joint = " OR " if isinstance(condition, AnyCondition) else " AND "
            return f"({joint.join(inner)})"
        case MeasureCondition():
            return _compare_measure(scope, condition, kind, alias)


def _exists(scope: StatementScope, condition: LinkCondition, kind: str, alias: str) -> str:
    end, end_alias, edge = end_of(condition.step, kind, scope.catalog), scope.alias(), scope.alias()
    tests = [*_edge_tests(scope, condition, edge), *_rights(scope, end, end_alias)]
    tests += [_condition(scope, nested, end, end_alias) for nested in condition.conditions]
    if condition.distinct:
        tests.append(f"{end_alias} <> t1")
    where_clause = f" WHERE {' AND '.join(tests)}" if tests else ""
    pattern = f"({alias}){_edge(scope, condition.step, edge)}{_node(scope, end, end_alias)}"
    text = f"EXISTS {{ MATCH {pattern}{where_clause} }}"
    return f"NOT {text}" if condition.negated else text


def _compare_measure(
    scope: StatementScope, condition: MeasureCondition, kind: str, alias: str
) -> str:
    measure = condition.measure
    number = f"$p{scope.bind(condition.value)}"
    if not measure.path:
        return f"{alias}.{escape_identifier(measure.column or '')} {condition.operator} {number}"
    pattern, end, end_alias, tests = f"({alias})", kind, alias, list[str]()
    for step in measure.path:
        end, end_alias = end_of(step, end, scope.catalog), scope.alias()
        pattern += f"{_edge(scope, step, '')}{_node(scope, end, end_alias)}"
        tests += _rights(scope, end, end_alias)
    tests += [_condition(scope, nested, end, end_alias) for nested in measure.conditions]
    where_clause = f" WHERE {' AND '.join(tests)}" if tests else ""
    subquery = f"MATCH {pattern}{where_clause} RETURN DISTINCT {end_alias}"
    if measure.function == "count":
        return f"COUNT {{ {subquery} }} {condition.operator} {number}"
    # Cypher has no aggregate over a subquery inside WHERE but this: reduce over a collected list.
    column = f"{end_alias}.{escape_identifier(measure.column or '')}"
    call = aggregate_call(measure.function or "sum", column)
    values = f"COLLECT {{ MATCH {pattern}{where_clause} WITH DISTINCT {end_alias} RETURN {call} }}"
    return f"{values}[0] {condition.operator} {number}"


def _value_condition(
    scope: StatementScope, condition: ValueCondition, column: CatalogColumn, alias: str
) -> str:
    value = f"{alias}.{escape_identifier(condition.column)}"
    if condition.operator == "missing":
        return f"{value} IS {'NOT ' if condition.negated else ''}NULL"
    text = _test(scope, condition, column, value)
    return f"NOT coalesce({text}, false)" if condition.negated else text


def _test(
    scope: StatementScope, condition: ValueCondition, column: CatalogColumn, value: str
) -> str:
    if condition.operator == "contains":
        tests = [
            f"toLower(toString({value})) CONTAINS toLower($p{scope.bind(allowed_value)})"
            for allowed_value in condition.values
        ]
        return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"
    if column.type == "list":
        return f"any(x IN {value} WHERE x IN $p{scope.bind(_values(condition))})"
    if condition.operator == "=" and len(condition.values) > 1:
        return f"{value} IN $p{scope.bind(_values(condition))}"
    return f"{value} {condition.operator} $p{scope.bind(_values(condition)[0])}"


def _values(condition: ValueCondition) -> list[Value]:
    """Return the values; Bolt has no integer beyond 64 bits."""
    return [
        float(value) if isinstance(value, int) and abs(value) >= _INTEGER_MAX else value
        for value in condition.values
    ]
