"""Words of a question, for stores that match text: tokens, stems, names and identifiers.

Deliberately small and deterministic: what must be understood is the classifier's work.
"""

import re
import unicodedata
from functools import lru_cache

TOKEN = re.compile(r"[A-Za-z0-9À-ɏ]+(?:[-_.'/][A-Za-z0-9À-ɏ]+)*")
IDENTIFIER = re.compile(r"^(?=.*\d)[A-Za-z]*[-_]?\d[\w-]*$|^[A-Za-z]+(?:-[A-Za-z0-9]+)*-\d[\w-]*$")
STOPWORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "being",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "doing",
        "done",
        "for",
        "from",
        "get",
        "give",
        "had",
        "has",
        "have",
        "having",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "like",
        "list",
        "made",
        "make",
        "many",
        "me",
        "much",
        "my",
        "of",
        "on",
        "or",
        "our",
        "out",
        "please",
        "show",
        "tell",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "up",
        "us",
        "was",
        "we",
        "were",
        "what",
        "what's",
        "when",
        "where",
        "which",
        "who",
        "who's",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
        "find",
        "all",
        "about",
        "between",
        "over",
        "under",
    ]
)
_SUFFIXES = ("ations", "ation", "ings", "ing", "edly", "ies", "ers", "ed", "es", "er", "ly", "s")
MAX_NAME_WORDS = 5
MAX_NAME_CHARS = 200  # a longer text is not a name, and is too long for an index
MIN_STEM_LENGTH = 3


def tokenize(text: str) -> list[str]:
    """Return the words in order, as written, without a possessive ``'s``."""
    text = text.replace("\u2019", "'")
    words: list[str] = TOKEN.findall(text)
    return [word.removesuffix("'s") for word in words] if "'" in text else words


@lru_cache(maxsize=8_192)  # the fusion folds the same records' texts for query after query
def fold(text: str) -> str:
    """Return the form in which names match: lower case, no accents, one space between words."""
    plain = text
    if not text.isascii():
        plain = unicodedata.normalize("NFKD", text)
        plain = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(tokenize(plain)).lower()


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return a crude stem, under which ``drives``, ``DRIVES`` and ``driver`` are equal."""
    word = word.lower()
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= MIN_STEM_LENGTH:
            word = word[: -len(suffix)]
            break
    word = re.sub(r"(.)\1$", r"\1", word)
    return word[:-1] if len(word) > MIN_STEM_LENGTH and word[-1] in "eiy" else word


def content_words(text: str) -> list[str]:
    """Lower-case words that carry meaning, in order."""
    return [w for w in fold(text).split() if w not in STOPWORDS]


@lru_cache(maxsize=16_384)  # the graph's ranking asks for the same records query after query
def content_stems(text: str) -> frozenset[str]:
    """Stems of the words that carry meaning."""
    return frozenset(map(stem, content_words(text)))


def is_identifier(word: str) -> bool:
    """``INV-1042``, ``T-12``, ``A7``: a word with a digit that is not a plain number."""
    return bool(IDENTIFIER.match(word)) and not word.isdigit()


def name_candidates(text: str) -> list[str]:
    """Folded word sequences that may be names or ids in the store, longest first.

    A sequence neither starts nor ends with a stopword; single words count when they are
    identifiers or longer than three letters.
    """
    words = fold(text).split()
    tokens: list[str] = []
    for size in range(min(MAX_NAME_WORDS, len(words)), 0, -1):
        for start in range(len(words) - size + 1):
            part = words[start : start + size]
            if part[0] in STOPWORDS or part[-1] in STOPWORDS:
                continue
            name = " ".join(part)
            if len(name) > MAX_NAME_CHARS:
                continue
            if size > 1 or is_identifier(part[0]) or len(part[0]) > MIN_STEM_LENGTH:
                tokens.append(name)
    return list(dict.fromkeys(tokens))
