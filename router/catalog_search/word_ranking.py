"""Order the texts that a vector search found by the question's own words too.

A vector misses the exact word ("Apache", "Ubuntu"). Each text gains by its BM25 score among the texts
found (Robertson and Zaragoza, "The probabilistic relevance framework", 2009): rare words count more, a
repeated word less each time, and a long text's words less. The score counts as a share of the highest
that a text could have: one common word of the question moves nothing.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from router.backends.base import Hit
from router.catalog.folding import fold_text
from router.catalog.identifiers import singular
from router.question.language.grammar import FUNCTION_WORDS

WORDS_SHARE = 0.05
"""Gain of a text that has every word of the question many times; neighbours' cosines differ by as much."""
SATURATION, LENGTH_SHARE = 1.2, 0.75
"""BM25's k1 and b, at their usual values."""
_ENDINGS = ("ing", "ed", "es", "ly", "er")
_STEM_MIN = 3


def rank_by_words(query: str, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits, best first; their scores stay what the store gave."""
    texts = [_stem_counts(f"{hit.title} {hit.title} {hit.text}") for hit in hits]
    gains = _bm25(frozenset(_stem_counts(query)), texts)

    def score(place: int) -> float:
        return hits[place].score + WORDS_SHARE * gains[place]

    order = sorted(range(len(hits)), key=lambda place: (-score(place), hits[place].id))
    return [hits[place] for place in order]


def _bm25(words: frozenset[str], texts: Sequence[Counter[str]]) -> list[float]:
    """Return the BM25 score of each text, 0 to 1; its words' frequencies are those among the texts."""
    texts_with = Counter(word for text in texts for word in words & text.keys())
    weights = {
        word: math.log(1 + (len(texts) - texts_with[word] + 0.5) / (texts_with[word] + 0.5))
        for word in words
    }
    highest = sum(weights.values()) * (SATURATION + 1) or 1.0
    mean_length = sum(text.total() for text in texts) / max(len(texts), 1) or 1.0
    return [
        sum(weights[word] * _saturate(text, word, mean_length) for word in words & text.keys())
        / highest
        for text in texts
    ]


def _saturate(text: Counter[str], word: str, mean_length: float) -> float:
    length = 1 - LENGTH_SHARE + LENGTH_SHARE * text.total() / mean_length
    return text[word] * (SATURATION + 1) / (text[word] + SATURATION * length)


@lru_cache(maxsize=1024)  # the same texts answer question after question
def _stem_counts(text: str) -> Counter[str]:
    words = fold_text(text).split()
    return Counter(_stem(word) for word in words if word not in FUNCTION_WORDS)


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    word = singular(word)
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM_MIN:
            word = word[: -len(ending)]
            break
    return word.rstrip("e")
