"""A question read by a language model where the local reading is unsure.

The model answers with a form. It is checked against the catalogue like any other, and it is used
only where it accounts for more of the question than the local reading. A form that names what the
catalogue does not have, or values that nobody asked for, is refused and noted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from router.catalog.errors import CatalogError
from router.catalog.folding import fold_text
from router.catalog.model import Catalog, CatalogKind
from router.catalog_search.model_form import (
    ModelForm,
    describe_catalog,
    to_form,
    unaccounted_words,
)
from router.llm import LanguageModel, LanguageModelError
from router.observability import trace
from router.question.language.grammar import FUNCTION_WORDS
from router.question.reading import QuestionReading
from router.question.validation import validate_form

KINDS_MAX = 40
"""Kinds that a model is shown. Of a larger catalogue it sees those of the local readings."""
SYSTEM = """You translate a question into a form over the catalogue below. Use only its names.
Values are words or numbers of the question. Leave kind empty if the catalogue cannot answer it.
not_expressed lists the words of the question that the form does not express.

"""


@dataclass(frozen=True, slots=True)
class ModelReader:
    """Asks ``model`` for the form of a question over ``catalog``."""

    model: LanguageModel
    catalog: Catalog

    async def read(self, question: str, local: Sequence[QuestionReading]) -> QuestionReading | None:
        """Return a reading that is better than the ``local`` ones, or None.

        A model that fails, or whose form is refused, costs the improvement and nothing else.
        """
        system = SYSTEM + describe_catalog(self.catalog, self._kinds(local))
        try:
            answer = await self.model.complete(system=system, prompt=question, schema=ModelForm)
            reading = self._validate_answer(question, answer)
        except LanguageModelError:
            return None  # the model records its failure
        except (CatalogError, ValidationError) as error:
            trace.add_note("model_refused", str(error))
            return None
        best = max((local_reading.coverage for local_reading in local), default=0.0)
        return reading if reading is not None and reading.coverage > best else None

    def _kinds(self, local: Sequence[QuestionReading]) -> dict[str, CatalogKind]:
        kinds = dict(self.catalog.visible_kinds)
        if len(kinds) <= KINDS_MAX:
            return kinds
        near_kinds = {reading.form.kind for reading in local}
        for link in self.catalog.visible_links.values():
            if {link.start, link.end} & {reading.form.kind for reading in local}:
                near_kinds |= {link.start, link.end}
        return {name: kind for name, kind in kinds.items() if name in near_kinds}

    def _validate_answer(self, question: str, answer: ModelForm) -> QuestionReading | None:
        if not answer.kind:
            return None
        form = validate_form(to_form(answer), self.catalog)
        left_out = unaccounted_words(question, form, self.catalog)
        content = [word for word in fold_text(question).split() if word not in FUNCTION_WORDS]
        coverage = 1.0 - min(1.0, len(left_out) / max(1, len(content)))
        unexpressed_words = tuple(
            word for word in answer.not_expressed if fold_text(word) in fold_text(question)
        )
        return QuestionReading(
            form=form,
            score=coverage,
            coverage=coverage,
            left_out=tuple(dict.fromkeys((*left_out, *unexpressed_words))),
            matches=(f"language model → {form.kind}",),
            anchors=0,
        )
