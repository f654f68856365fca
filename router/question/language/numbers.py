"""Numbers as people write them: ``1,000``, ``10.000``, ``12 thousand``, ``1.5m``, ``two dozen``."""

import re
from collections.abc import Sequence

from router.english_words import NUMBER_WORDS, TENS_WORDS
from router.question.language.tokens import QuestionToken

_UNITS = {word: number for number, word in enumerate(NUMBER_WORDS)}
_TENS = {word: 10 * number for number, word in enumerate(TENS_WORDS, start=2)}
SCALES = {
    "hundred": 100,
    "thousand": 1000,
    "k": 1000,
    "million": 10**6,
    "mio": 10**6,
    "m": 10**6,
    "billion": 10**9,
    "bn": 10**9,
    "b": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}
_WRITTEN = re.compile(
    r"(?P<currency>[$€£¥])?(?P<digits>\d+(?:[.,]\d+)*)(?P<scale>k|m|bn|b)?(?P<percent>%)?(?P<plus>\+)?",
    re.IGNORECASE,
)
Number = int | float


def number_at(tokens: Sequence[QuestionToken], place: int) -> tuple[Number, int] | None:
    """Return the number that begins at ``place`` and the place after it."""
    token = tokens[place]
    match = _WRITTEN.fullmatch(token.text)
    if match:
        value = digits_value(match["digits"])
        if match["scale"]:
            value *= SCALES[match["scale"].lower()]
        return _apply_scales(value, tokens, place + 1)
    spelled, place = _read_number_words(tokens, place)
    return None if spelled is None else _apply_scales(spelled, tokens, place)


def ordinal_at(tokens: Sequence[QuestionToken], place: int) -> int | None:
    """Return 3 for "the third" and "3rd"; "first" orders rows, and a second is a time too."""
    word = tokens[place].folded
    match = re.fullmatch(r"(\d+)(?:st|nd|rd|th)", word)
    if match:
        return int(match[1])
    determined = place > 0 and tokens[place - 1].folded == "the"
    return _ORDINALS.get(word) if determined else None


_ORDINALS = {
    word: number
    for number, word in enumerate(
        ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"), 2
    )
}


def digits_value(digits: str) -> Number:
    """``1,000`` and ``10.000`` are thousands, ``1,5`` and ``1.5`` have a fraction."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        digits = digits.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", digits):
        digits = digits.replace(".", "").replace(",", ".")
    else:
        digits = digits.replace(",", ".")
    if digits.count(".") > 1:
        digits = digits.replace(".", "")
    return float(digits) if "." in digits else int(digits)


def _read_number_words(tokens: Sequence[QuestionToken], place: int) -> tuple[Number | None, int]:
    word = tokens[place].folded
    following = tokens[place + 1].folded if place + 1 < len(tokens) else ""
    if word in _TENS:
        if following == "-" and place + 2 < len(tokens) and tokens[place + 2].folded in _UNITS:
            return _TENS[word] + _UNITS[tokens[place + 2].folded], place + 3
        if following in _UNITS:
            return _TENS[word] + _UNITS[following], place + 2
        return _TENS[word], place + 1
    if word in _UNITS:
        return _UNITS[word], place + 1
    if word in ("a", "one") and following in SCALES and len(following) > 1:
        return 1, place + 1
    words = [token.folded for token in tokens[place : place + 3]]
    half = words[:1] == ["half"] and words[1:2] in (["a"], ["an"])
    half = half and (words[-1] in SCALES or words[-1] in ("hour", "day", "minute"))
    return (0.5, place + 2) if half else (None, place)


def _apply_scales(value: Number, tokens: Sequence[QuestionToken], place: int) -> tuple[Number, int]:
    while place < len(tokens) and tokens[place].folded in SCALES:
        if tokens[place].folded == "m" and tokens[place - 1].text[:1] not in "$€£¥":
            break  # "500 m" are metres
        value *= SCALES[tokens[place].folded]
        place += 1
    return int(value) if value == int(value) else value, place


def is_spelled(word: str) -> bool:
    """Return True for a number word: ``seven``."""
    return word in _UNITS or word in _TENS
