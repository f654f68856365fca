"""Phrases of people without a name of the schema in them: verbs, categories, ordinals, coins, unknowns."""

from collections.abc import Mapping

import pytest

from router.catalog.model import CatalogColumn, CatalogKind, CatalogLink
from router.catalog.values import ColumnValues
from router.question.form import LinkCondition
from router.question.reading import QuestionReader
from tests.unit.router.question.readings import TODAY, make_reader, read


def table(title: str | None, day: str | None = None, /, **columns: str) -> CatalogKind:
    """Return a table with an integer key; a type that ends in "?" has nulls."""
    facts = {
        name: CatalogColumn.model_validate({"type": text.rstrip("?"), "nulls": 0.3 * ("?" in text)})
        for name, text in {"id": "integer", **columns}.items()
    }
    names = (title,) if title else ()
    return CatalogKind(
        store="postgres", source="x", key=("id",), title=names, date=day, columns=facts
    )


def key(start: str, end: str, name: str = "") -> CatalogLink:
    """Return a foreign key, called as the kind it leads to unless it has a name."""
    name = name or end
    return CatalogLink(name=name, start=start, end=end, columns=((f"{name}_id", "id"),))


def with_samples(kind: CatalogKind, column: str, *samples: str) -> CatalogKind:
    facts = kind.columns[column].model_copy(update={"samples": samples})
    return kind.model_copy(update={"columns": {**kind.columns, column: facts}})


KINDS = {
    "host": table("name", name="text", status="text", floor_no="integer", disk_gb="integer", bought="date"),
    "program": table("name", name="text", licence="text"),
    "job": table("title", title="text", max_salary="integer"),
    "employee": with_samples(
        table("name", "hired", name="text", salary="integer", commission_pct="number", dob="date?", hired="date", job_id="integer", supervisor_id="integer", height="number"),
        "commission_pct", "0.1", "0.35",
    ),
    "genus": table("name", name="text", average_height="number"),
    "beast": table("name", name="text", height="number", genus_id="integer"),
    "film": table("name", name="text", director="text", length="integer"),
    "appearance": table(None, film_id="integer", genus_id="integer").model_copy(update={"join_table": True}),
    "bill": table(None, "issued", issued="date", amount_cents="integer", paid="boolean"),
    "customer": table("name", name="text", state="text", continent="text"),
    "admission": table(None, "admitted", admitted="date", customer_id="integer"),
    "icd": table("descr", descr="text").model_copy(update={"words": ("diagnosis codes", "icd")}),
    "product": table("name", name="text", unit_price="number", units_in_stock="integer"),
    "poster": table("name", name="text", stock="integer"),
    "line": table(None, product_id="integer", quantity="integer"),
}  # fmt: skip
LINKS = (
    CatalogLink(name="RUNS", start="host", end="program", relationship="RUNS"),
    key("employee", "job"),
    key("employee", "employee", "supervisor"),
    key("beast", "genus"),
    key("appearance", "film"),
    key("appearance", "genus"),
    key("admission", "customer"),
    key("line", "product"),
)
VALUES = {
    "host": [ColumnValues(("status",), [("running",), ("stopped",)])],
    "program": [ColumnValues(("name",), [("postgres",), ("nginx",)])],
    "job": [ColumnValues(("title",), [("Cook",), ("Head Waiter",)])],
    "employee": [ColumnValues(("name",), [("Petr Novak",), ("Ida Holm",)])],
    "genus": [ColumnValues(("name",), [("Droid",), ("Hutt",)])],
    "film": [
        ColumnValues(("name",), [("Dusk",), ("Dawn",)]),
        ColumnValues(("director",), [("Ana Ruiz",), ("Bo Lund",)]),
    ],
    "customer": [
        ColumnValues(("name",), [("Acme",), ("Zenith",)]),
        ColumnValues(("state",), [("TX",), ("CA",)]),
        ColumnValues(("continent",), [("Europe",), ("Asia",)]),
    ],
    "poster": [ColumnValues(("name",), [("Red One",), ("Blue One",)])],
    "product": [ColumnValues(("name",), [("Tofu",), ("Chai",)])],
}


