"""Time in questions: "in March 2025", "since 2024-11-01", "last week", "the latest …".

A window is half open: ``start <= day < end``; None is unbounded. Windows are in days, without time
zones, since a record's ``occurred_on`` is a date.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from router.english_words import MONTHS, UNIT_DAYS

TimeOrder = Literal["latest", "earliest"]
_MONTH_PATTERN = r"(?P<month>" + "|".join(f"{m[:3]}(?:{m[3:]})?" for m in MONTHS) + r")\.?"
_ISO_PATTERN = r"(?P<iso>\d{4}-\d{2}-\d{2})"
_DAY_PATTERN = (
    rf"(?:(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH_PATTERN}|\b(?P<m2>[a-z]{{3,9}})\.? (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?),? "
    r"(?P<y>\d{4})"
)
_EARLIEST = re.compile(r"\b(first|earliest|oldest)\b")
_LATEST = re.compile(r"\b(latest|most recent|newest|recently|recent|last time|last)\b")


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A window of days, and the end of it that the question asks for."""

    start: date | None = None
    end: date | None = None
    order: TimeOrder | None = None

    @property
    def is_bounded(self) -> bool:
        return self.start is not None or self.end is not None

    @property
    def is_empty(self) -> bool:
        """Return true when the window ends before it begins: "after 2024 and before 2020"."""
        return self.start is not None and self.end is not None and self.start >= self.end

    def __str__(self) -> str:
        bounds = ((self.start, "from"), (self.end, "before"))
        return " and ".join(f"{word} {day.isoformat()}" for day, word in bounds if day)

    def contains(self, day: date) -> bool:
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)


def parse_time_range(question: str, today: date) -> TimeRange | None:
    """Parse the time in a question; return None when it has none."""
    text = " ".join(question.lower().split())
    start, end = _bounds(text, today)
    order: TimeOrder | None = None
    if _EARLIEST.search(text):
        order = "earliest"
    elif _LATEST.search(text):
        order = "latest"
    if start is None and end is None and order is None:
        return None
    return TimeRange(start, end, order)


_ADJACENT_RANGE = re.compile(
    r"\b(?P<n>\d{1,3}|a|one|the)? ?(?P<unit>day|week|month|year)s? (?P<side>before|after) (?P<rest>.+)"
)


def _adjacent_range(text: str, today: date) -> tuple[date, date] | None:
    """Parse "the week before 3 May 2025": a window of that length, adjacent to the date."""
    match = _ADJACENT_RANGE.search(text)
    span = _first_span(match["rest"], today) if match else None
    if match is None or span is None:
        return None
    number = int(match["n"]) if (match["n"] or "").isdigit() else 1
    length = timedelta(days=number * UNIT_DAYS[match["unit"]])
    if match["side"] == "before":
        return span[0] - length, span[0]
    return span[1], span[1] + length


def _bounds(text: str, today: date) -> tuple[date | None, date | None]:
    adjacent = _adjacent_range(text, today)
    if adjacent:
        return adjacent
    between = re.search(r"\b(?:between|from) (.+?) (?:and|to|until|till) (.+?)(?:[?.,]|$)", text)
    if between:
        second = _first_span(between[2], today)
        first = _first_span(between[1], today) or (
            second and _span_with_shared_year(between[1], second, today)
        )
        if first and second:
            return first[0], second[1]
    cuts = list(_open_bounds(text, today))
    if not cuts:
        return _first_span(text, today) or (None, None)
    starts, ends = zip(*cuts, strict=True)
    return max(filter(None, starts), default=None), min(filter(None, ends), default=None)


def _span_with_shared_year(
    text: str, second: tuple[date, date], today: date
) -> tuple[date, date] | None:
    """Complete the first month of a range whose year follows only the second month.

    Examples: March in "between March and May 2025", November in "… November and January 2025".
    """
    for year in (second[0].year, second[0].year - 1):
        span = _first_span(f"{text} {year}", today, anchored=True)
        if span and span[0] < second[0]:
            return span
    return None


def _open_bounds(text: str, today: date) -> Iterator[tuple[date | None, date | None]]:
    """Yield the bounds of "since …", "after …" and "before …"; all of them must hold."""
    for word, cut in _OPEN_BOUNDS.items():
        side = re.search(rf"\b(?:{word}) (.+)", text)
        span = _first_span(side[1], today, anchored=True) if side else None
        if span:
            yield cut(span)


