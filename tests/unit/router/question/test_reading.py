"""Questions over the clinic become the form that they mean; what is not understood is named."""

from datetime import date
from typing import Any

import pytest

from router.catalog.english import load_english
from router.catalog.model import Catalog
from router.catalog.values import ColumnValues, ValueIndex
from router.catalog.vocabulary import Vocabulary
from router.question.reading import QuestionReader, QuestionReading
from router.question.validation import validate_form
from router.question.wording import interpretation
from tests.clinic import TABLES, clinic_catalog

TODAY = date(2025, 6, 16)


def read_values(catalog: Catalog) -> dict[str, list[ColumnValues]]:
    """Return the clinic's text values as the index reads them."""
    return {
        name: [
            ColumnValues(
                (column,), [(str(v),) for v in dict.fromkeys(r[column] for r in rows) if v]
            )
            for column, facts in catalog.kinds[name].columns.items()
            if facts.type == "text"
        ]
        for name, rows in TABLES.items()
    }


@pytest.fixture(scope="module")
def reader() -> QuestionReader:
    """Return a reader without embeddings: names, values and grammar decide."""
    catalog, english = clinic_catalog("postgres"), load_english()
    values = ValueIndex(catalog, read_values(catalog), english.places)
    return QuestionReader(catalog, Vocabulary(catalog, english), values)


def words(reader: QuestionReader, question: str) -> str:
    """Return the interpretation, and in brackets what was left out."""
    reading = best(reader, question)
    text = interpretation(validate_form(reading.form, reader.catalog), reader.catalog)
    return text + (f" [{', '.join(reading.left_out)}]" if reading.left_out else "")


def best(reader: QuestionReader, question: str) -> QuestionReading:
    """Return the surest reading."""
    return reader.read(question, TODAY)[0]


