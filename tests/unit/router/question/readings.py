"""Readers of small catalogues, and what they read in a question."""

from collections.abc import Mapping, Sequence
from datetime import date

from router.catalog.english import load_english
from router.catalog.model import Catalog, CatalogKind, CatalogLink
from router.catalog.values import ColumnValues, ValueIndex
from router.catalog.vocabulary import Vocabulary
from router.question.reading import QuestionReader
from router.question.validation import validate_form
from router.question.wording import interpretation

TODAY = date(2026, 11, 30)


def make_reader(
    kinds: Mapping[str, CatalogKind],
    links: tuple[CatalogLink, ...],
    values: Mapping[str, Sequence[ColumnValues]],
) -> QuestionReader:
    """Return a reader without embeddings."""
    catalog, english = Catalog(kinds=dict(kinds), links=links), load_english()
    index = ValueIndex(catalog, values, english.places)
    return QuestionReader(catalog, Vocabulary(catalog, english), index)


def read(reader: QuestionReader, question: str) -> tuple[str, tuple[str, ...]]:
    """Return the interpretation of the surest reading, and what it left out."""
    reading = reader.read(question, TODAY)[0]
    form = validate_form(reading.form, reader.catalog)
    return interpretation(form, reader.catalog), reading.left_out
