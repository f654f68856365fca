"""Rows or texts: what a question's form and its first words say."""

import pytest

from router.catalog_search.evidence import choose_source
from router.intent import Intent
from router.question.form import QuestionForm, ValueCondition
from router.question.language.text_questions import asks_how_to
from router.question.reading import QuestionReading

IN_FRONT = 0.6
UNSURE = Intent("metadata", 0.0, "rules")
CHOSEN = (ValueCondition(column="town", values=("Oslo",)),)


def way(
    *, left_out: tuple[str, ...] = (), chosen: tuple[ValueCondition, ...] = (), how_to: bool = False
) -> str:
    form = QuestionForm(kind="shop", conditions=chosen)
    reading = QuestionReading(form, 1.0, IN_FRONT, left_out, (), 0)
    return choose_source(reading, UNSURE, has_texts=True, how_to=how_to).source


def test_all_rows_of_a_kind_are_no_answer_where_words_were_left_out() -> None:
    assert way() == "rows"
    assert way(left_out=("certain",)) == "text"
    assert way(left_out=("certain",), chosen=CHOSEN) == "rows"


@pytest.mark.parametrize(
    ("question", "how_to"),
    [
        ("how to give up after ten seconds", True),
        ("How do I turn on the logs?", True),
        ("how can we share a prefix", True),
        ("how many shops are there", False),
        ("how tall is Ann", False),
        ("how do prices compare", False),
    ],
)
def test_how_to_asks_for_a_text(question: str, *, how_to: bool) -> None:
    assert asks_how_to(question) == how_to
    assert way(chosen=CHOSEN, how_to=how_to) == ("text" if how_to else "rows")
