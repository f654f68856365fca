"""Values of cells, and a profile of each column that decides how its cells are read."""

import re
from dataclasses import dataclass, field, replace

from router.knowledge.records import Attribute
from router.knowledge.sources.dates import DateColumn, DateVotes
from router.knowledge.sources.numbers import NumberFormat, NumberVotes
from router.knowledge.sources.source import ReadOptions

DATE_FIELDS = ("occurred_on", "date")
_NULLS = frozenset({"n/a", "#n/a", "null", "nan", "<na>", "\\n"})
_NULLS_BESIDE_NUMBERS = _NULLS | {"na", "none", "nil", "-", "--", ".", "?", "missing", "unknown"}
_MARKER_CHARS_MAX = 20
_BARE_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})")
_BARE_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})\.\d{1,15}")
INTEGER_MAX = 2**63 - 1
"""The largest that every store holds; a longer number stays text."""


def parse_cell(text: str) -> Attribute | None:
    """Return a cell's value: whole number, number, truth value or text; None when it is empty.

    Numbers with a leading zero stay text (postcodes), and so does ``1_000``.
    """
    text = text.strip()
    if not text:
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _BARE_INTEGER.fullmatch(text):
        return int(text)
    if _BARE_NUMBER.fullmatch(text):
        return float(text)
    return text


@dataclass(slots=True)
class ColumnProfile:
    """Counts of a column's values that are numbers, dates or other texts."""

    values: int = 0
    numbers: int = 0
    dates: DateVotes = field(default_factory=DateVotes)
    formats: NumberVotes = field(default_factory=NumberVotes)

    def add(self, value: object) -> None:
        """Count one value. Empty cells and null markers do not count."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return
        if isinstance(value, str) and _is_marker(value, _NULLS_BESIDE_NUMBERS):
            return
        cell = parse_cell(value) if isinstance(value, str) else value
        self.values += 1
        if isinstance(value, str):
            self.formats.add(value)
        if isinstance(cell, int | float) and not isinstance(cell, bool):
            self.numbers += 1
        if isinstance(cell, str):
            self.dates.add(cell)

    def reader(self, name: str, options: ReadOptions, *, typed: bool) -> "CellReader":
        """Return the reader of the column's cells. ``typed``: a text is one, as in JSON."""
        dates = self.dates.column(options.date_format, is_date=name in DATE_FIELDS)
        numbers = None if typed else self.formats.format(options.decimal)
        has_numbers = bool(self.values) and self.numbers * 2 >= self.values
        is_wide = has_numbers or bool(dates or numbers)
        return CellReader(is_wide, dates, typed, numbers)


@dataclass(frozen=True, slots=True)
class CellReader:
    """Reads the cells of one column."""

    nulls_are_wide: bool = False
    dates: DateColumn | None = None
    typed: bool = False
    numbers: NumberFormat | None = None

    @property
    def unit(self) -> str:
        """Return the unit that the column's cells have, or an empty text."""
        return self.numbers.unit if self.numbers else ""

    def without_unit(self) -> "CellReader":
        """Return the reader of a column whose cells stay as they are where they have a unit."""
        return replace(self, numbers=None) if self.unit else self

    def read(self, value: object) -> object:
        """Return the value; None for an empty cell, a null marker, or a marker among numbers."""
        if not isinstance(value, str):
            return _bound_integer(value)
        nulls = _NULLS_BESIDE_NUMBERS if self.nulls_are_wide else _NULLS
        if not value.strip() or _is_marker(value, nulls):
            return None
        cell = value.strip() if self.typed else self._parse(value.strip())
        if self.dates and not self.dates.is_ambiguous and isinstance(cell, str):
            day = self.dates.parse(cell)
            return _with_time(day.isoformat(), cell) if day else cell
        return cell

    def _parse(self, text: str) -> Attribute | None:
        """Read a cell by its column's decimal sign. Where that is not known, the text stays."""
        if self.numbers is None:
            return parse_cell(text)
        number = self.numbers.parse(text)
        if number is not None:
            return number
        cell = parse_cell(text)
        return text if isinstance(cell, float) else cell


def _is_marker(value: str, markers: frozenset[str]) -> bool:
    return len(value) <= _MARKER_CHARS_MAX and value.strip().lower() in markers


def _with_time(day: str, cell: str) -> str:
    """Keep the time of an ISO date and time."""
    return cell if cell.startswith(day) else day


def _bound_integer(value: object) -> object:
    is_long = isinstance(value, int) and not isinstance(value, bool) and abs(value) > INTEGER_MAX
    return str(value) if is_long else value
