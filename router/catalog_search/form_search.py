"""A search by form: the request and the result that the catalogue's stores exchange."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from router.backends.base import SearchRequest, SearchResult
from router.question.form import QuestionForm

AnswerValue = int | float | str


@dataclass(frozen=True, slots=True)
class FormSearch(SearchRequest):
    """A search for the rows of ``form``; ``caller`` has the tenant and the user."""

    form: QuestionForm | None = None
    caller: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FormResult(SearchResult):
    """Rows, and one ``value`` where the form asked for it and no row is left out."""

    value: AnswerValue | None = None
