"""The words of a question with their places, and what is quoted."""

import re
from dataclasses import dataclass

from router.catalog.folding import fold_word

_CONTRACTIONS = (
    (re.compile(r"\b(?:won['’]t)\b", re.IGNORECASE), "will not"),
    (re.compile(r"\b(?:can['’]t|cannot)\b", re.IGNORECASE), "can not"),
    (re.compile(r"\b(\w+)n['’]t\b", re.IGNORECASE), r"\1 not"),
    (re.compile(r"\b((?:all|any|every)(?: \w+){0,2}) but\b(?! not)", re.IGNORECASE), r"\1 except"),
    (
        re.compile(
            r"\b(more|less|fewer|(?:[a-z]+(?<!oth)(?<!aft)er)) then (?=[$€£]?\d)", re.IGNORECASE
        ),
        r"\1 than ",
    ),
    (
        re.compile(
            r"(?<![\d.,])(\d{1,3})[ \u00a0\u202f](\d{3})(?=[ \u00a0\u202f]\d{3}\b|\b(?![.,]?\d))"
        ),
        r"\1\2",
    ),
    (re.compile(r"\bno longer\b(?! than)", re.IGNORECASE), "not"),
    (re.compile(r"\b(?:sold out|not (?:currently )?in stock)\b", re.IGNORECASE), "out of stock"),
    (re.compile(r"\b(?:took|takes?|taking|taken) place\b", re.IGNORECASE), "occurred"),
    (re.compile(r"\b(who|what|where|when|how|that|there)['’]s\b", re.IGNORECASE), r"\1 is"),
    (re.compile(r"\b(i|you|we|they|he|she|it)['’](?:d|ll|ve|re|m)\b", re.IGNORECASE), r"\1 would"),
    (re.compile(r"(?<=\w)['’](?=(?!s\b)\w{2})"), ""),
)
_TOKEN = re.compile(
    r"\d{4}-\d{2}-\d{2}(?![\d])|[$€£¥]?\d+(?:[.,]\d+)*(?:%|(?:st|nd|rd|th|s|k|m|bn|b|K|M|B)\b)?\+?"
    r"|[<>]=?|=|!=|[^\W\d_]+(?:\d+)?[+#]+(?!\w)|[^\W_]+(?:['’]s\b)?|[\"“”„']|[,;:?!.()/$€£¥-]"
)
_QUOTE = re.compile(r"[\"“„]([^\"“”„]{1,200})[\"”“]|(?<!\w)['‘]([^'’]{2,200})['’](?!\w)")


@dataclass(frozen=True, slots=True)
class QuestionToken:
    """``text`` as written, ``folded`` without case and accents; ``possessive`` had ``'s``."""

    text: str
    folded: str
    start: int
    quoted: bool = False
    possessive: bool = False

    @property
    def is_word(self) -> bool:
        return self.folded[:1].isalnum()

    @property
    def capital(self) -> bool:
        return self.text[:1].isupper()


def tokens_of(question: str) -> tuple[QuestionToken, ...]:
    """Return words, numbers and signs in order; contractions are written out."""
    text = question
    for pattern, full in _CONTRACTIONS:
        text = pattern.sub(full, text)
    quotes = [match.span() for match in _QUOTE.finditer(text)]
    tokens = []
    for match in _TOKEN.finditer(text):
        quoted = any(start < match.start() < end for start, end in quotes)
        possessive = match[0].endswith(("'s", "’s"))
        folded = fold_word(match[0])
        tokens.append(QuestionToken(match[0], folded, match.start(), quoted, possessive))
    return tuple(tokens)
