"""Normalisation of a question's text: one spelling for the cache, typos, protected terms."""

import json
import re
import string
import unicodedata
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import count

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")  # soft hyphen, zero-width space, joiner, mark
_SPACES = re.compile(r"\s+")
_TRAILING = re.compile(r"(?<![ \t?.…,;:])(?<!(?<!\d)!)(?:[ \t?.…,;:]|(?<!\d)!)+$")  # 5! is a number
_POWERS = str.maketrans({power: f"^{digit}" for digit, power in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
# mW is not MW, nor Mb MB: behind a number the case of these is kept.
_UNIT = re.compile(
    r"((?<=\d)\s?(?:[mM](?:[wWvVaA]|[hH][zZ])?|[kKmMgGtTpP]?[bB](?:ps)?)(?![A-Za-z]))"
)
_QUOTES = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}
)
_CORRECTABLE_WORD = re.compile(r"(?<![\w@#./'\"-])[a-z]{5,24}(?![\w@#/'\"-]|\.\w)")
CORRECTABLE_WORDS_MAX = 60
"""Words of a question that are looked up: each one costs a fraction of a millisecond."""
_NAME_PREFIX = re.compile(
    r"(?:\b(?:named|called|mr|mrs|ms|dr|prof)\.?|[=:<>#@])\s*$", re.IGNORECASE
)
_COMPANY_SUFFIX = re.compile(
    r"\s{1,9}(?:ag|corp|gmbh|inc|kg|limited|llc|ltd|plc|company|group)\b", re.IGNORECASE
)
_ENDINGS = frozenset({"s", "es", "d", "ed", "r", "er", "ers", "ing", "ly", "al"})
_PROTECTED = re.compile(
    r"'[^']*'|\"[^\"]*\""  # quotations
    r"|\b\w*\d[\w.,:/%-]*\b"  # numbers, dates and identifiers
    r"|[<>!=]+"  # comparisons
    r"|\b[A-Z][\w&.-]*\b"  # names
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|without|except|excluding|unless|n't)\b|n't\b", re.IGNORECASE
)
_COMMON_OPENERS = frozenset(
    {"I", "A", "An", "The", "Is", "Are", "Do", "Does", "Did", "Can", "Could", "Please", "And"}
    | {"Who", "What", "When", "Where", "Which", "Why", "How", "List", "Show", "Find", "Give"}
    | {"Tell", "Compare", "Explain", "Describe", "Trace", "Count", "Filter", "Search", "Map"}
)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The stores' vocabulary in lower case: ``words`` to correct towards, ``names`` to keep."""

    words: Set[str] = frozenset()
    names: Set[str] = frozenset()


def strip_markup(query: str) -> str:
    """Unify quotes, dashes, letters and spaces, and drop invisible characters; words stay."""
    text = unicodedata.normalize("NFKC", query.translate(_POWERS)).translate(_QUOTES)
    return _SPACES.sub(" ", _INVISIBLE.sub("", text)).strip()


def normalize(query: str) -> str:
    """Return one spelling for questions that differ only in typing; a cache key.

    Unicode forms, quotes, white space, case and trailing punctuation are made equal. Quoted values
    keep their case, because the stores compare them exactly, and so do units that differ by it.
    """
    text = _TRAILING.sub("", strip_markup(query))
    return "".join(part if quoted else _lowercase(part) for quoted, part in _split_quotations(text))


def _lowercase(text: str) -> str:
    return "".join(
        part if place % 2 else part.lower() for place, part in enumerate(_UNIT.split(text))
    )


def correct_spelling(query: str, lexicon: Lexicon) -> str:
    """Correct words one edit away from exactly one word of the lexicon.

    Only lower-case words of five letters or more outside the English vocabulary change. Quoted text,
    names, numbers and identifiers stay, as do words after ``named`` or ``=`` and before ``Ltd``.
    """
    if not lexicon.words:
        return query
    places = count()

    def repair(match: re.Match[str]) -> str:
        return _repair(match, lexicon) if next(places) < CORRECTABLE_WORDS_MAX else match.group()

    return "".join(
        part if quoted else _CORRECTABLE_WORD.sub(repair, part)
        for quoted, part in _split_quotations(query)
    )


def protected_terms(query: str) -> list[str]:
    """Return the terms that a rewrite must keep, in order: quotations, numbers, identifiers, comparisons, names."""
    return [term for term in _PROTECTED.findall(query) if term.rstrip(".") not in _COMMON_OPENERS]


def preserves_meaning(before: str, after: str) -> bool:
    """Return True when ``after`` keeps the protected terms in order, and adds and negates none."""
    protected = [point.lower().rstrip(".,:/-") for point in protected_terms(before)]
    lowered = after.lower()
    position = 0
    for point in protected:
        position = lowered.find(point, position)
        if position < 0:
            return False
        position += len(point)
    source = before.lower()
    added = any(point.lower().rstrip(".,:/-") not in source for point in _factual_terms(after))
    return not added and bool(_NEGATION.search(before)) == bool(_NEGATION.search(after))


def _factual_terms(text: str) -> list[str]:
    """Return the protected terms without capitals that only begin a sentence."""
    starts = {match.start() for match in re.finditer(r"(?:^|(?<=[.?!]\s))\w", text)}
    return [
        match.group()
        for match in _PROTECTED.finditer(text)
        if match.group() not in _COMMON_OPENERS
        and not (match.start() in starts and match.group().isalpha())
    ]


def _repair(match: re.Match[str], lexicon: Lexicon) -> str:
    word, vocabulary = match.group(), lexicon.words
    if (
        _is_known(word, vocabulary)
        or word in lexicon.names
        or word in _english_words()
        or _NAME_PREFIX.search(match.string[: match.start()])
        or _COMPANY_SUFFIX.match(match.string, match.end())
    ):
        return word
    candidates = {edit for edit in _single_edits(word) if _is_known(edit, vocabulary)}
    if len(candidates) != 1:
        return word
    candidate = candidates.pop()
    return word if _is_inflection(word, candidate) else candidate


def _is_known(word: str, vocabulary: Set[str]) -> bool:
    return word in vocabulary or (word.endswith("s") and word[:-1] in vocabulary)


def _single_edits(word: str) -> Iterator[str]:
    """Return every string one deletion, swap, replacement or insertion away.

    The first letter stays: people rarely miss it, and it keeps names from being pulled away.
    """
    letters = string.ascii_lowercase
    for at in range(1, len(word) + 1):
        head, tail = word[:at], word[at:]
        yield from (head + letter + tail for letter in letters)
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in letters)
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]


def _is_inflection(word: str, candidate: str) -> bool:
    short, long = sorted((word, candidate), key=len)
    return long.startswith(short) and long[len(short) :] in _ENDINGS


@cache
def _english_words() -> frozenset[str]:
    """Return the whole words of BERT's vocabulary: common English words and names."""
    tokens = json.loads(files("router").joinpath("embedding_vocab.json").read_text("utf-8"))
    return frozenset(token for token in tokens if token.isalpha())


def _split_quotations(text: str) -> Iterator[tuple[bool, str]]:
    end = 0
    for match in _QUOTED.finditer(text):
        yield False, text[end : match.start()]
        yield True, match.group()
        end = match.end()
    yield False, text[end:]
