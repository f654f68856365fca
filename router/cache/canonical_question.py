"""The canonical form of a question: every word and sign without polite phrases.

Two questions certainly ask for the same only when their cores are equal. So this fails closed: it
knows what may go (politeness, articles, contractions, the spellings of one number) and keeps the
rest, in order, letters with their accents, of any script. Stems are for ranking, not for this: by
stem, Kelly is Keller and the payer is the payee.
"""

import re
from functools import lru_cache

from router.backends.tokenization import STOPWORDS
from router.english_words import NUMBER_WORDS, TENS_WORDS
from router.rewrite import normalize

_TOKEN = re.compile(r"[^\W_]+(?:['.,:/&@_-]+[^\W_]+)*|\S")
_THOUSANDS_SEPARATED = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,]|\.\d)")
_CASE_SENSITIVE_WORDS = re.compile(
    r"\b(?:US|IT|WHO)\b|(?<=\S )A(?= )"
)  # other words than in lower case
_SPELLING_VARIANTS = [
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\bwon't\b", "will not"),
        (r"\b(?:can't|cannot)\b", "can not"),
        (r"\b(is|are|was|were|do|does|did|has|have|had|would|could|should|must)n't\b", r"\1 not"),
        (r"\b(what|who|where|when|how)'s\b", r"\1 is"),
        (r"\bwhich\b", "what"),
    )
]
_POLITE_PHRASES = [
    re.compile(pattern)
    for pattern in (
        r"^(?:hi|hello|hey) [,!] (?=\S)",
        r"^(?:please|kindly)(?: ,)? (?=\S)",
        r"^(?:can|could|would|will) you (?:please |kindly )?(?=(?:tell|show|give|find|get) me )",
        r"^(?:tell|show|give|find|get) me (?:(?:all the|all|the) )?(?=\S)",
        r"^(?:show|list|display|find) (?:all the|all|the) (?=\S)",
        r"^i (?:want|need|would like) to (?:know|see) (?=\S)",
        r"^do you know (?=(?:what|who|where|when|why|how) )",
        r"(?: [,.?!])* (?:please|thanks|thank you)$",
    )
]
_LOOSE_VARIANTS = [
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"^what (?:is|are) (?=\S)", ""),
        (r"^(?:list|show|display) (?=\S)", ""),
        (r" (?:that|who|what) (?:is|are) ", " "),
        (r" (?:currently|actually|really)\b", ""),
        (r"^how (?:do|does|can|could|should) (?:i|we|you|one|people) ", "how to "),
        (r"\b(?:lorry|lorries|truck)\b", "trucks"),
        (r"\b(?:telephone|e-mail)\b", lambda match: {"telephone": "phone"}.get(match[0], "email")),
        (r"\b(?:staff|personnel)\b", "employees"),
        (r"\bpurchase\b", "buy"),
        (r"\bbegin\b", "start"),
    )
]
_HOW_TO = re.compile(r"^how (?:do|can) (?:i|we|one) (?=\S)")
_ARTICLE_KEEPERS = STOPWORDS | {"few", "little", "lot", "number", "bit", "couple"}
_WORDS_THAT_NEED_THE = frozenset(["who", "last", "next", "past"])
_TENS = frozenset(TENS_WORDS)
_UNITS = frozenset(NUMBER_WORDS[1:10])
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
]
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_NUMBERS = {
    **{word: number for number, word in enumerate(NUMBER_WORDS)},
    **{word: 10 * number for number, word in enumerate(TENS_WORDS, 2)},
}
_ORDINAL_SPELLINGS = {word: f"{number}." for number, word in enumerate(_ORDINALS, 1)}
_ORDINAL_PATTERN = re.compile(r"(?<!\d)(\d+)(?:st|nd|rd|th)")
_THOUSAND = 1000
POLITE_ROUNDS_MAX = 8
"""Nobody says please more often; a phrase that stays only costs a cache hit."""


@lru_cache(maxsize=8192)
def canonicalize(query: str) -> str:
    """Return tokens joined by spaces; equal for questions that differ in politeness only."""
    text = query if query == query.upper() else _CASE_SENSITIVE_WORDS.sub(r"^\g<0>", query)
    text = _THOUSANDS_SEPARATED.sub(lambda match: match[0].replace(",", ""), normalize(text))
    for pattern, plain in _SPELLING_VARIANTS:
        text = pattern.sub(plain, text)
    words = _strip_polite_phrases(" ".join(_normalize_numbers(_TOKEN.findall(text)))).split()
    return " ".join(
        word
        for place, word in enumerate(words)
        if not _is_redundant_article(word, words[place + 1 : place + 2])
    )


@lru_cache(maxsize=8192)
def canonicalize_loosely(query: str) -> str:
    """Return a looser canonical form, to be used with a second criterion."""
    text = canonicalize(query)
    for pattern, plain in _LOOSE_VARIANTS:
        text = pattern.sub(plain, text)
    return text


def _strip_polite_phrases(text: str) -> str:
    """Remove polite phrases, one of each kind per round."""
    for _ in range(POLITE_ROUNDS_MAX):
        before = text
        for pattern in _POLITE_PHRASES:
            text = pattern.sub("", text)
        if text == before:
            break
    return _HOW_TO.sub("how to ", text)


def _is_redundant_article(word: str, rest: list[str]) -> bool:
    """Return True for an article without meaning; not in plan a, a few or the last week."""
    after = rest[0] if rest and rest[0].isalpha() else ""
    if word == "the":
        return len(after) > 1 and after not in _WORDS_THAT_NEED_THE
    if word not in ("a", "an"):
        return False
    return len(after) > 1 and after not in _ARTICLE_KEEPERS


def _normalize_numbers(tokens: list[str]) -> list[str]:
    """Write whole numbers in one spelling: twenty-one is 21, five hundred is 500, third is 3rd."""
    normalized: list[str] = []
    tens_before = False
    for token in tokens:
        tens, _, unit = token.partition("-")
        if unit in _UNITS and tens in _TENS:
            normalized.append(str(_NUMBERS[tens] + _NUMBERS[unit]))
        elif tens_before and token in _UNITS:
            normalized[-1] = str(int(normalized[-1]) + _NUMBERS[token])
        elif token in _SCALES and normalized and _is_below_thousand(normalized[-1]):
            normalized[-1] = str(int(normalized[-1]) * _SCALES[token])
        else:
            normalized.append(_normalize_number(token))
        tens_before = token in _TENS
    return normalized


def _is_below_thousand(word: str) -> bool:
    return word.isdecimal() and 0 < int(word) < _THOUSAND


def _normalize_number(token: str) -> str:
    if token in _NUMBERS:
        return str(_NUMBERS[token])
    return _ORDINAL_SPELLINGS.get(token) or _ORDINAL_PATTERN.sub(r"\1.", token)
