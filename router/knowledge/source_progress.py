"""A source under ingestion: its report, and which of its records were seen."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from router.knowledge.ingestion_summary import SourceReport
from router.knowledge.records import Record

Progress = Callable[[int], None]
"""Called with the number of records that are done since the last call."""


@dataclass(slots=True)
class OpenSource:
    """A source whose records are on their way. Eight bytes a record are kept, whatever its size."""

    report: SourceReport
    on_progress: Progress
    seen: "array[int]" = field(default_factory=lambda: array("q"))

    @property
    def origin(self) -> str:
        """Return the path or address of the source."""
        return self.report.origin

    def add(self, record: Record) -> None:
        """Count a record as one that the source still has."""
        self.seen.append(hash(record.id))

    def sorted_seen(self) -> NDArray[np.int64]:
        """Return the hashes of the ids of all records, in order."""
        return np.sort(np.frombuffer(self.seen, dtype=np.int64)) if self.seen else np.empty(0, "q")


@dataclass(frozen=True, slots=True)
class SourcedRecord:
    """A record and the source that it comes from."""

    record: Record
    source: OpenSource
