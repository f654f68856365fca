"""Order the texts that a vector search found by the question's own words too.

A vector misses the exact word ("Apache", "Ubuntu"). Each text gains the share of the question's words
that it holds, rare ones counting more (inverse frequency among the texts found; Robertson 2004).
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from router.backends.base import Hit
from router.catalog.folding import fold_text
from router.catalog.identifiers import singular
from router.question.language.grammar import FUNCTION_WORDS

WORDS_SHARE = 0.1
"""Gain of a text that holds every word of the question; cosines differ by about as much."""
_ENDINGS = ("ing", "ed", "es", "ly", "er")
_STEM_MIN = 3


def rank_by_words(query: str, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits, best first; their scores stay what the store gave."""
    texts = [_stems(f"{hit.title} {hit.text}") for hit in hits]
    frequency = Counter(word for text in texts for word in text)
    weights = {
        word: math.log(1 + len(hits) / (1 + frequency[word]))
        for word in _stems(query)
        if frequency[word]
    }
    total = sum(weights.values()) or 1.0

    def score(place: int) -> float:
        matched_weight = sum(weights[word] for word in weights.keys() & texts[place])
        return hits[place].score + WORDS_SHARE * matched_weight / total

    order = sorted(range(len(hits)), key=lambda place: (-score(place), hits[place].id))
    return [hits[place] for place in order]


@lru_cache(maxsize=1024)  # the same texts answer question after question
def _stems(text: str) -> frozenset[str]:
    return frozenset(map(_stem, set(fold_text(text).split()) - FUNCTION_WORDS))


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    word = singular(word)
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM_MIN:
            word = word[: -len(ending)]
            break
    return word.rstrip("e")
