"""Answer a question over a catalogue: read it, choose the store, run it, say what was understood."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from pydantic import ValidationError

from router.backends.base import Hit, Vector
from router.backends.resilient_backend import ResilientBackend
from router.catalog.errors import CatalogError
from router.catalog_search.evidence import AnswerSource, StoreChoice, choose_source
from router.catalog_search.form_search import AnswerValue, FormResult, FormSearch
from router.catalog_search.model_reading import ModelReader
from router.catalog_search.reader import CatalogReader
from router.errors import InvalidQuestion, StoreUnavailable
from router.intent import Intent
from router.llm import LanguageModel
from router.observability import trace
from router.question.form import QuestionForm
from router.question.language.text_questions import asks_how_to, unapplied_words
from router.question.reading import QuestionReading
from router.question.validation import validate_form
from router.question.wording import interpretation

SECOND_SCORE_GAP = 0.35
"""A second reading this near is tried where the first finds nothing."""
ARMS = {"postgres": "postgres", "graph": "graph", "qdrant": "qdrant"}


@dataclass(frozen=True, slots=True)
class CatalogQuestion:
    """A question with what the router knows of it; ``caller`` has the tenant and the user."""

    text: str
    vector: Vector
    intent: Intent
    limit: int
    today: date
    caller: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class CatalogAnswer:
    """An answer. ``store`` answered; ``failures`` are stores that did not."""

    store: str
    hits: tuple[Hit, ...]
    interpretation: str
    confidence: float
    left_out: tuple[str, ...] = ()
    value: AnswerValue | None = None
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QuestionPlan:
    """The readings of a question, the source of its answer, and the form, by which equal ones are cached."""

    readings: tuple[QuestionReading, ...]
    choice: StoreChoice
    form: QuestionForm | None

    @property
    def is_unsure(self) -> bool:
        """Return True where words were left out, or where the evidence does not choose the source."""
        if self.form is None:
            return False
        return not self.choice.sure or (
            self.choice.source == "rows" and bool(self.readings[0].left_out)
        )

    @property
    def form_key(self) -> str | None:
        """Return the key that equal questions share; None where words were left out."""
        if self.form is None or self.choice.source != "rows" or self.readings[0].left_out:
            return None
        return self.form.key


class CatalogSearch:
    """Answers over one catalogue. ``backends`` are its stores by name."""

    def __init__(
        self,
        reader: CatalogReader,
        backends: Mapping[str, ResilientBackend],
        model: LanguageModel | None = None,
    ) -> None:
        """Answer with ``backends``; ``model`` reads the questions that the local reading is unsure of."""
        self.reader = reader
        self._model = ModelReader(model, reader.catalog) if model is not None else None
        self._backends = backends
        self._catalog = reader.catalog
        self._has_texts = any(self._catalog.of_store("qdrant")) and "qdrant" in backends
        self.rights_use_user = any(
            "$user" in condition
            for kind in self._catalog.kinds.values()
            for condition in kind.where
        )

    def plan(
        self, text: str, intent: Intent, today: date, caller: Mapping[str, str | None]
    ) -> QuestionPlan:
        """Read a question and choose the source. Blocks for milliseconds: call it on a thread.

        Raises InvalidQuestion where a form cannot hold the question, such as 21 conditions.
        """
        readings = self._read(text, today, caller)
        form = None
        for reading in readings:
            try:
                form = validate_form(reading.form, self._catalog)
            except CatalogError as error:
                trace.add_note("refused", str(error))
                continue
            readings = [
                reading,
                *(other_reading for other_reading in readings if other_reading is not reading),
            ]
            break
        first = readings[0] if form is not None else None
        choice = choose_source(first, intent, has_texts=self._has_texts, how_to=asks_how_to(text))
        return QuestionPlan(tuple(readings), choice, form)

    def _read(
        self, text: str, today: date, caller: Mapping[str, str | None]
    ) -> list[QuestionReading]:
        try:
            readings = self.reader.read(text, today, caller)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InvalidQuestion(f"{field}: {first['msg']}: ask for less at once") from None
        return [
            reading
            for reading in readings
            if self._catalog.kinds[reading.form.kind].store in self._backends
        ]

    async def read_with_model(self, text: str, plan: QuestionPlan) -> QuestionPlan:
        """Return the plan by a language model where ``plan`` is unsure and the model's is better."""
        nothing_else = plan.form is None and not self._has_texts
        if self._model is None or not (plan.is_unsure or nothing_else):
            return plan
        reading = await self._model.read(text, plan.readings)
        if reading is None or self._catalog.kinds[reading.form.kind].store not in self._backends:
            return plan
        trace.add_note("read_by", "language model")
        choice = StoreChoice("rows", reading.coverage, sure=True)
        return QuestionPlan((reading, *plan.readings), choice, reading.form)

    async def answer(
        self, question: CatalogQuestion, plan: QuestionPlan, source: AnswerSource
    ) -> CatalogAnswer:
        """Run the plan. Raises StoreUnavailable where every store that was asked failed."""
        if source == "text" or plan.form is None:
            return await self._texts(question, {})
        try:
            return await self._rows(question, plan)
        except StoreUnavailable as error:
            if not self._has_texts:
                raise
            return await self._texts(question, {error.store: error.reason})

    async def _rows(self, question: CatalogQuestion, plan: QuestionPlan) -> CatalogAnswer:
        first = plan.readings[0]
        answer = await self._run(question, first)
        if answer.hits or answer.value is not None:
            return answer
        for runner_up in plan.readings[1:3]:
            is_close = first.score - runner_up.score <= SECOND_SCORE_GAP
            if is_close and runner_up.form.kind != first.form.kind:
                second = await self._try(question, runner_up)
                if second is not None and second.hits:
                    return second
        return answer

    async def _try(
        self, question: CatalogQuestion, reading: QuestionReading
    ) -> CatalogAnswer | None:
        try:
            return await self._run(question, reading)
        except (CatalogError, StoreUnavailable):
            return None

    async def _run(self, question: CatalogQuestion, reading: QuestionReading) -> CatalogAnswer:
        form = validate_form(reading.form, self._catalog)
        store = self._catalog.kinds[form.kind].store
        words = interpretation(form, self._catalog)
        trace.add_note(
            "question",
            {
                "interpretation": words,
                "matches": list(reading.matches),
                "form": form.model_dump(mode="json", exclude_defaults=True),
                "coverage": round(reading.coverage, 3),
                "left_out": list(reading.left_out),
            },
        )
        result = await self._backends[store].search(_form_search(question, form))
        value = result.value if isinstance(result, FormResult) and not reading.doubtful else None
        hits = tuple(replace(hit, scores={store: hit.score}) for hit in result.hits)
        return CatalogAnswer(
            store, hits, words, min(1.0, reading.coverage), _not_understood(reading), value
        )

    async def _texts(self, question: CatalogQuestion, failures: Mapping[str, str]) -> CatalogAnswer:
        if not self._has_texts:
            return CatalogAnswer("none", (), "", 0.0, (f"the whole question: {question.text}",))
        result = await self._backends["qdrant"].search(_form_search(question, None))
        hits = tuple(replace(hit, scores={"qdrant": hit.score}) for hit in result.hits)
        words = f"texts about “{question.text}”"
        return CatalogAnswer(
            "qdrant",
            hits,
            words,
            _best(hits),
            (
                *result.left_out,
                *(f"“{each}”" for each in unapplied_words(question.text, question.today)),
            ),
            failures=failures,
        )


def _best(hits: Sequence[Hit]) -> float:
    return max((hit.score for hit in hits), default=0.0)


def _not_understood(reading: QuestionReading) -> tuple[str, ...]:
    return tuple(f"“{word}”" for word in reading.left_out)


def _form_search(question: CatalogQuestion, form: QuestionForm | None) -> FormSearch:
    return FormSearch(
        query=question.text,
        embedding=question.vector,
        intent=question.intent.intent,
        limit=question.limit,
        today=question.today,
        form=form,
        caller=question.caller,
    )
