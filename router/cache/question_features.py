"""The features of a question: content, numbers, times, names, negation.

Deliberately shallow and deterministic: it has to find what two questions disagree on, in microseconds.
"""

import json
import re
from collections.abc import Mapping
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from math import log

from router.backends.tokenization import STOPWORDS, fold, stem


def split_words(words: str, separator: str | None = None) -> list[str]:
    """Split a text of words, which is more readable than a list."""
    return words.split(separator)


# Words that change how one asks, not what one asks for.
_POLITE_STEMS = frozenset(
    stem(word)
    for word in split_words(
        "please kindly need want know way explain describe information info details detail question "
        "help looking look search tell show display give list regarding concerning currently exactly "
        "actually just also there anything something some really"
    )
)
_SYNONYMS = {
    stem(word): stem(group.split()[0])
    for group in (
        "begin start commence",
        "purchase buy",
        "lorry truck trucks lorries",
        "firm company companies",
        "repair fix mend",
        "error failure fault",
        "phone telephone",
        "staff employees personnel",
    )
    for word in group.split()
}
_NEGATIONS = frozenset(split_words("not no never without except excluding neither nor none cannot"))
PREPOSITIONS = frozenset(
    split_words(
        "from to by before after than into onto over under above below between since until for with "
        "against toward towards via through"
    )
)
_CARDINALS = split_words(
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_ORDINALS = split_words("first second third fourth fifth sixth seventh eighth ninth tenth")
_NUMBERS = {
    **{word: str(number) for number, word in enumerate(_CARDINALS, 2)},
    **{word: f"{number}." for number, word in enumerate(_ORDINALS, 1)},
    "dozen": "12",
    "thirty": "30",
    "fifty": "50",
    "hundred": "100",
    "thousand": "1000",
}
_CONTRACTED_NOT = re.compile(r"n['\u2019]t\b")
_THOUSANDS_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3}\b)")
_THOUSANDS = re.compile(r"(\d+)k")
_ORDINAL = re.compile(r"(?<!\d)(\d+)(?:st|nd|rd|th)")
_MONTHS = (
    "january february april june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_TIME_WORDS = frozenset(
    f"{_MONTHS} {_DAYS} today yesterday tomorrow tonight spring summer autumn winter daily weekly "
    "monthly quarterly yearly annual".split()
)
_TIME_SPAN = (
    r"(?:days?|weeks?|weekends?|months?|quarters?|years?|nights?|mornings?|season|century|decade)"
)
_RELATIVE_TIME = re.compile(
    rf"\b((?:this|last|next|previous|past|coming|current|same) {_TIME_SPAN})\b"
    r"|\b(?:in|of|since|until|by|for|during|before|after|from|to|and) (may|march)\b"
)
_COMPARISONS = re.compile(r"[<>=!~]+|(?<!\w)-(?=\d)")
_ASK_TYPES = {
    "who": "who",
    "whom": "who",
    "whose": "who",
    "when": "when",
    "where": "where",
    "why": "why",
    "how many": "count",
    "how much": "count",
    "how long": "duration",
    "how often": "often",
    "how": "how",
}
_ASK_PATTERN = re.compile(r"\b(who|whom|whose|when|where|why|how (?:many|much|long|often)|how)\b")
_WORD = re.compile(r"[A-Za-zÀ-ɏ0-9][\w'.-]*")
_TITLE_CASE_SHARE = 0.6  # above this share of capitals they say nothing
_FIRST_WORD, _LAST_WORD = 1996, 30_000  # BERT's vocabulary is in order of frequency from here
_WEIGHT_MIN = 0.05


class QuestionFeatures:
    """The features of one question, each computed when it is first read.

    Most candidates differ in a number already, so the rest of their features is never needed.
    """

    def __init__(self, text: str) -> None:
        negated = _CONTRACTED_NOT.sub(" not", text)
        self._plain = _THOUSANDS_SEPARATOR.sub("", negated)
        self._folded = fold(self._plain)
        self._words = self._folded.split()

    @cached_property
    def content(self) -> Mapping[str, float]:
        """Return the weight in (0, 1] of each meaningful stem."""
        return {_canonical_stem(word): _word_weight(word) for word in self._content_words}

    @cached_property
    def content_order(self) -> tuple[str, ...]:
        return tuple(map(_canonical_stem, self._content_words))

    @cached_property
    def _content_words(self) -> list[str]:
        return [word for word in self._words if _is_content_word(word)]

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(map(stem, self._words))

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        return tuple(sorted(filter(None, map(_number_spelling, self._words))))

    @cached_property
    def times(self) -> tuple[str, ...]:
        return _times(self._folded, self._words)

    @cached_property
    def comparisons(self) -> tuple[str, ...]:
        return tuple(_COMPARISONS.findall(self._plain))

    @cached_property
    def is_negated(self) -> bool:
        return not _NEGATIONS.isdisjoint(self._words)

    @cached_property
    def ask_types(self) -> frozenset[str]:
        return frozenset(_ASK_TYPES[word] for word in _ASK_PATTERN.findall(self._folded))

    @cached_property
    def prepositions(self) -> frozenset[str]:
        return PREPOSITIONS.intersection(self._words)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return _names(self._plain)


@lru_cache(maxsize=4096)
def extract_features(text: str) -> QuestionFeatures:
    """Return the features of a question."""
    return QuestionFeatures(text)


def _canonical_stem(word: str) -> str:
    return _SYNONYMS.get(stem(word), stem(word))


def _is_content_word(word: str) -> bool:
    return word not in STOPWORDS and word not in _NEGATIONS and stem(word) not in _POLITE_STEMS


def _number_spelling(word: str) -> str | None:
    """Return one spelling of a number or identifier: 15k is 15000, third is 3rd."""
    if word.isalpha() or not any(letter.isdigit() for letter in word):
        return _NUMBERS.get(word)
    if thousands := _THOUSANDS.fullmatch(word):
        return thousands[1] + "000"
    return _ORDINAL.sub(r"\1.", word)


def _times(folded: str, words: list[str]) -> tuple[str, ...]:
    relative = ["".join(groups).rstrip("s") for groups in _RELATIVE_TIME.findall(folded)]
    return tuple(sorted([*relative, *(word for word in words if word in _TIME_WORDS)]))


def _names(text: str) -> tuple[str, ...]:
    """Return stems of capitalised words after the first, in order; empty for a text in title case."""
    words = [word.removesuffix("'s") for word in _WORD.findall(text.replace("\u2019", "'"))]
    capital = [word for word in words[1:] if word[0].isupper() and word != "I"]
    if (
        len(capital) > max(1, _TITLE_CASE_SHARE * (len(words) - 1))
        and len(words) > len(capital) + 1
    ):
        capital = [word for word in capital if word.isupper()]
    return tuple(stem(folded) for word in capital if (folded := fold(word)))


def _word_weight(word: str) -> float:
    """Return the weight of a word; rare words weigh more."""
    rank = _frequency_ranks().get(word)
    if rank is None:
        return 1.0
    share = log(max(rank, _FIRST_WORD) / _FIRST_WORD) / log(_LAST_WORD / _FIRST_WORD)
    return min(1.0, max(_WEIGHT_MIN, share))


@cache
def _frequency_ranks() -> dict[str, int]:
    """Return ranks in the embedding model's vocabulary, which is ordered by frequency."""
    words = json.loads(files("router").joinpath("embedding_vocab.json").read_text("utf-8"))
    return {word: rank for rank, word in enumerate(words) if word.isalpha()}
