"""Times in questions as half-open ranges of days: ``start <= day < end``.

"in March 2025" and "from March 2025" are that month, "since March 2025" has no end, "after" begins
behind the span and "before" ends in front of it. A number is a year only where its words say so.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from router.question.language.periods import MONTH, Span, spans_of

_IN = r"(?:in|on|during|of|for|from|at|within|dated|throughout)"
_AFTER = r"(?:after|later than|past|newer than|more recent than|more recently than)"
_BEFORE = r"(?:before|earlier than|prior to|older than|until|till|up to)"
_SINCE = r"(?:since|starting(?: in| from)?|as of|not before|no earlier than|from)"
_BY = r"(?:by|through|not after|no later than|up to and including)"


@dataclass(frozen=True, slots=True)
class DaySpan:
    """Days asked for, and the characters of the question that say so.

    ``bare`` is a lone year without a word that makes it one: "movies 1999".
    """

    start: date | None
    end: date | None
    place: tuple[int, int]
    bare: bool = False
    years: bool = False

    @property
    def words(self) -> str:
        """The range in words."""
        if self.start and self.end:
            if self.end - self.start == timedelta(days=1):
                return f"on {self.start.isoformat()}"
            return f"from {self.start.isoformat()} to {(self.end - timedelta(days=1)).isoformat()}"
        if self.start:
            return f"since {self.start.isoformat()}"
        return f"before {self.end.isoformat()}" if self.end else ""


def date_ranges(text: str, today: date) -> list[DaySpan]:
    """Return the ranges of a question, which do not overlap, in order."""
    lowered = text.lower()
    spans: list[DaySpan] = []
    for span in _candidates(lowered, today):
        if not any(_overlap(span.place, earlier.place) for earlier in spans):
            spans.append(span)
    return sorted(spans, key=lambda span: span.place)


def _overlap(first: tuple[int, int], second: tuple[int, int]) -> bool:
    return first[0] < second[1] and second[0] < first[1]


def _candidates(text: str, today: date) -> Iterator[DaySpan]:
    yield from _between(text, today)
    spans = list(spans_of(text, today))
    places: list[tuple[int, int]] = []
    for span, place, years in spans:
        if any(_overlap(place, earlier) for earlier in places):
            continue
        places.append(place)
        yield _apply_context(text, span, place, years=years)


def _apply_context(text: str, span: Span, place: tuple[int, int], *, years: bool) -> DaySpan:
    """Apply the words in front of a span, and "or later" behind it."""
    before, behind = text[: place[0]], text[place[1] :]
    onwards = re.match(r"\s*(?:onwards?|or later|or after|and later|and after|forward)\b", behind)
    if onwards:
        since = re.search(rf"\b{_SINCE}\s+(?:the\s+)?(?:year\s+)?$", before)
        return DaySpan(
            span[0], None, (since.start() if since else place[0], place[1] + onwards.end())
        )
    earlier = re.match(r"\s*(?:or earlier|or before|and earlier|and before)\b", behind)
    if earlier:
        return DaySpan(None, span[1], (place[0], place[1] + earlier.end()))
    for words, cut in _SIDES:
        side = re.search(rf"\b{words}\s+(?:the\s+)?(?:end of\s+)?(?:year\s+)?$", before)
        if side:
            start, end = cut(span)
            return DaySpan(start, end, (side.start(), place[1]), years=years)
    article = re.search(r"\b(?:the\s+)?year\s+$|\bthe\s+$", before)
    return DaySpan(
        span[0],
        span[1],
        (article.start() if article else place[0], place[1]),
        bare=years and article is None,
        years=years,
    )


_SIDES: tuple[tuple[str, Callable[[Span], tuple[date | None, date | None]]], ...] = (
    (r"on or (?:after|later than)", lambda span: (span[0], None)),
    (r"on or (?:before|earlier than)", lambda span: (None, span[1])),
    (r"(?:not|never)\s+(?:before|until)", lambda span: (span[0], None)),
    (r"(?:not|never)\s+after", lambda span: (None, span[1])),
    (_AFTER, lambda span: (span[1], None)),
    (_BEFORE, lambda span: (None, span[0])),
    (r"(?:since|starting(?: in| from)?|no earlier than)", lambda span: (span[0], None)),
    (_BY, lambda span: (None, span[1])),
    (_IN, lambda span: span),
)


def _between(text: str, today: date) -> Iterator[DaySpan]:
    """Yield "between A and B", "from A to B", "4 to 8 March 2023", "A - B"."""
    pattern = re.compile(
        r"\b(?:between|from)\s{1,3}(?P<first>[^,;?]{1,30}?)\s{1,3}(?:and|to|until|till|through|[-–])\s{1,3}(?P<last>[^,;?]{1,40})"
    )
    for match in pattern.finditer(text):
        span_and_length = _pair(match["first"], match["last"], today)
        if span_and_length:
            span, length = span_and_length
            yield DaySpan(span[0], span[1], (match.start(), match.start("last") + length))
    year_pattern = re.compile(
        r"(?P<first>\b(?:19|20)\d{2})\s*(?:-|–|to)\s*(?P<last>(?:19|20)\d{2})\b"
    )
    for match in year_pattern.finditer(text):
        first, last = int(match["first"]), int(match["last"])
        if first <= last:
            yield DaySpan(date(first, 1, 1), date(last + 1, 1, 1), match.span())


def _pair(first: str, last: str, today: date) -> tuple[Span, int] | None:
    ends = next(((span, place) for span, place, _ in spans_of(last, today) if place[0] == 0), None)
    if ends is None:
        return None
    tail = last[: ends[1][1]]
    for text in (first, f"{first} {_tail(tail)}", f"{first} {ends[0][0].year}"):
        start = next(((span, place) for span, place, _ in spans_of(text, today)), None)
        if start and start[1][0] == 0 and start[0][0] <= ends[0][0]:
            return (start[0][0], ends[0][1]), ends[1][1]
    return None


def _tail(text: str) -> str:
    """Return the month and year of "8 march 2023", which "4" shares."""
    match = re.search(rf"(?:{MONTH}).*$", text)
    return match[0] if match else ""
