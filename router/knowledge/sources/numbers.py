"""Numbers as people write them, read by one decimal sign for a whole column."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

POINT, COMMA = "point", "comma"
DECIMALS = (POINT, COMMA)
_SPACES = " \u00a0\u202f'\u2019"
_NUMBER_CHARS_MAX = 40
_COLUMN_SHARE_MIN = 0.9
"""A column is one of numbers when at least this share of its values is."""


def _pattern(decimal: str, group: str) -> re.Pattern[str]:
    grouped = rf"[1-9]\d{{0,2}}(?P<group>[{group}{_SPACES}])\d{{3}}(?:(?P=group)\d{{3}})*"
    return re.compile(
        rf"(?P<sign>[-+\u2212]?)(?P<whole>{grouped}|0|[1-9]\d{{0,14}})(?:{decimal}(?P<part>\d{{1,15}}))?"
    )


_WITH_UNIT = re.compile(
    r"(?P<sign>[-+\u2212]?)(?:(?P<before>[$€£¥]|[A-Z]{3}(?= ))[ \u00a0]?(?P<number>\d\S*)"
    r"|(?P<number_first>\d[^A-Z%$€£¥]*?)[ \u00a0]?(?P<behind>%|[$€£¥]|[A-Z]{3}))"
)
_PATTERNS = {POINT: _pattern(r"\.", ","), COMMA: _pattern(",", r"\.")}


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """The decimal sign of a column, and the unit of its cells (``%``, ``€``, ``EUR``).

    ``is_ambiguous``: each value could be read by either sign.
    """

    decimal: str = ""
    is_ambiguous: bool = False
    unit: str = ""

    def parse(self, text: str) -> int | float | None:
        """Return the number of ``text``; None when it is not one, or not a certain one."""
        unit, text = _split_unit(text)
        if unit != self.unit:
            return None
        match = _PATTERNS[self.decimal].fullmatch(text) if self.decimal else None
        if match is None:
            return None
        sign = "" if match["sign"] in ("", "+") else "-"
        whole = sign + re.sub(r"\D", "", match["whole"])
        return float(f"{whole}.{match['part']}") if match["part"] else int(whole)


class NumberVotes:
    """Counts which of a column's values only one decimal sign explains."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, text: str) -> None:
        """Count one value."""
        unit, number = _split_unit(text.strip())
        vote = self._vote(number, unit)
        self._counts["" if vote == "other" else unit][vote] += 1

    def format(self, wanted: str) -> NumberFormat | None:
        """Return the column's format; None when it holds other things, or plain numbers alone.

        ``1,234`` may be either. ``1.234`` alone is read with a decimal point, as in JSON.
        """
        unit, counts = max(self._counts.items(), key=_count_numbers, default=("", Counter()))
        values = sum(sum(each.values()) for each in self._counts.values())
        if _count_numbers((unit, counts)) < _COLUMN_SHARE_MIN * values:
            return None
        if wanted:
            return NumberFormat(wanted, unit=unit)
        decisive = [decimal for decimal in DECIMALS if counts[decimal]]
        if len(decisive) == 1:
            return NumberFormat(decisive[0], unit=unit)
        if decisive or counts["either"]:
            return NumberFormat(is_ambiguous=True)
        return NumberFormat(POINT, unit=unit) if unit else None

    def _vote(self, text: str, unit: str) -> str:
        if len(text) > _NUMBER_CHARS_MAX:
            return "other"
        fits = [name for name, pattern in _PATTERNS.items() if pattern.fullmatch(text)]
        if len(fits) != len(_PATTERNS):
            return fits[0] if fits else "other"
        return "either" if "," in text or (unit and "." in text) else "plain"


def _count_numbers(votes: tuple[str, Counter[str]]) -> int:
    _, counts = votes
    return sum(counts.values()) - counts["other"]


def _split_unit(text: str) -> tuple[str, str]:
    """Return the unit before or behind a number, and the number with its sign."""
    match = _WITH_UNIT.fullmatch(text)
    if match is None:
        return "", text
    number = match["number"] or match["number_first"]
    return match["before"] or match["behind"], match["sign"] + number