@pytest.fixture(scope="module")
def reader() -> QuestionReader:
    return make_reader(KINDS, LINKS, VALUES)


UNDERSTOOD: Mapping[str, str] = {
    # the verb of a link is not a value in another form: "running"
    "how many hosts run postgres": "number of hosts with a program (runs) whose name is “postgres”",
    # a column that is an extreme by its name is one of its row, not an extreme of other rows
    "What is the maximum salary of a Cook?": "jobs whose title is “Cook”: max salary",
    # of the kind that the question names, whatever another calls its columns
    "average height of the beasts": "average of height of beasts",
    # a share of one, and a percentage that "or more" follows
    "employees with a commission of 20% or more": "employees whose commission percent is at least 0.2",
    # coins
    "bills above 90 euros": "bills whose amount cents is more than 9000",
    "bills between 50 and 60 €": "bills whose amount cents is at least 5000 and whose amount cents is at most 6000",
    # a verb that denies the column of a value that was read
    "films that Ana Ruiz didn't direct": "films whose director is not “Ana Ruiz”",
    # a category means what refers to it, not all that it is linked to
    "how many droids are there?": "number of beasts with a genus whose name is “Droid”",
    "employees whose birthday we don't know": "employees without date of birth",
    "hosts on the third floor": "hosts whose floor no is 3",
    "how many customers are in Texas": "number of customers whose state is “TX”",
    "European customers": "customers whose continent is “Europe”",
    # what was done names the rows whose date is meant
    "customers admitted last month": "customers with a admission whose admitted is at least 2026-10-01 "
    "and whose admitted is less than 2026-11-01",
    # pieces are of lines; a price or a stock is neither sold nor counted
    "how many units of Tofu were sold": "sum of quantity of lines with a product whose name is “Tofu”",
    # a comment that names the rows by their codes, and a Greek plural
    "how many diagnoses are there": "number of icds",
    "how many different jobs are there": "number of jobs",
}  # fmt: skip


@pytest.mark.parametrize("question", UNDERSTOOD)
def test_a_question_is_understood(reader: QuestionReader, question: str) -> None:
    assert read(reader, question) == (UNDERSTOOD[question], ())


NAMED: Mapping[str, str] = {
    "bills above 90": "90 (taken for amount cents)",
    # money against a column of pieces
    "posters over 80 dollars": "over 80 (taken for stock)",
    "how much does the Red One cost": "how much (taken for stock)",
    # a light verb that ends a clause, and one behind "who" that names no link
    "hosts that were still used": "used",
    "whose bill is 12": "whose",
}


@pytest.mark.parametrize("question", NAMED)
def test_what_had_no_effect_is_named(reader: QuestionReader, question: str) -> None:
    assert NAMED[question] in read(reader, question)[1]


@pytest.mark.parametrize(
    ("question", "reverse"),
    [
        ("who supervises Petr Novak?", True),
        ("supervisor of Petr Novak", True),
        ("who works under Petr Novak", False),
        ("who works for Petr Novak", False),
    ],
)
def test_a_hierarchy_is_followed_as_its_words_say(
    reader: QuestionReader, question: str, *, reverse: bool
) -> None:
    meaning, left_out = read(reader, question)
    condition = reader.read(question, TODAY)[0].form.conditions[0]
    assert isinstance(condition, LinkCondition)
    assert (condition.step.reverse, left_out) == (reverse, ())
    assert ("the other way round" in meaning) == reverse


def test_people_of_equal_claim_are_in_one_order(reader: QuestionReader) -> None:
    kinds = [each.form.kind for each in reader.read("who is there", TODAY)]
    assert kinds == sorted(kinds)
