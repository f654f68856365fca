"""Rows of a store as hits, and the value that a form asked for."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from router.backends.base import Hit
from router.catalog.identifiers import phrase_of
from router.catalog.model import CatalogKind
from router.catalog_search.form_search import AnswerValue, FormResult
from router.question.form import QuestionForm
from router.question.statement import SORT_COLUMN, VALUE_COLUMN

TEXT_CHARS_MAX = 800
VALUE_CHARS_MAX = 300
Properties = Mapping[str, Any]


def row_hit(name: str, kind: CatalogKind, properties: Properties, place: int) -> Hit:
    """Return the hit of one row; ``id`` is the kind and its key: ``customer:12``."""
    key = "-".join(str(properties.get(column)) for column in kind.key) or f"row {place + 1}"
    title = " ".join(str(properties[c]) for c in kind.title if properties.get(c) is not None)
    day = properties.get(kind.date) if kind.date else None
    return Hit(
        id=f"{name}:{key}",
        title=title or key,
        text=_text(kind, properties),
        source=f"{kind.store}:{kind.source}",
        score=1 / (1 + 0.01 * place),
        kind=name,
        backend=kind.store,
        occurred_on=day.isoformat()[:10] if isinstance(day, date) else None,
    )


def value_hits(form: QuestionForm, kind: CatalogKind, rows: Sequence[Properties]) -> list[Hit]:
    """Return one hit for each group of an aggregate, or one for the whole."""
    function = form.aggregate.function if form.aggregate else "count"
    hits = []
    for place, row in enumerate(rows):
        value = plain_value(row["value"])
        group = row.get("group")
        value_text = "none" if value is None else str(value)
        hits.append(
            Hit(
                id=f"{function}/{form.kind}" + (f"/{group}" if "group" in row else ""),
                title=f"{group}: {value_text}" if "group" in row else value_text,
                text=f"{function} of {phrase_of(form.kind)}",
                source=f"{kind.store}:{kind.source}",
                score=1 / (1 + 0.01 * place),
                kind=function,
                backend=kind.store,
            )
        )
    return hits


def selected_value(form: QuestionForm, rows: Sequence[Properties]) -> AnswerValue | None:
    """Return the one value that the form asks for: an aggregate, or a column of a single row."""
    if form.aggregate is not None:
        is_single = len(rows) == 1 and not form.aggregate.group_by
        return plain_value(rows[0]["value"]) if is_single else None
    if len(form.select) != 1 or not rows:
        return None
    values = [plain_value(row.get(form.select[0])) for row in rows]
    return values[0] if values.count(values[0]) == len(values) else None


def form_result(
    form: QuestionForm, kind: CatalogKind, rows: Sequence[Properties], limit: int
) -> FormResult:
    """Return what a store's ``rows`` answer; at most ``limit`` of them are shown."""
    tied = with_ties(form, rows)
    value = selected_value(form, tied)
    if form.aggregate is not None:
        return FormResult(value_hits(form, kind, tied[:limit]), value=value)
    hits = [row_hit(form.kind, kind, row, place) for place, row in enumerate(tied[:limit])]
    value = None if len(tied) > limit else value  # rows that are not shown may hold another
    return FormResult(hits, value=value)


def with_ties(form: QuestionForm, rows: Sequence[Properties]) -> Sequence[Properties]:
    """Return the rows or groups that the form's own limit allows, and those equal to the last."""
    if form.limit is None or len(rows) <= form.limit:
        return rows
    first, further_rows = rows[: form.limit], rows[form.limit :]
    graded = VALUE_COLUMN if form.aggregate is not None else SORT_COLUMN
    last = first[-1].get(graded)
    return [*first, *(row for row in further_rows if last is not None and row[graded] == last)]


def plain_value(value: object) -> AnswerValue | None:
    """Return a value that JSON holds."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def _text(kind: CatalogKind, properties: Properties) -> str:
    parts = [
        f"{phrase_of(column)}: {str(properties[column])[:VALUE_CHARS_MAX]}"
        for column in kind.visible
        if properties.get(column) not in (None, "", []) and column not in kind.title
    ]
    return "; ".join(parts)[:TEXT_CHARS_MAX]
