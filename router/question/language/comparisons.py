"""Comparisons in questions: "at least 7000", "no more than 500", "between 3 and 5", "7000 or more"."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from router.question.language.numbers import Number, number_at, ordinal_at
from router.question.language.tokens import QuestionToken

Sign = Literal["=", "<", "<=", ">", ">="]
_LARGER = [
    "more",
    "greater",
    "larger",
    "bigger",
    "higher",
    "longer",
    "older",
    "heavier",
    "later",
    "taller",
    "wider",
    "faster",
]
_SMALLER = [
    "less",
    "fewer",
    "smaller",
    "lower",
    "shorter",
    "younger",
    "lighter",
    "cheaper",
    "earlier",
    "slower",
]
_OPPOSITE: dict[Sign, Sign] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "="}
_BEFORE: tuple[tuple[str, Sign], ...] = (
    *((f"no {word} than", "<=") for word in _LARGER),
    *((f"not {word} than", "<=") for word in _LARGER),
    *((f"no {word} than", ">=") for word in _SMALLER),
    *((f"not {word} than", ">=") for word in _SMALLER),
    *((f"{word} than or equal to", ">=") for word in _LARGER),
    *((f"{word} than or equal to", "<=") for word in _SMALLER),
    *((f"{word} than", ">") for word in _LARGER),
    *((f"{word} than", "<") for word in _SMALLER),
    ("more expensive than", ">"),
    ("less expensive than", "<"),
    ("in excess of", ">"),
    ("a minimum of", ">="),
    ("a maximum of", "<="),
    ("minimum of", ">="),
    ("maximum of", "<="),
    ("at least", ">="),
    ("at minimum", ">="),
    ("at most", "<="),
    ("at the most", "<="),
    ("not over", "<="),
    ("not above", "<="),
    ("not exceeding", "<="),
    ("not under", ">="),
    ("not below", ">="),
    ("up to", "<="),
    ("equal to", "="),
    ("upwards of", ">="),
    ("exceeding", ">"),
    ("exceeds", ">"),
    ("exceed", ">"),
    ("over", ">"),
    ("above", ">"),
    ("beyond", ">"),
    ("beats", ">"),
    ("under", "<"),
    ("below", "<"),
    ("beneath", "<"),
    ("exactly", "="),
    ("precisely", "="),
    ("equals", "="),
    (">=", ">="),
    ("<=", "<="),
    (">", ">"),
    ("<", "<"),
    ("=", "="),
)
_AFTER: tuple[tuple[str, Sign], ...] = (
    *((f"or {word}", ">=") for word in (*_LARGER, "above", "over", "up")),
    *((f"and {word}", ">=") for word in ("above", "over", "up", "more")),
    *((f"or {word}", "<=") for word in (*_SMALLER, "below", "under")),
    *((f"and {word}", "<=") for word in ("below", "under", "less")),
    ("at least", ">="),
    ("at most", "<="),
    ("minimum", ">="),
    ("maximum", "<="),
)
_PHRASES_BEFORE = sorted(
    ((tuple(text.split()), sign) for text, sign in _BEFORE), key=lambda p: -len(p[0])
)
_PHRASES_AFTER = [(tuple(text.split()), sign) for text, sign in _AFTER]
_SIGNED: dict[str, Sign] = {"negative": "<", "positive": ">"}
_SIDES: dict[str, Sign] = {"after": ">", "before": "<", "past": ">"}
"""Sides of an ordinal: "after the 80th minute"."""
SIGN_TOKENS_MAX = 16
"""Tokens before a number that may belong to its sign: the longest phrase and its fillers."""
_NEGATIONS = frozenset(("not", "never", "no"))
_FILLERS = frozenset(("of", "a", "an", "the", "about", "around", "just", "than"))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number and its sign, and the places of its tokens: ``start <= place < end``.

    ``adjective`` is the comparing word ("longer"), which hints at the column. ``marked`` is False
    for a lone number.
    """

    sign: Sign
    value: Number
    start: int
    end: int
    adjective: str = ""
    marked: bool = True
    high: Number | None = None  # of a range, both ends inclusive