QUESTIONS = {
    # values, with accents, typos, and by the column or the kind beside them
    "doctors in Oslo": "doctors whose city is “Oslo”",
    "emile roux": "doctors whose name is “Émile Roux”",
    "patients from Pariss": "patients whose city is “Paris”",
    "doctors in Oslo or Paris": "doctors whose city is “Oslo” or “Paris”",
    # short values, and values that are words of the language
    "visits that are new": "visits whose status is “new”",
    # negation, near and away from its word
    "visits that have not been paid": "visits whose status is not “paid”",
    "which visits haven't been paid yet?": "visits whose status is not “paid”",
    "doctors other than Ada Brandt": "doctors whose name is not “Ada Brandt”",
    "doctors except those in Oslo": "doctors whose city is not “Oslo”",
    "patients neither in Oslo nor Lyon": (
        "patients whose city is not “Oslo” and whose city is not “Lyon”"
    ),
    "doctors without visits": "doctors without a visit",
    "doctors without a city": "doctors without city",
    # numbers
    "visits over 1 thousand": "visits whose cost is more than 1000",
    "visits costing at least 1.200": "visits whose cost is at least 1200",
    "visits of no more than 80": "visits whose cost is at most 80",
    "visits with a cost between 80 and 300": (
        "visits whose cost is at least 80 and whose cost is at most 300"
    ),
    "visits costing 250 or more": "visits whose cost is at least 250",
    "visits under 2000": "visits whose cost is less than 2000",
    "visit 102": "visits whose id is 102",
    "doctors with more than one visit": "doctors whose number of visits is more than 1",
    # times
    "visits from March 2024": (
        "visits whose day is at least 2024-03-01 and whose day is less than 2024-04-01"
    ),
    "visits before May 2024": "visits whose day is less than 2024-05-01",
    "visits since 2025": "visits whose day is at least 2025-01-01",
    "visits last quarter": (
        "visits whose day is at least 2025-01-01 and whose day is less than 2025-04-01"
    ),
    "doctors hired in the 2010s": (
        "doctors whose hired is at least 2010-01-01 and whose hired is less than 2020-01-01"
    ),
    # superlatives and limits
    "top 3 visits by cost": "visits, by cost descending, first 3",
    "the 2 most expensive visits": "visits, by cost descending, first 2",
    "the latest visit": "visits, by day descending, the first",
    "doctor with the most visits": "doctors, by number of visits descending, the first",
    # aggregates
    "how many patients are there in Lyon?": "number of patients whose city is “Lyon”",
    "number of visits": "number of visits",
    # what is measured is what the question restricts
    "doctor with the most visits in 2024": (
        "doctors with a visit whose day is at least 2024-01-01 and whose day is less than 2025-01-01, "
        "by number of visits whose day is at least 2024-01-01 and whose day is less than 2025-01-01 "
        "descending, the first"
    ),
    "patients with more than 1 visit in 2024": (
        "patients whose number of visits whose day is at least 2024-01-01 and whose day is less than "
        "2025-01-01 is more than 1"
    ),
    "doctor with the fewest new visits": (
        "doctors, by number of visits whose status is “new” ascending, the first"
    ),
    "doctors who treated Ola Nordmann with the most patients": (
        "doctors with a visit with a patient whose name is “Ola Nordmann”, by number of patients "
        "descending, the first"
    ),
    "doctors from 2012 with the most visits": (
        "doctors whose hired is at least 2012-01-01 and whose hired is less than 2013-01-01, by number "
        "of visits descending, the first"
    ),
    "which doctor spent the most since 2024": (
        "doctors with a visit whose day is at least 2024-01-01, by sum of visit cost whose day is at "
        "least 2024-01-01 descending, the first"
    ),
    "average cost of visits": "average of cost of visits",
    "total cost of visits in 2024": (
        "sum of cost of visits whose day is at least 2024-01-01 and whose day is less than 2025-01-01"
    ),
    "how many doctors per city": "number of doctors, for each city",
    # links, one and two, and both directions of one
    "visits of Ola Nordmann": "visits with a patient whose name is “Ola Nordmann”",
    "which doctors did Marie Curie visit": (
        "doctors with a visit with a patient whose name is “Marie Curie”"
    ),
    # a negation inside of a word, an exception, and a link that is denied
    "unpaid visits": "visits whose status is not “paid”",
    "uninsured patients": "patients whose insured is False",
    "all doctors but the ones in Oslo": "doctors whose city is not “Oslo”",
    "who has no chief": "doctors without chief id",
    "patients without visits in 2025": (
        "patients without a visit whose day is at least 2025-01-01"
        " and whose day is less than 2026-01-01"
    ),
    # columns that are counted, priced, grouped or graded
    "how many different cities do patients live in": (
        "number of different values of city of patients"
    ),
    "how much did visit 101 cost": "visits whose id is 101: cost",
    "visits per month": "number of visits, for each month of day",
    "how many visits per doctor": "number of visits, for each name",
    "average cost per visit": "average of cost of visits",
    "what is the highest fee": "doctors, by fee descending, the first: fee",
    "doctors by city": "doctors, by city ascending",
    "which doctor visits most often": "doctors, by number of visits descending, the first",
    "doctors with at least two reports": "doctors whose number of doctors is at least 2",
    # more numbers and times
    "visits over half a million": "visits whose cost is more than 500000",
    "visits with a cost above 500 or below 80": (
        "visits (whose cost is more than 500 or whose cost is less than 80)"
    ),
    "visits in the first half of 2024": (
        "visits whose day is at least 2024-01-01 and whose day is less than 2024-07-01"
    ),
    "doctors hired on or after 7 January 2019": "doctors whose hired is at least 2019-01-07",
    "visits on or before 2 May 2024": "visits whose day is less than 2024-05-03",
    # a negation governs the column or the kind behind it, and nothing beyond a preposition
    "doctors without a fee in Oslo": "doctors whose city is “Oslo” and without fee",
    "doctors without visits in Paris": "doctors whose city is “Paris” and without a visit",
    "doctors that are outside Oslo": "doctors whose city is not “Oslo”",
    # numbers by their words: a sign, how often, a unit that no column measures
    "visits with a negative cost": "visits whose cost is less than 0",
    "doctors who visited more than 3 times": "doctors whose number of visits is more than 3",
    "visits costing 5 hours": "visits whose cost is 5 [hours, 5 hours]",
    "doctors older than 50": "doctors [older, 50]",
    "oldest doctor": "doctors [oldest]",
    # "first" orders nothing behind "that"
    "visits that first happened before May 2024": "visits whose day is less than 2024-05-01 [first]",
    # the row that a question names is not what it asks for
    "what did Marie Curie do": "patients whose name is “Marie Curie” [what]",
    "what did Marie Curie cost": "visits with a patient whose name is “Marie Curie”: cost",
    # a question about people that rows of another kind answer says so
    "who has the most expensive visit": "visits, by cost descending, the first [who]",
    # what nobody understands is named
    "visits on weekends": "visits [weekends]",
    "doctors who are vegetarians": "doctors [vegetarians]",
}


