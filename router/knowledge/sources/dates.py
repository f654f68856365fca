"""Dates as people write them, read by one order for a whole column."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

_MONTHS = {
    name: number
    for number, names in enumerate(
        [
            "jan january",
            "feb february",
            "mar march",
            "apr april",
            "may",
            "jun june",
            "jul july",
            "aug august",
            "sep sept september",
            "oct october",
            "nov november",
            "dec december",
        ],
        start=1,
    )
    for name in names.split()
}
_TIME = r"(?:[T ,]+\d{1,2}:\d{2}.*)?"
_PATTERNS = {
    "ymd": re.compile(rf"(?P<y>\d{{4}})[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}}){_TIME}"),
    "dmy": re.compile(rf"(?P<d>\d{{1,2}})[-/.](?P<m>\d{{1,2}})[-/.](?P<y>\d{{4}}|\d\d){_TIME}"),
    "mdy": re.compile(rf"(?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}})[-/.](?P<y>\d{{4}}|\d\d){_TIME}"),
    "d month y": re.compile(
        rf"(?:[A-Za-z]{{3,9}},? )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[- .]+(?P<m>[A-Za-z]{{3,9}})\.?[-, ]+"
        rf"(?P<y>\d{{4}}|\d\d){_TIME}"
    ),
    "month d y": re.compile(
        rf"(?P<m>[A-Za-z]{{3,9}})\.?[- ]+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[-, ]+(?P<y>\d{{4}}){_TIME}"
    ),
}
ORDERS = ("ymd", "dmy", "mdy")
_CENTURY_PIVOT = 69  # as in POSIX: 69 to 99 are of the last century
_DATE_CHARS_MAX = 40
_COLUMN_SHARE_MIN = 0.9
"""A column is one of dates when at least this share of its values is."""


def parse_date(text: str, order: str) -> date | None:
    """Return the date of ``text`` in one order or ``strptime`` format; None when it does not fit."""
    text = text.strip()
    if order not in _PATTERNS:
        try:
            return datetime.strptime(text, order).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            return None
    match = _PATTERNS[order].fullmatch(text)
    return _build_date(match) if match else None


def _build_date(match: re.Match[str]) -> date | None:
    month = match["m"]
    number = int(month) if month.isdigit() else _MONTHS.get(month.lower(), 0)
    year = int(match["y"])
    if len(match["y"]) == 2:  # noqa: PLR2004 - two digits
        year += 1900 if year >= _CENTURY_PIVOT else 2000
    try:
        return date(year, number, int(match["d"]))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class DateColumn:
    """The orders that read a column's dates. More than one: the column is ambiguous."""

    orders: tuple[str, ...]

    @property
    def is_ambiguous(self) -> bool:
        """Return True if day and month could be either."""
        return {"dmy", "mdy"} <= set(self.orders)

    def parse(self, text: str) -> date | None:
        """Return the date of one value, or None."""
        return next((day for order in self.orders if (day := parse_date(text, order))), None)


class DateVotes:
    """Counts how many values of a column each order reads."""

    def __init__(self) -> None:
        self._reads: Counter[str] = Counter()
        self._values = 0

    def add(self, text: str) -> None:
        """Count one value."""
        self._values += 1
        if len(text) > _DATE_CHARS_MAX:
            return
        for order in _PATTERNS:
            if parse_date(text, order) is not None:
                self._reads[order] += 1

    def column(self, stated_format: str, *, is_date: bool) -> DateColumn | None:
        """Return the orders of the column; None when it holds other things.

        ``stated_format`` is the person's order or format. ``is_date``: the column's name says that it holds
        dates, so that a few values are enough.
        """
        needed = 1 if is_date else max(1, _COLUMN_SHARE_MIN * self._values)
        day_first, month_first = self._reads["dmy"], self._reads["mdy"]
        numeric = max(day_first, month_first)
        named_months = self._reads["d month y"] + self._reads["month d y"]
        if stated_format and is_date:
            return DateColumn((stated_format, *_others(self._reads)))
        if numeric + named_months + self._reads["ymd"] < needed:
            return None
        orders = list(_others(self._reads))
        if numeric and stated_format in ORDERS:
            orders.append(stated_format)
        elif numeric:
            orders += [o for o, n in (("dmy", day_first), ("mdy", month_first)) if n == numeric]
        return DateColumn(tuple(orders))


def _others(reads: Counter[str]) -> Iterable[str]:
    return (order for order in ("ymd", "d month y", "month d y") if reads[order])
