"""Names as schemas write them: abbreviations, derivations, comments, flags, keys."""

from datetime import date

import pytest

from router.catalog.folding import fold_text, fold_word
from router.catalog.guesses import ColumnFacts, described_words, is_flag, roles_of
from router.catalog.identifiers import kind_phrases, words_of
from router.catalog.model import CatalogColumn, CatalogKind, CatalogLink
from router.catalog.values import ColumnValues
from router.catalog.word_forms import abbreviates, shares_stem
from router.question.reading import QuestionReader
from router.question.validation import validate_form
from router.question.wording import interpretation
from tests.unit.router.question.readings import make_reader


@pytest.mark.parametrize("text", ["JOHN'S and Bob's cat", "O'Reilly's C++", "it's 5's x's", "C#'s"])
def test_plain_text_folds_like_text_with_accents(text: str) -> None:
    """Text of ASCII signs alone takes a faster way."""
    accented = fold_text(f"é {text}").split()[1:]
    assert fold_text(text).split() == accented == [fold_word(word) for word in accented]


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("cust_nm", "customer name"),
        ("OrdDt", "order date"),
        ("dob", "date of birth"),
        ("unitPrice", "unit price"),
    ],
)
def test_an_abbreviation_is_written_out(identifier: str, words: str) -> None:
    assert " ".join(words_of(identifier)) == words


def test_a_prefix_of_a_table_is_no_part_of_its_name() -> None:
    assert kind_phrases("dim_cust")[:2] == ("customer", "cust")


@pytest.mark.parametrize(
    ("part", "word", "expected"),
    [
        ("presc", "prescribed", True),
        ("dsch", "discharged", True),
        ("pat", "patients", True),
        ("name", "names", False),
        ("order", "border", False),
        ("it", "item", False),
    ],
)
def test_a_part_abbreviates_a_word(part: str, word: str, *, expected: bool) -> None:
    assert abbreviates(part, word) is expected


def test_derivations_share_a_stem_and_other_words_do_not() -> None:
    assert shares_stem("insurance", "insurer")
    assert not shares_stem("department", "departure")
    assert not shares_stem("country", "county")


def test_a_short_comment_is_a_name_and_a_sentence_is_none() -> None:
    assert described_words("Yearly salary") == ("yearly salary",)
    assert described_words("The salary that is paid out once a year.") == ()


@pytest.mark.parametrize(
    ("values", "expected"), [("01", True), ("NY", True), ("12", False), ("0", False)]
)
def test_a_flag_has_a_yes_and_a_no(values: str, *, expected: bool) -> None:
    assert is_flag(values) is expected


def test_the_key_is_a_name_rather_than_any_unique_number() -> None:
    facts = {
        "linesOfCode": ColumnFacts(CatalogColumn(type="integer"), 4, unique=True),
        "name": ColumnFacts(CatalogColumn(type="text"), 9, unique=True),
    }
    assert roles_of("Service", (), facts).key == ("name",)


@pytest.fixture(scope="module")
def reader() -> QuestionReader:
    """Return a reader over an abbreviated table and a graph whose relationships have properties."""
    columns = {"id": "integer", "emp_nm": "text", "ctry_cd": "text", "sal_amt": "number"}
    employees = CatalogKind(
        store="postgres",
        source="public.emp",
        key=("id",),
        title=("emp_nm",),
        columns={n: CatalogColumn.model_validate({"type": t}) for n, t in columns.items()},
    )
    labels = {
        name: CatalogKind(
            store="graph",
            source=name,
            key=("name",),
            title=("name",),
            columns={"name": CatalogColumn(type="text")},
        )
        for name in ("Actor", "Play")
    }
    roles = {
        "roles": CatalogColumn(type="list"),
        "since": CatalogColumn(type="integer", unit="year"),
    }
    link = CatalogLink(
        name="ACTS_IN", start="Actor", end="Play", relationship="ACTS_IN", properties=roles
    )
    values = {
        "emp": [
            ColumnValues(("emp_nm",), [("Ada Nurse",)]),
            ColumnValues(("ctry_cd",), [("IT",), ("US",)]),
        ],
        "Play": [ColumnValues(("name",), [("Hamlet",), ("Macbeth",)])],
        link.id: [ColumnValues(("roles",), [("Ophelia",)])],
    }
    return make_reader({"emp": employees, **labels}, (link,), values)


@pytest.mark.parametrize(
    ("question", "meaning"),
    [
        ("employees from Italy", "employees whose country code is “IT”"),
        ("employees earning over 50 thousand", "employees whose salary amount is more than 50000"),
        ("who earns the most", "employees, by salary amount descending, the first"),
        ("who acts as Ophelia", "actors with a play (acts in) whose roles is “Ophelia”"),
        (
            "actors in Hamlet since 2020",
            "actors with a play (acts in) whose since is at least 2020 and whose name is “Hamlet”",
        ),
    ],
)
def test_a_question_finds_its_column(reader: QuestionReader, question: str, meaning: str) -> None:
    reading = reader.read(question, date(2025, 6, 16))[0]
    assert interpretation(validate_form(reading.form, reader.catalog), reader.catalog) == meaning
    assert reading.left_out == ()
