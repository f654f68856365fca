"""A form as a language model gives it: a flat schema, and its translation into a question's form.

The model's answer is data. Every name in it must be one of the catalogue, and every condition must
account for a word of the question. What the answer does not account for is named, never dropped.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from router.backends.tokenization import stem
from router.catalog.errors import CatalogError
from router.catalog.folding import fold_text
from router.catalog.identifiers import phrase_of
from router.catalog.model import Catalog, CatalogKind
from router.question.form import (
    Aggregate,
    Condition,
    Function,
    LinkCondition,
    LinkStep,
    Measure,
    QuestionForm,
    SortKey,
    ValueCondition,
    walk,
)
from router.question.language.grammar import FUNCTION_WORDS, LIGHT_WORDS, NEGATIONS

CATEGORIES_MAX = 12
"""A word may mean another one in a column of so few values: "unpaid" is the status "open"."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class ModelStep(BaseModel):
    """One link to follow; ``reverse`` goes from its end to its start."""

    model_config = ConfigDict(extra="forbid")

    link: str
    reverse: bool


class ModelCondition(BaseModel):
    """A column at the end of ``path``, compared with values. An empty path is the kind itself."""

    model_config = ConfigDict(extra="forbid")

    path: list[ModelStep] = Field(max_length=3)
    column: str
    operator: Literal["=", "<", "<=", ">", ">=", "contains", "missing"]
    values: list[str]
    negated: bool


class ModelForm(BaseModel):
    """The meaning of a question. An empty ``kind``: the catalogue cannot answer it."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    conditions: list[ModelCondition] = Field(max_length=10)
    order_by: str | None
    descending: bool
    limit: int | None = Field(ge=1, le=1000)
    aggregate: Function | None
    aggregate_column: str | None
    group_by: list[str] = Field(max_length=2)
    not_expressed: list[str]


def to_form(answer: ModelForm) -> QuestionForm:
    """Translate the answer; names are not checked yet."""
    order = None
    if answer.order_by is not None:
        order = SortKey(measure=Measure(column=answer.order_by), descending=answer.descending)
    aggregate = None
    if answer.aggregate is not None:
        aggregate = Aggregate(
            function=answer.aggregate,
            column=answer.aggregate_column,
            group_by=tuple(answer.group_by),
        )
    return QuestionForm(
        kind=answer.kind,
        conditions=tuple(_condition(condition) for condition in answer.conditions),
        order=order,
        limit=answer.limit,
        aggregate=aggregate,
    )


def _condition(part: ModelCondition) -> Condition:
    condition: Condition = ValueCondition(
        column=part.column,
        operator=part.operator,
        values=tuple(part.values),
        negated=part.negated and not part.path,
    )
    for number, step in enumerate(reversed(part.path), start=1):
        outermost = number == len(part.path)
        condition = LinkCondition(
            step=LinkStep(link=step.link, reverse=step.reverse),
            conditions=(condition,),
            negated=part.negated and outermost,
        )
    return condition


def unaccounted_words(question: str, form: QuestionForm, catalog: Catalog) -> tuple[str, ...]:
    """Return the question's words that nothing in a checked form accounts for.

    Raises:
        CatalogError: a part of the form accounts for no word of the question.
    """
    words = fold_text(question).split()
    kinds = list(_kinds(form, catalog))
    form_stems = {stem(word) for word in _form_words(form, kinds)}
    unaccounted = [word for word in words if not _is_empty(word) and stem(word) not in form_stems]
    question_words = {*words, *_NUMBER.findall(question)}
    for column, text in _compared_values(form):
        if text in question_words or (
            fold_text(text) and set(fold_text(text).split()) <= question_words
        ):
            continue
        if not unaccounted or not _is_category(column, text, kinds):
            raise CatalogError(f"{column}: {text!r} is not in the question")
        unaccounted = unaccounted[1:]
    unaccounted = _without_order(form, kinds, words, unaccounted)
    if form.limit is not None and str(form.limit) not in question_words:
        raise CatalogError(f"limit: {form.limit} is not in the question")
    if not _negates(form):
        unaccounted += [word for word in words if word in NEGATIONS]
    return tuple(dict.fromkeys(unaccounted))


def _without_order(
    form: QuestionForm, kinds: Sequence[CatalogKind], words: Sequence[str], unaccounted: list[str]
) -> list[str]:
    """Return the words that are left once the order took its own: its column's name, or "latest"."""
    if form.order is None:
        return unaccounted
    column = form.order.measure.column or ""
    names = [
        column,
        *(word for kind in kinds if column in kind.columns for word in kind.columns[column].words),
    ]
    if {stem(word) for name in names for word in fold_text(phrase_of(name)).split()} & set(
        map(stem, words)
    ):
        return unaccounted
    if not unaccounted:
        raise CatalogError(f"order: {column!r} is not in the question")
    return unaccounted[1:]


