"""Numbers as people write them, read by one decimal sign for a whole column."""

import re
from collections import Counter
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


_PATTERNS = {POINT: _pattern(r"\.", ","), COMMA: _pattern(",", r"\.")}


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """The decimal sign of a column. ``is_ambiguous``: each value could be read by either."""

    decimal: str = ""
    is_ambiguous: bool = False

    def parse(self, text: str) -> int | float | None:
        """Return the number of ``text``; None when it is not one, or not a certain one."""
        match = _PATTERNS[self.decimal].fullmatch(text) if self.decimal else None
        if match is None:
            return None
        sign = "" if match["sign"] in ("", "+") else "-"
        whole = sign + re.sub(r"\D", "", match["whole"])
        return float(f"{whole}.{match['part']}") if match["part"] else int(whole)


class NumberVotes:
    """Counts which of a column's values only one decimal sign explains."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, text: str) -> None:
        """Count one value."""
        self._counts[self._vote(text.strip())] += 1

    def format(self, wanted: str) -> NumberFormat | None:
        """Return the column's format; None when it holds other things, or plain numbers alone.

        ``1,234`` may be either. ``1.234`` alone is read with a decimal point, as in JSON.
        """
        counts = self._counts
        values = sum(counts.values())
        if values - counts["other"] < _COLUMN_SHARE_MIN * values:
            return None
        if wanted:
            return NumberFormat(wanted)
        decisive = [decimal for decimal in DECIMALS if counts[decimal]]
        if len(decisive) == 1:
            return NumberFormat(decisive[0])
        return NumberFormat(is_ambiguous=True) if decisive or counts["either"] else None

    def _vote(self, text: str) -> str:
        if len(text) > _NUMBER_CHARS_MAX:
            return "other"
        fits = [name for name, pattern in _PATTERNS.items() if pattern.fullmatch(text)]
        if len(fits) != len(_PATTERNS):
            return fits[0] if fits else "other"
        return "either" if "," in text else "plain"
