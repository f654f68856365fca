"""Analysis of a question by the local models: its vector, intent and complexity.

The models run on one worker thread: they are single-threaded, and a second thread would only
contend with the event loop for the process's core.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from router.backends.base import Vector
from router.embedding import Embedder
from router.features import Features
from router.intent import Intent, IntentClassifier
from router.learning import build_context
from router.observability import trace
from router.pipeline.complexity import Complexity, assess
from router.pipeline.work_batches import WorkBatches

CONFIDENCE_LOW = 0.75
"""An intent with a lower confidence is uncertain, so other arms are queried as well."""
GROUNDED_CONFIDENCE = 0.5
"""Confidence of ``semantic`` for a question outside the classifier's intents that the stores cover."""
T = TypeVar("T")
NearestCosine = Callable[[Vector], Awaitable[float | None]]
"""Returns the cosine of the record nearest to a vector, or None when the store is unavailable."""


@dataclass(frozen=True, slots=True)
class AnalyzedQuery:
    """A normalised question with its analysis; ``vector`` is (384,) float32 of length 1."""

    text: str
    vector: Vector
    intent: Intent
    complexity: Complexity

    @property
    def is_hard(self) -> bool:
        """True when one arm may not be enough to answer it."""
        return self.complexity.level != "simple" or self.intent.confidence < CONFIDENCE_LOW

    def context(self) -> NDArray[np.float64]:
        """Return the bandits' context vector, of length ``router.learning.DIMENSION``."""
        intent = self.intent
        return build_context(self.vector, intent.intent, intent.confidence, self.complexity.score)


@dataclass(frozen=True, slots=True)
class LocalModels:
    """The local models; ``has_llm`` says that the classifier can escalate to a language model."""

    embedder: Embedder
    classifier: IntentClassifier
    has_llm: bool = False


class QueryUnderstanding:
    """Analysis on an own thread; ``close`` ends the thread."""

    def __init__(
        self,
        models: LocalModels,
        features: Features,
        nearest_cosine: NearestCosine,
        known_cosine: float,
    ) -> None:
        """Treat a question as known to the stores from the cosine ``known_cosine`` on."""
        self._embedder = models.embedder
        self._classifier = models.classifier
        self._llm = models.has_llm
        self._features = features
        self._nearest_cosine = nearest_cosine
        self._known_cosine = known_cosine
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._batches = WorkBatches(self.analyze_many)

    def close(self) -> None:
        """Stop the worker thread without waiting for it."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def analyze(self, text: str) -> AnalyzedQuery:
        """Analyze a whole question.

        Raises:
            EmbeddingError: the configured embedding service failed.
        """
        analyzed = await self._batches.submit(text)
        if self._llm and self._features.enable_semantic_classification:
            intent = await self._classifier.classify_with_llm(text)
            complexity = self._assess_complexity(text, intent)
            analyzed = replace(analyzed, intent=intent, complexity=complexity)
        return await self._ground(analyzed)

    def take_longest_wait(self) -> float:
        """Return the longest wait of a question for the models' thread since the last call."""
        return self._batches.take_longest_wait()

    async def analyze_many(self, texts: Sequence[str]) -> list[AnalyzedQuery]:
        """Analyze each text by itself, with the local models only."""
        return await self.run(lambda: self._analyze_locally(texts))

    async def run(self, work: Callable[[], T]) -> T:
        """Run work on the models' thread, in the query's trace.

        The thread cannot be cancelled: long work calls ``trace.require_time``.
        """
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._executor, context.run, work)

    async def embed(self, texts: list[str]) -> list[Vector]:
        """Return one vector per text."""
        return list(await self.run(lambda: self._embedder.embed(texts)))

    async def _ground(self, analyzed: AnalyzedQuery) -> AnalyzedQuery:
        """Correct ``out_of_scope`` by the stores' content, which the classifier cannot see."""
        if analyzed.intent.intent != "out_of_scope":
            return analyzed
        nearest = await self._nearest_cosine(analyzed.vector)
        if nearest is not None and nearest < self._known_cosine:
            return analyzed
        # The stores cover the subject but the intent is unclear: low confidence adds a second store.
        confidence = 0.0 if nearest is None else GROUNDED_CONFIDENCE
        return replace(analyzed, intent=Intent("semantic", confidence, "evidence"))

    def _analyze_locally(self, texts: Sequence[str]) -> list[AnalyzedQuery]:
        trace.require_time()
        vectors = self._embedder.embed(texts)
        intents = [self._classify(text) for text in texts]
        return [
            AnalyzedQuery(text, vector, intent, self._assess_complexity(text, intent))
            for text, vector, intent in zip(texts, vectors, intents, strict=True)
        ]

    def _classify(self, text: str) -> Intent:
        if self._features.enable_semantic_classification:
            return self._classifier.classify(text)
        return Intent("semantic", 1.0, "rules")

    def _assess_complexity(self, text: str, intent: Intent) -> Complexity:
        if self._features.enable_complexity_analysis:
            return assess(text, intent)
        return Complexity("simple", 0.0, ())
