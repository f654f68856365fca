"""One parameterised statement per filter. No value, attribute or kind ever becomes SQL text."""

from collections.abc import Iterator

from router.backends.conditions import Condition, Filter
from router.backends.words import content_stems, content_words

Parameter = str | float | bool | list[str] | object
_COLUMNS = "id, kind, title, text, source, occurred_on"
_COMPARE = {"=": "=", "!=": "IS DISTINCT FROM", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

_SAY_NO_MORE = content_stems(
    "happen occur took take place change event news new activity everything anything going since "
    "before after during between until last past this next day week month quarter year today "
    "yesterday january february march april may june july august september october november december"
)
"""Words of a question about a time that its records are not expected to have."""


class _Parameters:
    def __init__(self) -> None:
        self.values: list[Parameter] = []

    def add(self, value: Parameter) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def select(wanted: Filter, limit: int) -> tuple[str, list[Parameter]]:
    """Rows best first, each with ``rank`` in [0, 1] and ``total``, the number of all matches."""
    given = _Parameters()
    rank = _rank(wanted, given)
    where = " AND ".join(_where(wanted, given)) or "TRUE"
    order = _order(wanted, given)
    statement = (
        f"SELECT {_COLUMNS}, {rank} AS rank, count(*) OVER () AS total "  # noqa: S608 - fragments are constants; values are parameters
        f"FROM records WHERE {where} ORDER BY {order} LIMIT {given.add(limit)}"
    )
    return statement, given.values


def _rank(wanted: Filter, given: _Parameters) -> str:
    query = given.add(" or ".join(content_words(wanted.words)) or "nothing")
    return f"ts_rank(search, websearch_to_tsquery('english', {query}), 32)"


def _where(wanted: Filter, given: _Parameters) -> list[str]:
    parts = []
    if wanted.kinds:
        parts.append(f"kind = ANY({given.add(sorted(wanted.kinds))}::text[])")
    parts += _conditions(wanted, given)
    if wanted.window and wanted.window.start:
        parts.append(f"occurred_on >= {given.add(wanted.window.start)}::date")
    if wanted.window and wanted.window.end:
        parts.append(f"occurred_on < {given.add(wanted.window.end)}::date")
    if wanted.window and wanted.window.order:
        parts.append("occurred_on IS NOT NULL")
    parts += [f"search @@ phraseto_tsquery('english', {given.add(name)})" for name in wanted.names]
    if wanted.ids:
        parts.append(_mentions(wanted, given))
    elif not (wanted.kinds or wanted.conditions or wanted.names or _time_alone(wanted)):
        query = given.add(" or ".join(content_words(wanted.words)) or "nothing")
        parts.append(f"search @@ websearch_to_tsquery('english', {query})")
    return parts


def _time_alone(wanted: Filter) -> bool:
    """Whether the question says when and not what: the records need not have its words."""
    bounded = wanted.window is not None and wanted.window.bounded
    words = content_stems(wanted.words)
    return bounded and all(word in _SAY_NO_MORE or word.isdigit() for word in words)


def _conditions(wanted: Filter, given: _Parameters) -> Iterator[str]:
    alternatives: dict[str, list[str]] = {}
    for condition in wanted.conditions:
        text = _condition(condition, given)
        if condition.operator == "=" and condition.attribute in wanted.either:
            alternatives.setdefault(condition.attribute, []).append(text)
        else:
            yield text
    for texts in alternatives.values():
        yield f"({' OR '.join(texts)})"


def _mentions(wanted: Filter, given: _Parameters) -> str:
    """Records that are, or speak of, any identifier in the question."""
    ids = given.add(list(wanted.ids))
    text = given.add(" or ".join(f'"{word}"' for word in wanted.ids))
    return f"(lower(id) = ANY({ids}::text[]) OR search @@ websearch_to_tsquery('english', {text}))"


def _condition(condition: Condition, given: _Parameters) -> str:
    name = f"{given.add(condition.attribute)}::text"
    operator = _COMPARE[condition.operator]
    if isinstance(condition.value, bool):
        return f"attributes -> {name} {operator} to_jsonb({given.add(condition.value)}::boolean)"
    if isinstance(condition.value, float):
        # CASE keeps a record whose attribute is not a number from failing the whole statement.
        number = (
            f"CASE WHEN jsonb_typeof(attributes -> {name}) = 'number' "
            f"THEN (attributes ->> {name})::numeric END"
        )
        return f"{number} {operator} {given.add(condition.value)}::float8"
    return f"attributes ->> {name} {operator} {given.add(condition.value)}::text"


def _order(wanted: Filter, given: _Parameters) -> str:
    if wanted.window and wanted.window.order:
        return f"occurred_on {'DESC' if wanted.window.order == 'latest' else 'ASC'}, rank DESC, id"
    if wanted.order_by:
        name = f"{given.add(wanted.order_by)}::text"
        value = (
            f"CASE WHEN jsonb_typeof(attributes -> {name}) = 'number' "
            f"THEN (attributes ->> {name})::numeric END"
        )
        return f"{value} {'DESC' if wanted.descending else 'ASC'} NULLS LAST, id"
    return "rank DESC, id"
