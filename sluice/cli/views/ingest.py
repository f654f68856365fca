"""The text of an ingestion's summary."""

from collections.abc import Mapping

from router.knowledge.ingestion_summary import IngestionSummary, SourceReport
from sluice.rollout.units import format_count

PROBLEMS_SHOWN = 20
SOURCES_SHOWN = 20


def format_summary(summary: IngestionSummary, *, dry_run: bool) -> str:
    """Return a line per source, what was left out, and the totals last."""
    lines = [_source_line(report, dry_run=dry_run) for report in summary.reports[:SOURCES_SHOWN]]
    if (unlisted_count := len(summary.reports) - SOURCES_SHOWN) > 0:
        lines.append(f"… and {unlisted_count} more sources (--json has all)")
    lines += [
        f"{problem.location}: {problem.reason}" for problem in summary.problems[:PROBLEMS_SHOWN]
    ]
    if (unlisted_count := len(summary.problems) + summary.unlisted - PROBLEMS_SHOWN) > 0:
        lines.append(f"… and {unlisted_count} more left out (--json has {len(summary.problems)})")
    if summary.unread:
        counts = (
            f"{n} {suffix or 'without suffix'}" for suffix, n in sorted(summary.unread.items())
        )
        lines.append(f"files of other formats, not read: {', '.join(counts)}")
    return "\n".join([*lines, _totals(summary, dry_run=dry_run)])


def format_lost_sources(lost_counts: Mapping[str, int]) -> str:
    """Return the sources that --mirror removes, with their records."""
    lines = [f"  {origin}: {count} records" for origin, count in lost_counts.items()]
    return "\n".join(["No longer in the folder:", *lines])


def _source_line(report: SourceReport, *, dry_run: bool) -> str:
    counts = f"{report.read} read"
    if not dry_run:
        counts += f", {report.written} written, {report.unchanged} unchanged"
    counts += f", {report.removed} removed" if report.removed else ""
    counts += f", {report.left_out} left out" if report.left_out else ""
    return "; ".join([f"{report.origin}: {counts}", *report.notes])


def _totals(summary: IngestionSummary, *, dry_run: bool) -> str:
    sources = format_count(summary.sources, "source")
    if dry_run:
        return f"{sources}, {summary.written} records; nothing was written"
    text = (
        f"{sources}: {summary.written} records written, {summary.unchanged} unchanged, "
        f"{summary.removed} removed; {summary.links} links"
    )
    if summary.dangling:
        text += f", {summary.dangling} to records that are not there (yet)"
    return text
