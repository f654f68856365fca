"""The questions of a file, asked over a catalogue: the meaning, the store and the rows of each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from router.catalog.errors import CatalogError
from router.catalog_search.form_search import AnswerValue
from router.catalog_search.search import CatalogQuestion, CatalogSearch
from router.embedding import Embedder
from router.errors import RouterError
from router.intent import IntentClassifier

RESULTS_MAX = 10


@dataclass(frozen=True, slots=True)
class ExpectedQuestion:
    """A question of the file, with the store that must answer it where the file names one."""

    query: str
    store: str = ""


@dataclass(frozen=True, slots=True)
class QuestionCheck:
    """An asked question. ``problem`` is empty where it was understood completely."""

    query: str
    store: str = ""
    interpretation: str = ""
    results: int = 0
    value: AnswerValue | None = None
    problem: str = ""


def load_questions(path: Path) -> list[ExpectedQuestion]:
    """Read one question a line: plain text, or JSON with ``query`` and, if wanted, ``store``.

    Raises:
        CatalogError: the file cannot be read, or a line is neither.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: not read: {error}") from error
    return [
        _parse_line(f"{path}:{number}", line.strip())
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _parse_line(place: str, line: str) -> ExpectedQuestion:
    if not line.startswith("{"):
        return ExpectedQuestion(line)
    try:
        document = json.loads(line)
    except ValueError as error:
        raise CatalogError(f"{place}: not JSON: {error}") from error
    query, store = document.get("query"), document.get("store", "")
    if not isinstance(query, str) or not isinstance(store, str) or not query.strip():
        raise CatalogError(f'{place}: expected {{"query": "…", "store": "…"}}, store is optional')
    return ExpectedQuestion(query, store)


@dataclass(frozen=True, slots=True)
class QuestionChecker:
    """Asks questions as a router does, for ``caller`` (tenant and user), without its cache."""

    search: CatalogSearch
    embedder: Embedder
    classifier: IntentClassifier
    caller: Mapping[str, str | None]

    async def check(self, expected: ExpectedQuestion) -> QuestionCheck:
        """Ask one question. A refusal or a failing store is its problem, not an error."""
        intent = self.classifier.classify(expected.query)
        vector, today = self.embedder.embed([expected.query])[0], datetime.now(UTC).date()
        question = CatalogQuestion(
            expected.query, vector, intent, RESULTS_MAX, today, dict(self.caller)
        )
        try:
            plan = self.search.plan(expected.query, intent, today, self.caller)
            answer = await self.search.answer(question, plan, plan.choice.source)
        except (CatalogError, RouterError) as error:
            return QuestionCheck(expected.query, problem=f"refused: {error}")
        problem = _problem(expected, answer.store, answer.left_out)
        results = len(answer.hits)
        return QuestionCheck(
            expected.query, answer.store, answer.interpretation, results, answer.value, problem
        )


def _problem(expected: ExpectedQuestion, store: str, left_out: tuple[str, ...]) -> str:
    if expected.store and expected.store != store:
        return f"answered by {store}, expected {expected.store}"
    return f"not understood: {', '.join(left_out)}" if left_out else ""