def _compared_values(form: QuestionForm) -> Iterator[tuple[str, str]]:
    """Yield each value that a form compares with, and its column."""
    for condition in walk(form.conditions):
        if isinstance(condition, ValueCondition):
            for value in condition.values:
                yield condition.column, str(value)


def _negates(form: QuestionForm) -> bool:
    """Return True where any condition excludes something."""
    return any(
        condition.negated or getattr(condition, "operator", "") == "missing"
        for condition in walk(form.conditions)
        if isinstance(condition, ValueCondition | LinkCondition)
    )


def _is_category(column: str, text: str, kinds: Iterable[CatalogKind]) -> bool:
    """Return True for a value of a column that holds few of them."""
    for kind in kinds:
        facts = kind.visible.get(column)
        if kind.where or facts is None or facts.distinct is None or facts.distinct > CATEGORIES_MAX:
            continue
        if fold_text(text) in map(fold_text, facts.samples):
            return True
    return False


def _kinds(form: QuestionForm, catalog: Catalog) -> Iterator[CatalogKind]:
    """Return the kinds that a form speaks of."""
    yield catalog.kinds[form.kind]
    for condition in walk(form.conditions):
        if isinstance(condition, LinkCondition):
            link = catalog.visible_links[condition.step.link]
            yield catalog.kinds[link.start if condition.step.reverse else link.end]


def _form_words(form: QuestionForm, kinds: Iterable[CatalogKind]) -> Iterator[str]:
    """Yield the folded words of a form's names and values."""
    kinds = list(kinds)
    columns = [column for column, _ in _compared_values(form)]
    if form.order is not None:
        columns.append(form.order.measure.column or "")
    if form.aggregate is not None:
        columns += [form.aggregate.column or "", *form.aggregate.group_by]
    names = [form.kind, *columns, *(word for kind in kinds for word in kind.words)]
    for kind in kinds:
        names += [w for c in columns if c in kind.columns for w in kind.columns[c].words]
    values = [text for _, text in _compared_values(form)]
    for name in [*map(phrase_of, names), *values, str(form.limit or "")]:
        yield from fold_text(name).split()


def _is_empty(word: str) -> bool:
    return word in FUNCTION_WORDS or word in LIGHT_WORDS


def describe_catalog(catalog: Catalog, kinds: Mapping[str, CatalogKind]) -> str:
    """Return these kinds, their columns and their links for a model, a line each."""
    lines = []
    for name, kind in kinds.items():
        columns = (
            f"{column} ({facts.type}{'' if kind.where else _samples(facts.samples)})"
            for column, facts in kind.visible.items()
        )
        lines.append(f"kind {name}: {', '.join(columns)}")
    lines += [
        f"link {name}: from {link.start} to {link.end}"
        for name, link in catalog.visible_links.items()
        if link.start in kinds and link.end in kinds
    ]
    return "\n".join(lines)


def _samples(samples: Iterable[str]) -> str:
    sample_text = ", ".join(list(samples)[:5])
    return f": {sample_text}" if sample_text else ""
