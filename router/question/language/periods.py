"""Single periods in a text: days, months, quarters, halves, years, decades, centuries.

Each pattern is read by one function. A period is half-open: ``start <= day < end``.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from router.english_words import MONTHS, NUMBER_WORDS, UNIT_DAYS

MONTH = "|".join(sorted({*MONTHS, *(month[:3] for month in MONTHS), "sept"}, key=len, reverse=True))
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_NUMBERS = {word: number for number, word in enumerate(NUMBER_WORDS[1:11], start=1)} | {
    "a": 1,
    "couple of": 2,
}
_COUNT = rf"(?P<n>\d{{1,4}}|{'|'.join(_NUMBERS)})"
LAST = 0
_ORDINALS = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fourth": 4,
    "1st": 1,
    "2nd": 2,
    "3rd": 3,
    "4th": 4,
    "last": LAST,
}
Span = tuple[date, date]


def spans_of(text: str, today: date) -> Iterator[tuple[Span, tuple[int, int], bool]]:
    """Yield the spans of single dates, the surest patterns first; the last are lone years."""
    for number, (pattern, read) in enumerate(_PATTERNS):
        for match in pattern.finditer(text):
            try:
                yield read(match, today), match.span(), number == len(_PATTERNS) - 1
            except (ValueError, OverflowError):
                continue


def _month_of(name: str) -> int:
    return next(number for number, month in enumerate(MONTHS, 1) if month[:3] == name[:3])


def _one_day(day: date) -> Span:
    return day, day + timedelta(days=1)


def _month(year: int, month: int) -> Span:
    return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)


def _quarter(year: int, quarter: int) -> Span:
    return date(year, 3 * quarter - 2, 1), _month(year, 3 * quarter)[1]


def _years(first: int, count: int) -> Span:
    return date(first, 1, 1), date(first + count, 1, 1)


def _calendar_day(match: re.Match[str], today: date) -> Span:
    year = int(match["year"]) if match["year"] else today.year
    return _one_day(date(year, _month_of(match["month"]), int(match["day"])))


def _calendar_month(match: re.Match[str], today: date) -> Span:
    month = _month_of(match["month"])
    year = int(match["year"]) if match["year"] else today.year - (month > today.month)
    return _month(year, month)


def _decade(match: re.Match[str], _: date) -> Span:
    number = int(match["decade"])
    century = 1900 if number < 100 else 0  # noqa: PLR2004 - "the 80s"
    if number < 30:  # noqa: PLR2004 - "the 20s" are this century's
        century = 2000
    return _years(century + number, 10)


def _part_of_year(match: re.Match[str], _: date) -> Span:
    year, place = int(match["year"]), _ORDINALS[match["nth"]]
    if match["part"] == "quarter":
        return _quarter(year, 4 if place == LAST else place)
    return _half_of(year, 2 if place == LAST else place)


def _half(match: re.Match[str], _: date) -> Span:
    return _half_of(int(match["year"]), int(match["h"]))


def _half_of(year: int, half: int) -> Span:
    return _quarter(year, 2 * half - 1)[0], _quarter(year, 2 * half)[1]


def _century(match: re.Match[str], _: date) -> Span:
    return _years(100 * int(match["nth"]) - 99, 100)


def _past(match: re.Match[str], today: date) -> Span:
    number = match["n"]
    count = int(number) if number.isdigit() else _NUMBERS[number]
    days = UNIT_DAYS[match["unit"]] * count
    return today - timedelta(days=days), today + timedelta(days=1)


def _ago(match: re.Match[str], today: date) -> Span:
    number = match["n"]
    count = int(number) if number.isdigit() else _NUMBERS[number]
    return _one_day(today - timedelta(days=UNIT_DAYS[match["unit"]] * count))


def _calendar(match: re.Match[str], today: date) -> Span:
    step = {"this": 0, "current": 0, "next": 1, "coming": 1}.get(match["which"], -1)
    unit = match["unit"]
    if unit == "day":
        return _one_day(today + timedelta(days=step))
    if unit == "week":
        monday = today - timedelta(days=today.weekday()) + timedelta(days=7 * step)
        return monday, monday + timedelta(days=7)
    if unit == "month":
        index = today.year * 12 + today.month - 1 + step
        return _month(index // 12, index % 12 + 1)
    if unit == "quarter":
        index = today.year * 4 + (today.month - 1) // 3 + step
        return _quarter(index // 4, index % 4 + 1)
    return _years(today.year + step, 1)


_Reader = Callable[[re.Match[str], date], Span]
_PATTERNS: tuple[tuple[re.Pattern[str], _Reader], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (
            r"\b(?P<iso>\d{4}-\d{2}-\d{2})\b",
            lambda match, _: _one_day(date.fromisoformat(match["iso"])),
        ),
        (
            r"\b(?P<year>(?:19|20)\d{2})-(?P<m>0[1-9]|1[0-2])\b(?!-)",
            lambda match, _: _month(int(match["year"]), int(match["m"])),
        ),
        (
            r"\b(?P<day>\d{1,2})[./](?P<m>\d{1,2})[./](?P<year>(?:19|20)\d{2})\b",
            lambda match, _: _one_day(date(int(match["year"]), int(match["m"]), int(match["day"]))),
        ),
        (rf"\b{_DAY}(?: of)? (?P<month>{MONTH})\b\.?,?(?: (?P<year>\d{{4}})\b)?", _calendar_day),
        (rf"\b(?P<month>{MONTH})\.? {_DAY}\b(?!\d),?(?: (?P<year>\d{{4}})\b)?", _calendar_day),
        (rf"\b(?P<month>{MONTH})\.?,?(?: of)? (?P<year>\d{{4}})\b", _calendar_month),
        (
            r"\bq(?P<q>[1-4])(?: of)? ?(?P<year>\d{4})?\b|\b(?P<year2>\d{4}) ?q(?P<q2>[1-4])\b",
            lambda match, today: _quarter(
                int(match["year"] or match["year2"] or today.year), int(match["q"] or match["q2"])
            ),
        ),
        (
            rf"\b(?P<nth>{'|'.join(_ORDINALS)}) (?P<part>quarter|half) (?:of )?(?:the year )?"
            r"(?P<year>\d{4})\b",
            _part_of_year,
        ),
        (r"\bh(?P<h>[12]) ?(?P<year>\d{4})\b", _half),
        (r"\b(?P<nth>\d{1,2})(?:st|nd|rd|th) century\b", _century),
        (r"\b(?P<decade>(?:1[89]|20)\d0)['’]?s\b", _decade),
        (r"(?<=\bthe )['’]?(?P<decade>\d0)['’]?s\b", _decade),
        (
            rf"\b(?:the )?(?:last|past|previous) {_COUNT} "
            r"(?P<unit>day|week|month|quarter|year)s?\b",
            _past,
        ),
        (
            rf"\b{_COUNT} (?P<unit>day|week|month|year)s? ago\b",
            _ago,
        ),
        (
            r"\b(?P<which>this|last|previous|past|current|next|coming) "
            r"(?P<unit>week|month|quarter|year)\b",
            _calendar,
        ),
        (r"\byesterday\b", lambda _, today: _one_day(today - timedelta(days=1))),
        (r"\btoday\b", lambda _, today: _one_day(today)),
        (r"\btomorrow\b", lambda _, today: _one_day(today + timedelta(days=1))),
        (rf"(?<=\bin )(?P<month>{'|'.join(MONTHS)})\b(?P<year>)", _calendar_month),
        (
            rf"(?<=\bsince )(?P<month>{'|'.join(MONTHS)})\b(?P<year>)",
            _calendar_month,
        ),
        (
            r"(?<![\d.,#$€£-])\b(?P<year>1[0-9]\d{2}|20\d{2}|21\d{2})\b(?![-.,]?\d)(?!\s*(?:%|€|\$|usd|eur))",
            lambda match, _: _years(int(match["year"]), 1),
        ),
    )
)
