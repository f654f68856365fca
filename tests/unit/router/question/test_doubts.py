"""Answers name each guess that they rest on, and apply what English settles.

The shop has the awkward parts of real schemas: a lookup table, a table of quantities, a
weight in an abbreviated column, times that are null, a date that only the parent has.
"""

import pytest

from router.catalog.model import Catalog, CatalogColumn, CatalogKind, CatalogLink
from router.catalog.values import ColumnValues
from router.question.form import LinkCondition
from router.question.reading import QuestionReader
from tests.unit.router.question.readings import TODAY, make_reader, read


def table(title: str | None, *, day: str | None = None, **columns: str) -> CatalogKind:
    """Return a table with an integer key; ``columns`` have their types, ``?`` for nulls."""
    facts = {
        name: CatalogColumn.model_validate(
            {"type": text.rstrip("?"), "nulls": 0.3 if text.endswith("?") else 0.0}
        )
        for name, text in {"id": "integer", **columns}.items()
    }
    names = (title,) if title else ()
    return CatalogKind(
        store="postgres", source="x", key=("id",), title=names, date=day, columns=facts
    )


def label(name: str, **columns: CatalogColumn) -> CatalogKind:
    """Return a label whose nodes have names."""
    facts = {"name": CatalogColumn(type="text"), **columns}
    return CatalogKind(store="graph", source=name, key=("name",), title=("name",), columns=facts)


def foreign_key(start: str, end: str) -> CatalogLink:
    """Return a foreign key that is called as the kind it leads to."""
    return CatalogLink(name=end, start=start, end=end, columns=((f"{end}_id", "id"),))


YEAR = CatalogColumn(type="integer", unit="year")
SIZE = CatalogColumn(type="integer", samples=("400", "9000"))
KINDS = {
    "category": table("label", label="text"),
    "product": table("name", name="text", wgt_kg="number", list_price="number", category_id="integer"),
    "shop": table("name", name="text", town="text"),
    "stock": table(None, shop_id="integer", product_id="integer", quantity="integer"),
    "clerk": table("surname", day="birth_date", surname="text", birth_date="date", shop_id="integer", number="integer", mentor_id="integer"),
    "fault": table(None, day="seen", seen="date", resolved_at="date?", repair_min="integer"),
    "ticket": table(None, day="opened_at", clerk_id="integer", opened_at="date", closed_at="date?", wait="integer"),
    "meeting": table("name", day="held", name="text", held="date", year="integer"),
    "vote": table(None, meeting_id="integer", points="integer"),
    "Player": label("Player", born=YEAR, attacks=SIZE),
}  # fmt: skip
LINKS = (
    foreign_key("product", "category"),
    foreign_key("stock", "shop"),
    foreign_key("stock", "product"),
    foreign_key("clerk", "shop"),
    foreign_key("ticket", "clerk"),
    CatalogLink(name="mentor", start="clerk", end="clerk", columns=(("mentor_id", "id"),)),
    foreign_key("vote", "meeting"),
    CatalogLink(
        name="KNOWS", start="Player", end="Player", relationship="KNOWS",
        properties={"context": CatalogColumn(type="text")},
    ),
    CatalogLink(name="PARENT_OF", start="Player", end="Player", relationship="PARENT_OF"),
)  # fmt: skip
VALUES = {
    "category": [ColumnValues(("label",), [("Road Bikes",), ("Kids Bikes",), ("Bells",)])],
    "product": [ColumnValues(("name",), [("Tor 1",), ("Tor 2",), ("Rex Oslo",)])],
    "shop": [
        ColumnValues(("name",), [("Tor",), ("Main Hall",)]),
        ColumnValues(("town",), [("Oslo",), ("Essen",)]),
    ],
    "clerk": [ColumnValues(("surname",), [("Essen",), ("Lind",)])],
    "meeting": [ColumnValues(("name",), [("Spring Assembly",)])],
    "Player": [ColumnValues(("name",), [("Ann Fox",), ("Bo Li",)])],
    "Player.KNOWS.Player": [ColumnValues(("context",), [("friend",), ("rival",)])],
}


@pytest.fixture(scope="module")
def reader() -> QuestionReader:
    """Return a reader of the shop, without embeddings."""
    kinds = dict(KINDS)
    columns = dict(kinds["meeting"].columns) | {"year": YEAR}
    kinds["meeting"] = kinds["meeting"].model_copy(update={"columns": columns})
    waits = dict(kinds["ticket"].columns) | {
        "wait": CatalogColumn(type="integer", samples=("0", "88", "1200"), words=("waiting time",))
    }
    kinds["ticket"] = kinds["ticket"].model_copy(update={"columns": waits})
    return make_reader(kinds, LINKS, VALUES)


