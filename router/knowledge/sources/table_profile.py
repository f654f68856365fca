"""The profile of a table's rows, from a first reading of them."""

import json
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from router.knowledge.sources.cells import ColumnProfile
from router.knowledge.sources.source import SourceError

Row = Mapping[str, Any]
COLUMNS_MAX = 10_000
"""Different columns of a source. Where each row has names of its own, they are values."""


@dataclass
class TableProfile:
    """The result of a first reading of the rows: columns, and which ids and rows repeat.

    Eight bytes are kept for each row, whatever the size of the file.
    """

    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    rows: int = 0
    ids: int = 0
    repeated_ids: frozenset[int] = frozenset()
    repeats: int = 0
    repeated_rows: frozenset[int] = frozenset()
    _id_hashes: "array[int]" = field(default_factory=lambda: array("q"))

    @classmethod
    def of(
        cls, rows: Callable[[], Iterable[tuple[int, Row | str]]], id_field: str
    ) -> "TableProfile":
        """Read the rows once, and again where the rows themselves must be compared."""
        profile = cls()
        for _, row in rows():
            if not isinstance(row, str):
                profile._add(row, id_field)
        profile.repeated_ids, profile.repeats = _repeated_hashes(profile._id_hashes)
        if profile.repeats or profile.ids < profile.rows:
            hashes = array("q", (hash(row_text(r)) for _, r in rows() if not isinstance(r, str)))
            profile.repeated_rows, _ = _repeated_hashes(hashes)
        return profile

    def _add(self, row: Row, id_field: str) -> None:
        self.rows += 1
        for name, value in row.items():
            self.columns.setdefault(name, ColumnProfile()).add(value)
        if len(self.columns) > COLUMNS_MAX:
            raise SourceError(
                f"row {self.rows} makes more than {COLUMNS_MAX} different columns: "
                "write such names as values"
            )
        if (key := row.get(id_field)) not in (None, ""):
            self.ids += 1
            self._id_hashes.append(hash(str(key)))

    @property
    def ids_are_unique(self) -> bool:
        """Return True if no two rows have the same id."""
        return not self.repeats


def _repeated_hashes(hashes: "array[int]") -> tuple[frozenset[int], int]:
    """Return the hashes that occur more than once, and the number of their repetitions."""
    if not hashes:
        return frozenset(), 0
    ordered = np.sort(np.frombuffer(hashes, dtype=np.int64))
    repetitions = ordered[1:][ordered[1:] == ordered[:-1]]
    return frozenset(repetitions.tolist()), len(repetitions)


def row_text(row: Row) -> str:
    """Return the content of a row as one text; equal rows have equal texts."""
    return json.dumps(dict(row), sort_keys=True, default=str)
