"""What a question means to the router: its vector, intent and complexity, from the local models.

The models run on one worker thread: they are single-threaded, and a second thread would only
contend with the event loop for the core this process has.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from router.backends.base import Vector
from router.embedding import Embedder
from router.features import Features
from router.intent import Intent, IntentClassifier
from router.pipeline.complexity import Complexity, assess


@dataclass(frozen=True, slots=True)
class AnalyzedQuery:
    """``text`` is the normalised question; ``vector`` has length 1."""

    text: str
    vector: Vector
    intent: Intent
    complexity: Complexity


NearestCosine = Callable[[Vector], Awaitable[float | None]]
"""The cosine of the record nearest to a vector; None when that can't be known now."""
GROUNDED_CONFIDENCE = 0.5
"""Of ``semantic`` where the stores know something of what the classifier can't name."""


@dataclass(frozen=True, slots=True)
class LocalModels:
    """The local models; ``llm``: the classifier has a language model behind it."""

    embedder: Embedder
    classifier: IntentClassifier
    has_llm: bool = False


class QueryUnderstanding:
    """Call ``close`` when done: it owns a thread."""

    def __init__(
        self,
        models: LocalModels,
        features: Features,
        nearest_cosine: NearestCosine,
        known_cosine: float,
    ) -> None:
        """From ``known_cosine`` on the stores know something of a question."""
        self._embedder = models.embedder
        self._classifier = models.classifier
        self._llm = models.has_llm
        self._features = features
        self._nearest_cosine = nearest_cosine
        self._known_cosine = known_cosine
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="models")

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def analyze(self, text: str) -> AnalyzedQuery:
        """Raises EmbeddingError when an embedding service was configured and fails."""
        loop = asyncio.get_running_loop()
        understood = await loop.run_in_executor(self._executor, self._analyze_locally, text)
        if self._llm and self._features.enable_semantic_classification:
            intent = await self._classifier.classify_with_llm(text)
            understood = replace(
                understood, intent=intent, complexity=self._assess_complexity(text, intent)
            )
        return await self._ground(understood)

    async def _ground(self, understood: AnalyzedQuery) -> AnalyzedQuery:
        """What is out of scope depends on what the stores hold: the classifier can't know that."""
        intent = understood.intent
        if intent.intent != "out_of_scope":
            return understood
        nearest = await self._nearest_cosine(understood.vector)
        if nearest is not None and nearest < self._known_cosine:
            return understood
        # They know of it, but what is asked for nobody knows: unsure, so a second store is asked.
        sure = 0.0 if nearest is None else GROUNDED_CONFIDENCE
        return replace(understood, intent=Intent("semantic", sure, "evidence"))

    async def analyze_many(self, texts: Sequence[str]) -> list[AnalyzedQuery]:
        """The parts of a question, each by itself, by the local models alone."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor, lambda: [self._analyze_locally(text) for text in texts]
        )

    async def embed(self, texts: list[str]) -> list[Vector]:
        """One vector per text."""
        loop = asyncio.get_running_loop()
        return list(await loop.run_in_executor(self._executor, self._embedder.embed, texts))

    def _analyze_locally(self, text: str) -> AnalyzedQuery:
        vector = self._embedder.embed([text])[0]
        intent = self._classify(text)
        return AnalyzedQuery(text, vector, intent, self._assess_complexity(text, intent))

    def _classify(self, text: str) -> Intent:
        if self._features.enable_semantic_classification:
            return self._classifier.classify(text)
        return Intent("semantic", 1.0, "rules")

    def _assess_complexity(self, text: str, intent: Intent) -> Complexity:
        if self._features.enable_complexity_analysis:
            return assess(text, intent)
        return Complexity("simple", 0.0, ())