OF_FRIEND = "with a player (knows) whose context is “friend” and whose name is “Ann Fox”"
EMPTY_IN_OSLO = "products with a stock whose quantity is 0 and with a shop whose town is “Oslo”"
TO_FRIEND = OF_FRIEND.replace("(knows)", "(knows, the other way round)")
UNDERSTOOD = {
    # a noun that the values of a lookup table end in means the rows that refer to it
    "the cheapest road bike": "products with a category whose label is “Road Bikes”, "
    "by list price ascending, the first",
    # a name less its unit, abbreviated; "top" leaves the superlative behind it alone
    "top 3 lightest products": "products, by wgt kg ascending, first 3",
    # quantities in a table of their own
    "which products are sold out in Oslo?": EMPTY_IN_OSLO,
    "products not in stock in Oslo": EMPTY_IN_OSLO,
    # half of a unit of time is a number
    "faults with a repair over half an hour": "faults whose repair min is more than 30",
    # what is open has not been closed, or resolved
    "open faults": "faults without resolved at",
    "How many tickets are still open?": "number of tickets without closed at",
    "tickets that are not open": "tickets with closed at",
    # a property qualifies the relationship, and not the row of that name
    "friends of Ann Fox": f"players ({OF_FRIEND} or {TO_FRIEND})",
    "Ann Fox's friends": f"players ({OF_FRIEND} or {TO_FRIEND})",
    # a column of years cannot hold a month, and a row without a date has that of what it belongs to
    "meetings in May 2025": "meetings whose held is at least 2025-05-01 "
    "and whose held is less than 2025-06-01",
    "votes in 2025": "votes with a meeting whose held is at least 2025-01-01 "
    "and whose held is less than 2026-01-01",
    # what is asked for is a column of other rows
    "how many points did the Spring Assembly get": "sum of points of votes "
    "with a meeting whose name is “Spring Assembly”",
    # a kind's own name counts, however light its word is in English
    "people at the Main Hall shop": "clerks with a shop whose name is “Main Hall”",
}


@pytest.mark.parametrize("question", UNDERSTOOD)
def test_a_question_is_understood(reader: QuestionReader, question: str) -> None:
    assert read(reader, question) == (UNDERSTOOD[question], ())


GUESSES = {
    # two columns, or two kinds, hold the value
    "Essen": "Essen (taken for surname)",
    # the noun of some values only
    "bikes": "bikes (taken for product)",
    # milliseconds, seconds or minutes
    "tickets waiting longer than 10 minutes": "10 minutes (taken for 10 minutes)",
    # a person's only date is rarely meant
    "how many numbers does Lind have in 1990": "in 1990 (taken for birth date)",
    # the last month of that name, or the next one
    "votes in May": "in May (taken for from 2026-05-01 to 2026-05-31)",
    # the row of that name is shown where something else is asked for
    "what goes into Tor 1": "what",
    # one row is counted by its own name
    "how many people came to the Spring Assembly": "how many (taken for rows of meeting with one name)",
    # a number that no column is named for
    "meetings with over 500 m": "500 m",
}


@pytest.mark.parametrize("question", GUESSES)
def test_a_guess_is_named(reader: QuestionReader, question: str) -> None:
    assert GUESSES[question] in read(reader, question)[1]


@pytest.mark.parametrize(
    ("question", "reverse"), [("children of Bo Li", True), ("parents of Bo Li", False)]
)
def test_a_relationship_called_parent_of_points_to_the_child(
    reader: QuestionReader, question: str, *, reverse: bool
) -> None:
    condition = reader.read(question, TODAY)[0].form.conditions[0]
    assert isinstance(condition, LinkCondition)
    assert (condition.step.link, condition.step.reverse) == ("Player.PARENT_OF.Player", reverse)


def test_who_is_mentored_by_somebody_has_that_mentor(reader: QuestionReader) -> None:
    meaning, _ = read(reader, "clerks mentored by Lind")
    assert meaning == "clerks with a clerk (mentor) whose surname is “Lind”"
    condition = reader.read("clerks mentored by Lind", TODAY)[0].form.conditions[0]
    assert isinstance(condition, LinkCondition)
    assert not condition.step.reverse


def test_a_count_beyond_the_rows_of_a_link_is_a_size(reader: QuestionReader) -> None:
    catalog = reader.catalog
    few = [each.model_copy(update={"rows": 17}) for each in catalog.links]
    smaller = Catalog(kinds=catalog.kinds, links=tuple(few))
    again = QuestionReader(smaller, reader.vocabulary, reader.values)
    meaning, left_out = read(again, "players with over 5000 attacks")
    assert (meaning, left_out) == ("players whose attacks is more than 5000", ())
