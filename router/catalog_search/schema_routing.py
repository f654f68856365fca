"""The store for a question, from the names in the stores' schemas alone.

Every store scores by the question's words among its names, by words near them in English, and by the
cosine to its kinds. Texts score by the way of asking too: "does X cause Y" and "my card is lost" are
not for rows. The weights are round numbers; the result hardly changes when they are doubled.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from router.catalog.english import EnglishWords, load_english
from router.catalog.folding import fold_text
from router.catalog.identifiers import phrase_of, words_of
from router.catalog.model import StoreName
from router.catalog.word_forms import base_form
from router.embedding import Embedder
from router.intent import IntentClassifier
from router.question.language.grammar import (
    FIRST_PERSON,
    FUNCTION_WORDS,
    LISTING,
    YES_NO,
)

NAMED, NAMED_KIND, NEAR = 0.3, 0.3, 0.3
"""Weights of a word that is a name, that is a kind's name, that is near a name."""
COSINE = 0.5
TEXT = 0.3
"""What a collection gains: its names say little of its texts."""
INTENT = 0.2
COLUMNS_EMBEDDED = 12
STEEPNESS = 8.0
_STORES: tuple[StoreName, ...] = ("postgres", "graph", "qdrant")
_KIND = re.compile(r"([\w .\-]+)\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_RELATIONSHIP = re.compile(r"-\[(\w+)\]->")


@dataclass(frozen=True, slots=True)
class StoreEvidence:
    """The store with the most evidence, and the probability that it is the right one."""

    store: StoreName
    confidence: float


@dataclass(frozen=True, slots=True)
class StoreNames:
    """Names of one store's schema: in base form, near ones with weights, and vectors of its kinds."""

    names: frozenset[str]
    kinds: frozenset[str]
    near: Mapping[str, float]
    vectors: NDArray[np.float32]


class SchemaRouter:
    """Routes questions over schemas given as text, one line a question.

    A schema is ``postgres: table(column, …); … | graph: Label(property, …); …; relationships
    (A)-[TYPE]->(B), … | qdrant: collection(field, …)``. A store may be missing.
    """

    def __init__(self, embedder: Embedder, classifier: IntentClassifier) -> None:
        self._embedder = embedder
        self._classifier = classifier
        self._english: EnglishWords = load_english()
        self._near = lru_cache(maxsize=65_536)(self._near_of)
        self._names = lru_cache(maxsize=1024)(self._names_of)

    def route(self, query: str, schema: str) -> StoreEvidence:
        """Return the store with the most evidence.

        Raises:
            ValueError: the schema names no store.
        """
        parts = dict(part.strip().partition(": ")[::2] for part in schema.split(" | "))
        stores = [store for store in _STORES if store in parts]
        if not stores:
            raise ValueError("schema: expected postgres: …, graph: … or qdrant: …, joined by |")
        words = [self._base(word) for word in fold_text(query).split() if _is_content(word)]
        vector = self._embedder.embed([query])[0]
        scores = [self._score(words, vector, self._names(parts[store])) for store in stores]
        if "qdrant" in stores:
            scores[stores.index("qdrant")] += TEXT + self._manner(query)
        best = max(range(len(stores)), key=scores.__getitem__)
        other_scores = [score for place, score in enumerate(scores) if place != best]
        margin = scores[best] - max(other_scores, default=-math.inf)
        return StoreEvidence(stores[best], 1 / (1 + math.exp(-STEEPNESS * margin)))

    def _score(self, words: list[str], vector: NDArray[np.float32], names: StoreNames) -> float:
        count = max(len(words), 1)
        name_share = sum(word in names.names for word in words) / count
        kinds = sum(word in names.kinds for word in words) / count
        near_share = sum(1.0 if w in names.names else names.near.get(w, 0.0) for w in words) / count
        cosine = float((names.vectors @ vector).max()) if len(names.vectors) else 0.0
        return NAMED * name_share + NAMED_KIND * kinds + NEAR * near_share + COSINE * cosine

    def _manner(self, query: str) -> float:
        """Return how much the way of asking speaks for texts, by its words and the intent model."""
        words = fold_text(query).split()
        intent = self._classifier.classify(query)
        text = intent.intent in ("semantic", "out_of_scope")
        score = INTENT * intent.confidence * (1.0 if text else -0.7)
        listing = words[:1] != [] and words[0] in LISTING
        personal = bool(FIRST_PERSON & set(words))
        score += 0.25 * (personal and not listing) - 0.2 * (listing and not personal)
        score += 0.15 * (words[:1] != [] and words[0] in YES_NO)
        counting = "how many" in query.lower() or "number of" in query.lower()
        return score - 0.15 * counting - 0.1 * bool(re.search(r"\d", query))

    def _names_of(self, text: str) -> StoreNames:
        tables, _, relations = text.partition("relationships")
        kinds = _KIND.findall(tables)
        types = _RELATIONSHIP.findall(relations)
        strong_names = {
            word for name in (*(n for n, _ in kinds), *types) for word in words_of(name)
        }
        every = strong_names | {
            w for _, columns in kinds for c in columns.split(",") for w in words_of(c)
        }
        near_weights: dict[str, float] = {}
        for word in every:
            for near_word, weight in self._near(word).items():
                near_weights[near_word] = max(near_weights.get(near_word, 0.0), weight)
        phrases = [*map(phrase_of, (name for name, _ in kinds)), *_describe_kinds(kinds)]
        vectors = self._embedder.embed(phrases)
        return StoreNames(self._bases(every), self._bases(strong_names), near_weights, vectors)

    def _near_of(self, word: str) -> Mapping[str, float]:
        if len(word) <= len("id"):
            return {}
        related = self._english.related_words(word, "nva")
        return {
            self._base(related_word): weight
            for related_word, weight in related.items()
            if " " not in related_word
        }

    def _base(self, word: str) -> str:
        return base_form(word, self._english.irregular)

    def _bases(self, words: Iterable[str]) -> frozenset[str]:
        return frozenset(self._base(word) for word in words)


def _is_content(word: str) -> bool:
    return word not in FUNCTION_WORDS and not word.isdigit() and len(word) > 1


def _describe_kinds(kinds: Iterable[tuple[str, str]]) -> list[str]:
    """Return each kind with its first columns, as one phrase."""
    return [
        f"{phrase_of(name)}: "
        + ", ".join(phrase_of(column) for column in columns.split(",")[:COLUMNS_EMBEDDED])
        for name, columns in kinds
    ]
