"""Rows become hits, and a value only where every row agrees on it."""

from router.catalog_search.rows import form_result
from router.question.form import QuestionForm
from tests.clinic import clinic_catalog

VISIT = clinic_catalog("postgres").kinds["visit"]


def test_rows_beyond_the_limit_leave_no_value() -> None:
    """The ones shown may cost the same, and another one more."""
    form = QuestionForm(kind="visit", select=("cost",))
    rows = [{"id": number, "cost": 80} for number in range(3)]
    assert form_result(form, VISIT, rows, 3).value == 80
    cut = form_result(form, VISIT, rows, 2)
    assert (cut.value, len(cut.hits)) == (None, 2)
