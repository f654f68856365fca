"""A language model's form is checked before anything runs, and an invented one is refused."""

import pytest

from router.catalog.model import Catalog, CatalogColumn, CatalogKind
from router.catalog_search.model_form import ModelForm
from router.catalog_search.model_reading import ModelReader
from router.llm import LanguageModelError
from router.llm.port import T
from router.question.form import QuestionForm, ValueCondition

CATALOG = Catalog(
    kinds={
        "invoice": CatalogKind(
            store="postgres",
            source="public.invoice",
            words=("bill",),
            columns={
                "number": CatalogColumn(type="integer"),
                "status": CatalogColumn(type="text", distinct=2, samples=("open", "paid")),
                "town": CatalogColumn(type="text", distinct=900, samples=("Oslo", "Turin")),
                "secret": CatalogColumn(type="text", hide=True),
            },
        )
    }
)
EMPTY = ModelForm(
    kind="invoice", conditions=[], order_by=None, descending=False, limit=None, aggregate=None,
    aggregate_column=None, group_by=[], not_expressed=[],
)  # fmt: skip


class FixedModel:
    """A model that answers with one form, or fails."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        self.systems: list[str] = []

    async def complete(self, *, system: str, prompt: str, schema: type[T]) -> T:
        self.systems.append(system)
        if not self.fields:
            raise LanguageModelError("timeout", "late")
        return schema.model_validate({**EMPTY.model_dump(), **self.fields})


def condition(column: str, *values: str) -> dict[str, object]:
    return {"path": [], "column": column, "operator": "=", "values": values, "negated": False}


async def test_a_form_that_accounts_for_the_question_is_used() -> None:
    model = FixedModel(conditions=[condition("status", "open"), condition("town", "Oslo")])
    reading = await ModelReader(model, CATALOG).read("Which bills from Oslo are unsettled?", ())
    assert reading is not None
    assert reading.form == QuestionForm(
        kind="invoice",
        conditions=(
            ValueCondition(column="status", values=("open",)),
            ValueCondition(column="town", values=("Oslo",)),
        ),
    )
    assert (reading.coverage, reading.left_out) == (1.0, ())


@pytest.mark.parametrize(
    "invented",
    [
        {"kind": "spaceship"},
        {"conditions": [condition("captain", "Oslo")]},
        {"conditions": [condition("secret", "Oslo")]},
        {"conditions": [condition("town", "Turin")]},
        {"conditions": [condition("status", "void")]},
        {"conditions": [condition("number", "Oslo")]},
        {"conditions": [{**condition("town", "Oslo"), "path": [{"link": "x", "reverse": False}]}]},
        {"order_by": "town", "conditions": [condition("status", "open")]},
        {"order_by": "profit"},
        {"limit": 7},
        {"aggregate": "sum", "aggregate_column": "town"},
        {"kind": ""},
    ],
)
async def test_what_nobody_asked_for_or_the_catalogue_lacks_is_refused(
    invented: dict[str, object],
) -> None:
    question = "Which bills from Oslo are late?" if "order_by" not in invented else "Which bills?"
    assert await ModelReader(FixedModel(**invented), CATALOG).read(question, ()) is None


async def test_words_that_the_form_does_not_express_are_named() -> None:
    model = FixedModel(conditions=[condition("town", "Oslo")])
    reading = await ModelReader(model, CATALOG).read(
        "Which bills are not from Oslo since 2024?", ()
    )
    assert reading is not None
    assert reading.left_out == ("since", "2024", "not")


async def test_a_model_that_fails_costs_the_improvement_only() -> None:
    assert await ModelReader(FixedModel(), CATALOG).read("Which bills are late?", ()) is None


async def test_the_model_is_shown_no_hidden_column() -> None:
    model = FixedModel(kind="")
    await ModelReader(model, CATALOG).read("Which bills are late?", ())
    assert "status (text: open, paid)" in model.systems[0]
    assert "secret" not in model.systems[0]
