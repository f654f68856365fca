"""Text to n-grams: one analyser for training and serving, so that the two cannot drift apart."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

_WORD = re.compile(r"[a-z]+|\d+|[=<>!]+|[$%€£'\"]")
_CHARACTER_GRAM_SIZES = range(2, 6)
_SKIP_DISTANCES = range(2, 5)


def split_tokens(query: str) -> list[str]:
    """Split into lower-case words, numbers by length class, and comparison and quote signs."""
    text = unicodedata.normalize("NFKD", query).lower().replace("\u2019", "'")
    return [f"#{min(len(word), 4)}" if word.isdigit() else word for word in _WORD.findall(text)]


def skip_bigrams(row: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return pairs of items two to four places apart, the nearest first."""
    return (
        (token, later_token)
        for gap in _SKIP_DISTANCES
        for token, later_token in zip(row, row[gap:], strict=False)
    )


def word_grams(query: str) -> list[str]:
    """Return words, pairs of words up to four apart, and the first two words marked.

    The first words carry the request; pairs carry more than their words ("filter … by").
    """
    tokens = split_tokens(query)
    pairs = [f"{left} {right}" for left, right in pairwise(tokens)]
    distant = [f"{left}..{right}" for left, right in skip_bigrams(tokens)]
    return tokens + pairs + distant + [f"^{word}" for word in tokens[:2]]


def character_grams(query: str) -> list[str]:
    """Return two to five characters within each word and its borders: endings, stems, typos."""
    grams = []
    for word in split_tokens(query):
        padded = f" {word} "
        for size in _CHARACTER_GRAM_SIZES:
            grams += [padded[start : start + size] for start in range(len(padded) - size + 1)]
    return grams
