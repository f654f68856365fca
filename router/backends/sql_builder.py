"""The builder of one parameterised statement per filter.

No value, attribute or kind ever becomes SQL text.
"""

from collections.abc import Iterator

from router.backends.conditions import Condition, Filter
from router.backends.tokenization import content_stems, content_words

SqlParameter = str | float | bool | list[str] | object
_COLUMNS = "id, kind, title, text, source, occurred_on"
_SQL_OPERATORS = {"=": "=", "!=": "IS DISTINCT FROM", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

_TIME_QUESTION_STEMS = content_stems(
    "happen occur took take place change event news new activity everything anything going since "
    "before after during between until last past this next day week month quarter year today "
    "yesterday january february march april may june july august september october november december"
)
"""Words of a question about a time that need not occur in its records."""


class _Parameters:
    def __init__(self) -> None:
        self.values: list[SqlParameter] = []

    def add(self, value: SqlParameter) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def build_select(record_filter: Filter, limit: int) -> tuple[str, list[SqlParameter]]:
    """Build the statement and its values.

    It returns rows best first, each with ``rank`` in [0, 1] and ``total``, the number of matches.
    """
    parameters = _Parameters()
    rank = _rank_expression(record_filter, parameters)
    predicate = " AND ".join(_where_clauses(record_filter, parameters)) or "TRUE"
    order = _order_expression(record_filter, parameters)
    statement = (
        f"SELECT {_COLUMNS}, {rank} AS rank, count(*) OVER () AS total "  # noqa: S608 - fragments are constants; values are parameters
        f"FROM records WHERE {predicate} ORDER BY {order} LIMIT {parameters.add(limit)}"
    )
    return statement, parameters.values


def _rank_expression(query_filter: Filter, parameters: _Parameters) -> str:
    query = parameters.add(" or ".join(content_words(query_filter.question)) or "nothing")
    return f"ts_rank(search, websearch_to_tsquery('english', {query}), 32)"


def _where_clauses(query_filter: Filter, parameters: _Parameters) -> list[str]:
    parts = []
    if query_filter.kinds:
        parts.append(f"kind = ANY({parameters.add(sorted(query_filter.kinds))}::text[])")
    parts += _condition_clauses(query_filter, parameters)
    if query_filter.time_range and query_filter.time_range.start:
        parts.append(f"occurred_on >= {parameters.add(query_filter.time_range.start)}::date")
    if query_filter.time_range and query_filter.time_range.end:
        parts.append(f"occurred_on < {parameters.add(query_filter.time_range.end)}::date")
    if query_filter.time_range and query_filter.time_range.order:
        parts.append("occurred_on IS NOT NULL")
    parts += [
        f"search @@ phraseto_tsquery('english', {parameters.add(name)})"
        for name in query_filter.names
    ]
    if query_filter.ids:
        parts.append(_mention_clause(query_filter, parameters))
    elif not (
        query_filter.kinds
        or query_filter.conditions
        or query_filter.names
        or _is_time_only(query_filter)
    ):
        query = parameters.add(" or ".join(content_words(query_filter.question)) or "nothing")
        parts.append(f"search @@ websearch_to_tsquery('english', {query})")
    return parts


def _is_time_only(query_filter: Filter) -> bool:
    """Return true for a question with a time and no topic, whose words records need not have."""
    bounded = query_filter.time_range is not None and query_filter.time_range.is_bounded
    words = content_stems(query_filter.question)
    return bounded and all(word in _TIME_QUESTION_STEMS or word.isdigit() for word in words)


def _condition_clauses(query_filter: Filter, parameters: _Parameters) -> Iterator[str]:
    alternatives: dict[str, list[str]] = {}
    for condition in query_filter.conditions:
        text = _condition_clause(condition, parameters)
        if condition.operator == "=" and condition.attribute in query_filter.alternative_attributes:
            alternatives.setdefault(condition.attribute, []).append(text)
        else:
            yield text
    for texts in alternatives.values():
        yield f"({' OR '.join(texts)})"


def _mention_clause(query_filter: Filter, parameters: _Parameters) -> str:
    """Return the clause for records that have or mention an identifier of the question."""
    ids = parameters.add(list(query_filter.ids))
    text = parameters.add(" or ".join(f'"{word}"' for word in query_filter.ids))
    return f"(lower(id) = ANY({ids}::text[]) OR search @@ websearch_to_tsquery('english', {text}))"


def _condition_clause(condition: Condition, parameters: _Parameters) -> str:
    name = f"{parameters.add(condition.attribute)}::text"
    operator = _SQL_OPERATORS[condition.operator]
    if isinstance(condition.value, bool):
        return (
            f"attributes -> {name} {operator} to_jsonb({parameters.add(condition.value)}::boolean)"
        )
    if isinstance(condition.value, float):
        # CASE keeps a record whose attribute is not a number from failing the whole statement.
        number = (
            f"CASE WHEN jsonb_typeof(attributes -> {name}) = 'number' "
            f"THEN (attributes ->> {name})::numeric END"
        )
        return f"{number} {operator} {parameters.add(condition.value)}::float8"
    return f"attributes ->> {name} {operator} {parameters.add(condition.value)}::text"


def _order_expression(query_filter: Filter, parameters: _Parameters) -> str:
    if query_filter.time_range and query_filter.time_range.order:
        return f"occurred_on {'DESC' if query_filter.time_range.order == 'latest' else 'ASC'}, rank DESC, id"
    if query_filter.order_by:
        name = f"{parameters.add(query_filter.order_by)}::text"
        value = (
            f"CASE WHEN jsonb_typeof(attributes -> {name}) = 'number' "
            f"THEN (attributes ->> {name})::numeric END"
        )
        return f"{value} {'DESC' if query_filter.descending else 'ASC'} NULLS LAST, id"
    return "rank DESC, id"