_BoundsOf = Callable[[tuple[date, date]], tuple[date | None, date | None]]
_OPEN_BOUNDS: dict[str, _BoundsOf] = {
    "since|from|starting": lambda span: (span[0], None),
    "after": lambda span: (span[1], None),
    "before|until|till|by|prior to": lambda span: (None, span[0]),
}


def _first_span(text: str, today: date, *, anchored: bool = False) -> tuple[date, date] | None:
    """Return the first date expression of ``text`` as (first day, day after the last)."""
    for pattern, reader in _SPAN_READERS:
        match = (pattern.match if anchored else pattern.search)(text)
        if match:
            try:
                return reader(match, today)
            except (ValueError, OverflowError):  # 31 June, year 0: not a date after all
                continue
    return None


def _month_number(name: str) -> int:
    for number, month in enumerate(MONTHS, start=1):
        if name[:3] == month[:3] and month.startswith(name):
            return number
    raise ValueError(name)


def _day_span(day: date) -> tuple[date, date]:
    return day, day + timedelta(days=1)


def _month_span(year: int, month: int) -> tuple[date, date]:
    following = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, 1), following


def _quarter_span(year: int, quarter: int) -> tuple[date, date]:
    return date(year, 3 * quarter - 2, 1), _month_span(year, 3 * quarter)[1]


def _read_iso_day(match: re.Match[str], _: date) -> tuple[date, date]:
    return _day_span(date.fromisoformat(match["iso"]))


def _read_day(match: re.Match[str], _: date) -> tuple[date, date]:
    month = _month_number(match["month"] or match["m2"])
    return _day_span(date(int(match["y"]), month, int(match["d1"] or match["d2"])))


def _read_month(match: re.Match[str], today: date) -> tuple[date, date]:
    month = _month_number(match["month"])
    year = int(match["y"]) if match["y"] else today.year - (month > today.month)
    return _month_span(year, month)


def _read_quarter(match: re.Match[str], today: date) -> tuple[date, date]:
    return _quarter_span(int(match["y"] or today.year), int(match["q"]))


def _read_year(match: re.Match[str], _: date) -> tuple[date, date]:
    year = int(match["y"])
    return date(year, 1, 1), date(year + 1, 1, 1)


def _read_past_units(match: re.Match[str], today: date) -> tuple[date, date]:
    days = UNIT_DAYS[match["unit"]] * int(match["n"])
    return today - timedelta(days=days), today + timedelta(days=1)


def _read_calendar_unit(match: re.Match[str], today: date) -> tuple[date, date]:
    back = 0 if match["which"] == "this" else 1
    unit = match["unit"]
    if unit == "week":
        monday = today - timedelta(days=today.weekday() + 7 * back)
        return monday, monday + timedelta(days=7)
    if unit == "month":
        index = today.year * 12 + today.month - 1 - back
        return _month_span(index // 12, index % 12 + 1)
    if unit == "quarter":
        index = today.year * 4 + (today.month - 1) // 3 - back
        return _quarter_span(index // 4, index % 4 + 1)
    return date(today.year - back, 1, 1), date(today.year - back + 1, 1, 1)


_SpanReader = Callable[[re.Match[str], date], tuple[date, date]]
_SPAN_READERS: tuple[tuple[re.Pattern[str], _SpanReader], ...] = (
    (re.compile(_ISO_PATTERN), _read_iso_day),
    (re.compile(_DAY_PATTERN), _read_day),
    (re.compile(rf"\b{_MONTH_PATTERN},?(?: of)? (?P<y>\d{{4}})\b"), _read_month),
    (re.compile(r"\bq(?P<q>[1-4])(?: of)?(?: (?P<y>\d{4}))?\b"), _read_quarter),
    (
        re.compile(
            r"\b(?:last|past|previous) (?P<n>\d{1,3}) (?P<unit>day|week|month|quarter|year)s?"
        ),
        _read_past_units,
    ),
    (
        re.compile(r"\b(?P<which>this|last|previous|past) (?P<unit>week|month|quarter|year)\b"),
        _read_calendar_unit,
    ),
    (re.compile(r"\byesterday\b"), lambda _, today: (today - timedelta(days=1), today)),
    (re.compile(r"\btoday\b"), lambda _, today: _day_span(today)),
    (
        re.compile(
            r"\b(?:in|during|of|for|since|before|after|until|from) (?P<month>"
            + "|".join(MONTHS)
            + r")\b(?P<y>)"
        ),
        _read_month,
    ),
    (re.compile(r"\b(?P<y>(?:19|20)\d{2})\b(?!-)"), _read_year),
)