@pytest.mark.parametrize(("question", "meaning"), QUESTIONS.items(), ids=QUESTIONS)
def test_a_question_means(reader: QuestionReader, question: str, meaning: str) -> None:
    assert words(reader, question) == meaning


@pytest.mark.parametrize(
    "question",
    ["doctors who are not vegetarians", "visits that nobody never forgot", "no doctors at all"],
)
def test_a_negation_is_applied_or_named(reader: QuestionReader, question: str) -> None:
    """A dropped "not" turns an answer round; that is the worst that a reading can do."""
    reading = best(reader, question)
    applied = any(getattr(each, "negated", False) for each in reading.form.conditions)
    assert applied or set(reading.left_out) & {"not", "never", "no"}


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("doctors in Oslo or with visits over 200", "or"),
        ("doctors with more visits than Ada Brandt", "than"),
        ("average name of doctors", "average"),
        ("doctors with the same city as Ada Brandt", "same"),
        ("patients who only visited Ada Brandt", "only"),
    ],
)
def test_a_modifier_without_effect_is_named(
    reader: QuestionReader, question: str, named: str
) -> None:
    assert named in best(reader, question).left_out


@pytest.mark.parametrize(
    ("question", "doubtful"),
    [
        ("how many visits over 200", False),
        ("how many wards do doctors have", True),
        ("how many doctors are older than 50", True),
        ("average cost of visits only", True),
    ],
)
def test_a_value_that_rests_on_a_dropped_word_is_doubtful(
    reader: QuestionReader, question: str, doubtful: bool
) -> None:
    assert best(reader, question).doubtful is doubtful


def test_a_caller_s_values_are_unknown_to_others(reader: QuestionReader) -> None:
    """Neither a whole name, nor a part, nor a typo leads to a value of another tenant's rows."""
    scoped = [ColumnValues(("name",), [("Ada Brandt",)], scope=(("tenant", "oslo"),))]
    index = ValueIndex(reader.catalog, {"doctor": scoped})
    limited = QuestionReader(reader.catalog, reader.vocabulary, index)
    for question in ("doctor Ada Brandt", "doctor Brandt", "doctor Ada Brant"):
        own = limited.read(question, TODAY, {"tenant": "oslo"})[0]
        other = limited.read(question, TODAY, {"tenant": "paris"})[0]
        assert own.form.conditions, question
        assert (other.form.conditions, bool(other.left_out)) == ((), True), question


def test_equal_questions_have_one_form(reader: QuestionReader) -> None:
    """The form is a key of the cache: wording must not matter, meaning must."""
    same = ["patients in Oslo", "which patients live in Oslo?", "show me all patients from Oslo"]
    other = [
        "patients in Paris",
        "doctors in Oslo",
        "patients not in Oslo",
        "number of patients in Oslo",
    ]
    keys = [best(reader, question).form.key for question in (*same, *other)]
    assert len(set(keys[: len(same)])) == 1
    assert len(set(keys)) == 1 + len(other)


def test_the_hierarchy_is_read_in_both_directions(reader: QuestionReader) -> None:
    upward: Any = best(reader, "who is the chief of Noor Haddad").form.conditions[0]
    downward: Any = best(reader, "doctors whose chief is Ada Brandt").form.conditions[0]
    assert upward.step.reverse
    assert not downward.step.reverse


def test_a_hidden_name_is_left_out_and_not_replaced(reader: QuestionReader) -> None:
    """A near column would answer another question; a number beside such a word is doubtful."""
    catalog = reader.catalog
    columns = dict(catalog.kinds["visit"].columns)
    hidden = columns["cost"].model_copy(update={"hide": True})
    visit = catalog.kinds["visit"].model_copy(update={"columns": columns | {"cost": hidden}})
    doctor = catalog.kinds["doctor"].model_copy(update={"hide": True})
    limited = Catalog(
        kinds={**catalog.kinds, "visit": visit, "doctor": doctor}, links=catalog.links
    )
    english = load_english()
    values = ValueIndex(limited, read_values(limited), english.places)
    over = QuestionReader(limited, Vocabulary(limited, english), values)
    for question, word in (("visits by cost", "cost"), ("number of patients by doctor", "doctor")):
        reading = best(over, question)
        assert word in reading.left_out, question
        assert reading.doubtful
