"""Any form compiles to one statement that only reads, names only the catalogue, binds every value."""

import re

import pytest
import sqlglot
from hypothesis import given
from sqlglot import exp

from router.catalog.errors import CatalogError, HiddenError
from router.catalog.model import Catalog
from router.question.cypher import compile_cypher
from router.question.form import (
    Aggregate,
    LinkCondition,
    LinkStep,
    Measure,
    QuestionForm,
    SortKey,
    ValueCondition,
)
from router.question.sql import compile_sql
from router.question.validation import validate_form
from tests.clinic import SCHEMA, TABLES, clinic_catalog
from tests.unit.router.question.forms import TEXTS, forms

CATALOG = clinic_catalog("postgres")
GRAPH = clinic_catalog("graph")
HARMFUL = [text for text in TEXTS if len(text) > 3]
WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop, exp.Alter, exp.Command)
CYPHER_WRITES = re.compile(r"\b(CREATE|MERGE|SET|DELETE|REMOVE|DROP|CALL|LOAD)\b")


@given(forms())
def test_sql_is_one_select_over_the_catalogue_s_tables(form: QuestionForm) -> None:
    statement = compile_sql(validate_form(form, CATALOG), CATALOG, 10, {})
    parsed = sqlglot.parse(statement.text, dialect="postgres")
    assert len(parsed) == 1
    assert isinstance(parsed[0], exp.Select)
    assert not list(parsed[0].find_all(*WRITES))
    tables = {(table.db, table.name) for table in parsed[0].find_all(exp.Table)}
    assert tables <= {(SCHEMA, name) for name in TABLES}
    numbers = {int(number) for number in re.findall(r"\$(\d+)", statement.text)}
    assert numbers == set(range(1, len(statement.values) + 1)), "every value is bound, once"


@given(forms())
def test_no_value_reaches_the_text_of_a_statement(form: QuestionForm) -> None:
    sql = compile_sql(validate_form(form, CATALOG), CATALOG, 10, {})
    cypher = compile_cypher(validate_form(form, GRAPH), GRAPH, 10, {})
    for text in HARMFUL:
        assert text not in sql.text
        assert text not in cypher.text
    assert not CYPHER_WRITES.search(re.sub(r"`[^`]*`", "", cypher.text))


@given(forms())
def test_a_form_survives_json_and_keeps_its_key(form: QuestionForm) -> None:
    """The key decides what the cache shares, so the order of conditions must not matter."""
    again = QuestionForm.model_validate_json(form.model_dump_json())
    turned = form.model_copy(update={"conditions": tuple(reversed(form.conditions))})
    assert validate_form(again, CATALOG).key == validate_form(form, CATALOG).key
    assert turned.key == form.key


HIDDEN_FORMS = {
    "condition": QuestionForm(
        kind="patient", conditions=(ValueCondition(column="city", values=("Oslo",)),)
    ),
    "select": QuestionForm(kind="patient", select=("city",)),
    "order": QuestionForm(kind="patient", order=SortKey(measure=Measure(column="city"))),
    "group": QuestionForm(
        kind="visit",
        aggregate=Aggregate(
            function="count", group_by=("city",), path=(LinkStep(link="visit.patient.patient"),)
        ),
    ),
    "link": QuestionForm(
        kind="visit",
        conditions=(
            LinkCondition(
                step=LinkStep(link="visit.patient.patient"),
                conditions=(ValueCondition(column="city", values=("Oslo",)),),
            ),
        ),
    ),
    "aggregate": QuestionForm(kind="visit", aggregate=Aggregate(function="maximum", column="cost")),
}


