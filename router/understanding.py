"""What a question means to the router: its vector, intent and complexity, from the local models.

The models run on one worker thread: they are single-threaded, and a second thread would only
contend with the event loop for the core this process has.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from router.backends.base import Vector
from router.complexity import Complexity, assess
from router.embedding import Embedder
from router.intent import Intent, IntentClassifier
from router.options import Features


@dataclass(frozen=True, slots=True)
class Understood:
    """``text`` is the normalised question; ``vector`` has length 1."""

    text: str
    vector: Vector
    intent: Intent
    complexity: Complexity


Evidence = Callable[[Vector], Awaitable[float | None]]
"""The cosine of the record nearest to a vector; None when that can't be known now."""
GROUNDED_CONFIDENCE = 0.5
"""Of ``semantic`` where the stores know something of what the classifier can't name."""


@dataclass(frozen=True, slots=True)
class Models:
    """The local models; ``llm``: the classifier has a language model behind it."""

    embedder: Embedder
    classifier: IntentClassifier
    llm: bool = False


class Understanding:
    """Call ``close`` when done: it owns a thread."""

    def __init__(
        self, models: Models, features: Features, evidence: Evidence, known_cosine: float
    ) -> None:
        """From ``known_cosine`` on the stores know something of a question."""
        self._embedder = models.embedder
        self._classifier = models.classifier
        self._llm = models.llm
        self._features = features
        self._evidence = evidence
        self._known_cosine = known_cosine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def of(self, text: str) -> Understood:
        """Raises EmbeddingError when an embedding service was configured and fails."""
        loop = asyncio.get_running_loop()
        understood = await loop.run_in_executor(self._thread, self._locally, text)
        if self._llm and self._features.enable_semantic_classification:
            intent = await self._classifier.classify_with_llm(text)
            understood = replace(
                understood, intent=intent, complexity=self._complexity(text, intent)
            )
        return await self._grounded(understood)

    async def _grounded(self, understood: Understood) -> Understood:
        """What is out of scope depends on what the stores hold: the classifier can't know that."""
        intent = understood.intent
        if intent.intent != "out_of_scope":
            return understood
        nearest = await self._evidence(understood.vector)
        if nearest is not None and nearest < self._known_cosine:
            return understood
        # They know of it, but what is asked for nobody knows: unsure, so a second store is asked.
        sure = 0.0 if nearest is None else GROUNDED_CONFIDENCE
        return replace(understood, intent=Intent("semantic", sure, "evidence"))

    async def each(self, texts: Sequence[str]) -> list[Understood]:
        """The parts of a question, each by itself, by the local models alone."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, lambda: [self._locally(text) for text in texts]
        )

    async def vectors(self, texts: list[str]) -> list[Vector]:
        """One vector per text."""
        loop = asyncio.get_running_loop()
        return list(await loop.run_in_executor(self._thread, self._embedder.embed, texts))

    def _locally(self, text: str) -> Understood:
        vector = self._embedder.embed([text])[0]
        intent = self._intent(text)
        return Understood(text, vector, intent, self._complexity(text, intent))

    def _intent(self, text: str) -> Intent:
        if self._features.enable_semantic_classification:
            return self._classifier.classify(text)
        return Intent("semantic", 1.0, "rules")

    def _complexity(self, text: str, intent: Intent) -> Complexity:
        if self._features.enable_complexity_analysis:
            return assess(text, intent)
        return Complexity("simple", 0.0, ())
