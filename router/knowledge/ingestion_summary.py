"""Counts of an ingestion, and what was decided about each source."""

from dataclasses import dataclass, field

from router.knowledge.records import Record
from router.knowledge.sources import (
    ParsedItem,
    SourceNote,
    SourceProblem,
)

PROBLEMS_MAX = 1000
"""Problems that are kept word for word. Of a large file each line may be one."""


@dataclass(slots=True)
class SourceReport:
    """Counts of one source, and what was decided about it."""

    origin: str
    read: int = 0
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    left_out: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class IngestionSummary:
    """Counts of all sources. ``dangling`` links wait for records that no store has yet.

    ``unlisted`` is the number of problems beyond those that are kept. ``unread`` counts the files of
    folders whose format has no parser, by suffix.
    """

    sources: int = 0
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    links: int = 0
    dangling: int = 0
    unlisted: int = 0
    unread: dict[str, int] = field(default_factory=dict)
    problems: list[SourceProblem] = field(default_factory=list)
    reports: list[SourceReport] = field(default_factory=list)

    def open_report(self, origin: str) -> SourceReport:
        """Start the report of one source."""
        self.sources += 1
        self.reports.append(SourceReport(origin))
        return self.reports[-1]

    def add(self, report: SourceReport, item: ParsedItem) -> None:
        """Count one parsed item in a source's report."""
        if isinstance(item, Record):
            report.read += 1
        elif isinstance(item, SourceNote):
            report.notes.append(item.text)
        else:
            report.left_out += 1
            self.add_problem(item)

    def add_problem(self, problem: SourceProblem) -> None:
        """Keep a problem, or count it when there are too many."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)
        else:
            self.unlisted += 1
