"""Modifiers that a harbour's questions once lost, or turned round, without a word.

Each is applied, or named where the catalogue does not decide it.
"""

from collections.abc import Mapping

import pytest

from router.catalog.english import load_english
from router.catalog.model import CatalogColumn, CatalogKind, CatalogLink
from router.catalog.values import ColumnValues
from router.question.language.text_questions import unapplied_words
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


def label(**columns: str) -> CatalogKind:
    """Return a label whose nodes have names."""
    facts = {
        name: CatalogColumn.model_validate({"type": text})
        for name, text in {"name": "text", **columns}.items()
    }
    return CatalogKind(store="graph", source="x", key=("name",), title=("name",), columns=facts)


def key(start: str, end: str, name: str = "") -> CatalogLink:
    """Return a foreign key, called as the kind it leads to unless it has a name."""
    name = name or end
    return CatalogLink(name=name, start=start, end=end, columns=((f"{name}_id", "id"),))


def relationship(start: str, name: str, end: str) -> CatalogLink:
    return CatalogLink(name=name, start=start, end=end, relationship=name)


KINDS = {
    "ship": table("name", "launched", name="text", kind="text", state="text", cabins="integer", launched="date", hull_lang="text", insured="boolean"),
    "pilot": table("name", "hired", name="text", grade="text", hired="date", left_on="date?", pay="integer"),
    "agency": table("name", name="text"),
    "quay": table("name", name="text", agency_id="integer"),
    "crate": table("name", name="text", quay_id="integer", overseer_id="integer"),
    "warden": table("name", name="text", agency_id="integer"),
    "mooring": table(None, "begun", ship_id="integer", quay_id="integer", begun="date", back_dt="date?", checkpoint="integer"),
    "port_fee": table(None, ship_id="integer", amount="integer", is_waived="boolean"),
    "berth_case": table(None, "opened", opened="date", closed="date?"),
    "Company": label(listed="boolean"),
    "sailor": table("name", name="text", born="date", died="date?"),
    "Owner": label(),
    "Flag": label(),
}  # fmt: skip
LINKS = (
    key("quay", "agency"),
    key("crate", "quay"),
    key("crate", "warden", "overseer"),
    key("warden", "agency"),
    key("mooring", "ship"),
    key("mooring", "quay"),
    key("port_fee", "ship"),
    relationship("Owner", "PARTNER_OF", "Company"),
    relationship("Company", "SAILS_UNDER", "Flag"),
)
VALUES = {
    "ship": [
        ColumnValues(("name",), [("Aurora",), ("Tern",)]),
        ColumnValues(("kind",), [("ferry",), ("tug",)]),
        ColumnValues(("state",), [("moored",), ("sold",)]),
        ColumnValues(("hull_lang",), [("en",), ("da",)]),
    ],
    "pilot": [ColumnValues(("grade",), [("pilot",), ("master",)])],
    "agency": [ColumnValues(("name",), [("Ferries",), ("Bright",)])],
    "quay": [ColumnValues(("name",), [("North Pier",), ("Old Dock",)])],
    "Flag": [ColumnValues(("name",), [("Malta",), ("Panama",)])],
}


@pytest.fixture(scope="module")
def reader() -> QuestionReader:
    return make_reader(KINDS, LINKS, VALUES)


UNDERSTOOD: Mapping[str, str] = {
    # a flag restricts what is counted; its two values are not counted
    "how many ships are insured": "number of ships whose insured is True",
    "number of insured ships": "number of ships whose insured is True",
    "how many waived port fees": "number of port fees whose is waived is True",
    # without pieces: none, or an unknown number
    "ships with no cabins": "ships (whose cabins is 0 or without cabins)",
    # what ended has a time, what is current has none
    "how many pilots have left": "number of pilots with left on",
    "current pilots": "pilots without left on",
    "former pilots": "pilots with left on",
    "pilots who left before 2024": "pilots whose left on is less than 2024-01-01",
    "moorings not back yet": "moorings without back date",
    # "the longest" of a time is the earliest
    "longest serving pilot": "pilots, by hired ascending, the first",
    # a kind's own name is not a grade that some of its rows have
    "best paid pilot": "pilots, by pay descending, the first: pay",
    # a category of the asked kind wins over another kind's name in the plural
    "which ferries are insured": "ships whose kind is “ferry” and whose insured is True",
    # codes of languages, and "any but"
    "ships in any hull language but Danish": "ships whose hull language is not “da”: hull language",
    # numbers
    "port fees over 300 000": "port fees whose amount is more than 300000",
    "port fees of more then 500": "port fees whose amount is more than 500",
    "moorings after the 3rd checkpoint": "moorings whose checkpoint is more than 3",
    # a name but for one edit; English has no such word
    "pilost": "pilots",
    # a person's noun in a relationship asks for its start
    "partners of companies under Malta": "owners with a company (partner of) with a flag (sails under) whose name is “Malta”",
    # a negation ends with the flag that it denies
    "companies not listed sailing under Malta": "companies whose listed is False and with a flag (sails under) whose name is “Malta”",
    "non listed companies under Malta": "companies whose listed is False and with a flag (sails under) whose name is “Malta”",
    "oldest living sailor": "sailors without died, by born ascending, the first",
    # what is open has begun and has not ended
    "open berth cases": "berth cases without closed",
    # a time behind a value is of the rows that lead to it
    "ships at North Pier in 2023": "ships with a mooring whose begun is at least 2023-01-01 and whose begun is "
    "less than 2024-01-01 and with a quay whose name is “North Pier”",
    "companies that sail under nothing": "companies without a flag (sails under)",
    # the way whose keys are called as the kinds wins over a role that no word names
    "Bright crates": "crates with a quay with a agency whose name is “Bright”",
}  # fmt: skip


@pytest.mark.parametrize("question", UNDERSTOOD)
def test_a_question_is_understood(reader: QuestionReader, question: str) -> None:
    assert read(reader, question) == (UNDERSTOOD[question], ())


NAMED: Mapping[str, str] = {
    "companies that still sail under a flag": "still",
    "how much do the ferries lift": "how much (taken for cabins)",
    "port fees in the first 5 days": "5",
    "ships moored now": "now",
    "works by Aurora": "works (taken for mooring)",
}


@pytest.mark.parametrize("question", NAMED)
def test_what_is_not_decided_is_named(reader: QuestionReader, question: str) -> None:
    assert any(NAMED[question] in each for each in read(reader, question)[1])


@pytest.mark.parametrize(
    ("word", "adjective"), [("friendly", True), ("office", False), ("teaches", False)]
)
def test_an_adjective_is_known_from_nouns_and_verbs(word: str, *, adjective: bool) -> None:
    assert load_english().is_adjective(word) == adjective


def test_a_verb_is_not_a_state_of_the_past(reader: QuestionReader) -> None:
    meaning, _ = read(reader, "where does the Aurora moor")
    assert "moored" not in meaning


def test_a_search_by_meaning_names_the_number_it_cannot_apply() -> None:
    assert unapplied_words("fees of more than 500", TODAY) == ["more than 500"]
