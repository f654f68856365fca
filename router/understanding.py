"""What a question means to the router: its vector, intent and complexity, from the local models.

The models run on one worker thread: they are single-threaded, and a second thread would only
contend with the event loop for the core this process has.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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


class Understanding:
    """Call ``close`` when done: it owns a thread."""

    def __init__(
        self, embedder: Embedder, classifier: IntentClassifier, features: Features, *, llm: bool
    ) -> None:
        self._embedder = embedder
        self._classifier = classifier
        self._features = features
        self._llm = llm
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def of(self, text: str) -> Understood:
        """Raises EmbeddingError when an embedding service was configured and fails."""
        loop = asyncio.get_running_loop()
        understood = await loop.run_in_executor(self._thread, self._locally, text)
        if not (self._llm and self._features.enable_semantic_classification):
            return understood
        intent = await self._classifier.classify_with_llm(text)
        return Understood(text, understood.vector, intent, self._complexity(text, intent))

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