def comparisons_of(
    tokens: Sequence[QuestionToken], excluded: frozenset[int] = frozenset()
) -> list[Comparison]:
    """Return the comparisons outside of the places ``excluded``, in order."""
    comparisons, place = list[Comparison](), 0
    while place < len(tokens):
        comparison = None if place in excluded else _at(tokens, place, excluded)
        if comparison is None:
            place += 1
        else:
            comparisons.append(comparison)
            place = comparison.end
    return comparisons


def _at(tokens: Sequence[QuestionToken], place: int, excluded: frozenset[int]) -> Comparison | None:
    ranged = _range(tokens, place, excluded)
    if ranged is not None:
        return ranged
    number = number_at(tokens, place)
    if number is None:
        return _unwritten(tokens, place)
    value, end = number
    plus = tokens[end - 1].text.endswith("+")
    start, sign, adjective = _sign_before(tokens, place)
    sign_after = _sign_after(tokens, end)
    if sign is not None:
        return Comparison(sign, value, start, end, adjective)
    if sign_after is not None:
        return Comparison(sign_after[0], value, place, sign_after[1])
    return Comparison(">=" if plus else "=", value, place, end, marked=plus)


def _unwritten(tokens: Sequence[QuestionToken], place: int) -> Comparison | None:
    """Read "negative", "the third", and "after the 80th" minute."""
    ordinal = ordinal_at(tokens, place)
    if ordinal is None:
        sign = _SIGNED.get(tokens[place].folded)
        return None if sign is None else Comparison(sign, 0, place, place + 1)
    before = [token.folded for token in tokens[max(place - 2, 0) : place]]
    if before[1:] == ["the"] and before[0] in _SIDES and tokens[place].text[0].isdigit():
        return Comparison(_SIDES[before[0]], ordinal, place - 2, place + 1)
    return Comparison("=", ordinal, place, place + 1, marked=False)


def _range(
    tokens: Sequence[QuestionToken], place: int, excluded: frozenset[int]
) -> Comparison | None:
    """Read "between A and B", "from A to B" and "A to B"; dates were taken before."""
    opening = tokens[place].folded in ("between", "from", "ranging")
    start = place + 1 if opening else place
    first = number_at(tokens, start) if start < len(tokens) and start not in excluded else None
    if first is None or first[1] >= len(tokens) - 1:
        return None
    joint = tokens[first[1]].folded
    if joint not in (("and", "to", "-") if opening else ("to", "-")) or first[1] + 1 in excluded:
        return None
    second = number_at(tokens, first[1] + 1)
    if second is None or second[0] < first[0]:
        return None
    return Comparison(">=", first[0], place, second[1], high=second[0])


def _sign_before(tokens: Sequence[QuestionToken], place: int) -> tuple[int, Sign | None, str]:
    first = max(place - SIGN_TOKENS_MAX, 0)
    words = [token.folded for token in tokens[first:place]]
    while words and words[-1] in ("a", "the", "$", "about", "of") and len(words) > 1:
        if _ends(words):
            break
        words = words[:-1]
    for phrase, plain in _PHRASES_BEFORE:
        if tuple(words[-len(phrase) :]) == phrase:
            start, sign = len(words) - len(phrase), plain
            if start and words[start - 1] in _NEGATIONS and phrase[0] not in ("no", "not"):
                start, sign = start - 1, _OPPOSITE[plain]
            return first + start, sign, next((word for word in phrase if word.endswith("er")), "")
    return place, None, ""


def _ends(words: Sequence[str]) -> bool:
    return any(tuple(words[-len(phrase) :]) == phrase for phrase, _ in _PHRASES_BEFORE)


def _sign_after(tokens: Sequence[QuestionToken], end: int) -> tuple[Sign, int] | None:
    # One unit may lie between: "7000 ms or more".
    for gap in (0, 1):
        words = [token.folded for token in tokens[end + gap : end + gap + 3]]
        for phrase, sign in _PHRASES_AFTER:
            if tuple(words[: len(phrase)]) == phrase:
                return sign, end + gap + len(phrase)
    return None
