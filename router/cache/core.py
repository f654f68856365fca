"""The core of a question: every word and sign, less the manner of asking.

Two questions certainly ask for the same only when their cores are equal. So this fails closed: it
knows what may go (politeness, articles, contractions, the spellings of one number) and keeps the
rest, in order, letters with their accents, of any script. Stems are for ranking, not for this: by
stem, Kelly is Keller and the payer is the payee.
"""

import re
from functools import lru_cache

from router.backends.words import STOPWORDS
from router.rewrite import normalise

_TOKEN = re.compile(r"[^\W_]+(?:['.,:/&@_-]+[^\W_]+)*|\S")
_THOUSANDS = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,]|\.\d)")
_CAPITALS = re.compile(r"\b(?:US|IT|WHO)\b|(?<=\S )A(?= )")  # other words than in lower case
_SPELLINGS = [
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\bwon't\b", "will not"),
        (r"\b(?:can't|cannot)\b", "can not"),
        (r"\b(is|are|was|were|do|does|did|has|have|had|would|could|should|must)n't\b", r"\1 not"),
        (r"\b(what|who|where|when|how)'s\b", r"\1 is"),
        (r"\bwhich\b", "what"),
    )
]
_MANNER = [
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
_NEARLY = [
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"^what (?:is|are) (?=\S)", ""),
        (r"^(?:list|show|display) (?=\S)", ""),
        (r" (?:that|who|what) (?:is|are) ", " "),
        (r" (?:currently|actually|really)\b", ""),
        (r"^how (?:do|does|can|could|should) (?:i|we|you|one|people) ", "how to "),
        (r"\b(?:lorry|lorries|truck)\b", "trucks"),
        (r"\b(?:telephone|e-mail)\b", lambda found: {"telephone": "phone"}.get(found[0], "email")),
        (r"\b(?:staff|personnel)\b", "employees"),
        (r"\bpurchase\b", "buy"),
        (r"\bbegin\b", "start"),
    )
]
_HOW_TO = re.compile(r"^how (?:do|can) (?:i|we|one) (?=\S)")
_LESS_THAN_AN_ARTICLE = frozenset(["few", "little", "lot", "number", "bit", "couple"])
_MORE_THAN_AN_ARTICLE = frozenset(["who", "last", "next", "past"])
_UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
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
    **{word: number for number, word in enumerate([*_UNITS, *_TEENS])},
    **{word: 10 * number for number, word in enumerate(_TENS, 2)},
}
_ORDERED = {word: f"{number}." for number, word in enumerate(_ORDINALS, 1)}
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_THOUSAND = 1000


@lru_cache(maxsize=8192)
def core(query: str) -> str:
    """Tokens, one space between them; equal for questions that differ in manner only."""
    text = query if query == query.upper() else _CAPITALS.sub(r"^\g<0>", query)
    text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), normalise(text))
    for pattern, plain in _SPELLINGS:
        text = pattern.sub(plain, text)
    words = _plain(" ".join(_numbers(_TOKEN.findall(text)))).split()
    return " ".join(
        word for place, word in enumerate(words) if not _article(word, words[place + 1 :])
    )


@lru_cache(maxsize=8192)
def nearly(query: str) -> str:
    """The core with less certain differences evened out: to be trusted with a second witness."""
    text = core(query)
    for pattern, plain in _NEARLY:
        text = pattern.sub(plain, text)
    return text


def _plain(text: str) -> str:
    """Without manner, until nothing more goes."""
    before = None
    while text != before:
        before = text
        for pattern in _MANNER:
            text = pattern.sub("", text)
    return _HOW_TO.sub("how to ", text)


def _article(word: str, rest: list[str]) -> bool:
    """Not so in plan a, vitamin a of; nor is a few the same as few, or the last week as last week."""
    after = rest[0] if rest and rest[0].isalpha() else ""
    if word == "the":
        return len(after) > 1 and after not in _MORE_THAN_AN_ARTICLE
    if word not in ("a", "an"):
        return False
    return len(after) > 1 and after not in STOPWORDS | _LESS_THAN_AN_ARTICLE


def _numbers(tokens: list[str]) -> list[str]:
    """One spelling for a whole number: twenty-one is 21, five hundred is 500, third is 3rd."""
    written: list[str] = []
    tens_before = False
    for token in tokens:
        tens, _, unit = token.partition("-")
        if tens in _TENS and unit in _UNITS[1:]:
            written.append(str(_NUMBERS[tens] + _NUMBERS[unit]))
        elif tens_before and token in _UNITS[1:]:
            written[-1] = str(int(written[-1]) + _NUMBERS[token])
        elif token in _SCALES and written and _below_thousand(written[-1]):
            written[-1] = str(int(written[-1]) * _SCALES[token])
        else:
            written.append(_number(token))
        tens_before = token in _TENS
    return written


def _below_thousand(word: str) -> bool:
    return word.isdecimal() and 0 < int(word) < _THOUSAND


def _number(token: str) -> str:
    if token in _NUMBERS:
        return str(_NUMBERS[token])
    return _ORDERED.get(token) or _ORDINAL.sub(r"\1.", token)