@pytest.mark.parametrize("form", HIDDEN_FORMS.values(), ids=HIDDEN_FORMS)
def test_what_is_hidden_cannot_be_reached(form: QuestionForm) -> None:
    """By no condition, selection, order, group, link or aggregate; the message names no value."""
    columns = {"patient": "city", "visit": "cost"}
    kinds = {
        name: kind.model_copy(
            update={
                "columns": {
                    column: facts.model_copy(update={"hide": columns.get(name) == column})
                    for column, facts in kind.columns.items()
                }
            }
        )
        for name, kind in CATALOG.kinds.items()
    }
    hidden = Catalog(kinds=kinds, links=CATALOG.links)
    with pytest.raises(HiddenError, match="the catalogue has no such column"):
        validate_form(form, hidden)
    rows = compile_sql(validate_form(QuestionForm(kind="patient"), hidden), hidden, 10, {})
    assert '"city"' not in rows.text


def test_a_kind_left_out_takes_its_links_with_it() -> None:
    kinds = {**CATALOG.kinds, "patient": CATALOG.kinds["patient"].model_copy(update={"hide": True})}
    hidden = Catalog(kinds=kinds, links=CATALOG.links)
    step = LinkStep(link="visit.patient.patient")
    with pytest.raises(HiddenError, match="no such link"):
        validate_form(QuestionForm(kind="visit", conditions=(LinkCondition(step=step),)), hidden)


def test_row_conditions_hold_wherever_a_kind_is_reached() -> None:
    """As the asked kind, at the end of a link, in a measure, and in a group."""
    limited = clinic_catalog("postgres", where=("id >= 0",))
    step = LinkStep(link="visit.patient.patient")
    measured = QuestionForm(
        kind="patient",
        order=SortKey(
            measure=Measure(
                function="count", path=(LinkStep(link="visit.patient.patient", reverse=True),)
            )
        ),
    )
    grouped = QuestionForm(
        kind="visit", aggregate=Aggregate(function="count", group_by=("city",), path=(step,))
    )
    linked = QuestionForm(kind="visit", conditions=(LinkCondition(step=step, negated=True),))
    for form in (measured, grouped, linked):
        for text in (
            compile_sql(validate_form(form, limited), limited, 10, {}).text,
            compile_cypher(
                validate_form(form, GRAPH), clinic_catalog("graph", where=("id >= 0",)), 10, {}
            ).text,
        ):
            assert len(re.findall(r"id[\"`] >= \$", text)) == 2, text


@pytest.mark.parametrize(
    ("where", "caller", "message"),
    [
        ("city = $tenant", {"tenant": None}, "need a tenant"),
        ("town = $tenant", {"tenant": "a"}, "expected a column"),
        ("city = $password", {"tenant": "a"}, r"expected \$tenant or \$user"),
        ("fee = $tenant", {"tenant": "a"}, "expected a column|is not of type"),
    ],
)
def test_a_row_condition_that_cannot_be_decided_refuses(
    where: str, caller: dict[str, str | None], message: str
) -> None:
    kinds = {
        **CATALOG.kinds,
        "doctor": CATALOG.kinds["doctor"].model_copy(update={"where": (where,)}),
    }
    limited = Catalog(kinds=kinds, links=CATALOG.links)
    with pytest.raises(CatalogError, match=message):
        compile_sql(validate_form(QuestionForm(kind="doctor"), limited), limited, 10, caller)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (QuestionForm(kind="nurse"), "no such kind"),
        (
            QuestionForm(kind="doctor", conditions=(ValueCondition(column="fee", values=("x",)),)),
            "'x'",
        ),
        (
            QuestionForm(
                kind="doctor",
                conditions=(ValueCondition(column="name", operator=">", values=("a", "b")),),
            ),
            "does not fit",
        ),
        (
            QuestionForm(kind="doctor", aggregate=Aggregate(function="sum", column="name")),
            "not a number",
        ),
    ],
)
def test_a_form_that_does_not_fit_is_refused_with_its_field(
    form: QuestionForm, message: str
) -> None:
    """Such forms come from a language model; none of them is run."""
    with pytest.raises(CatalogError, match=message):
        validate_form(form, CATALOG)
