"""A report as Markdown and as one self-contained HTML file."""

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import (
    BytecodeCache,
    Environment,
    FileSystemBytecodeCache,
    PackageLoader,
    StrictUndefined,
    select_autoescape,
)
from jinja2.bccache import Bucket

from sluice.rollout.analysis.value_format import format_value, format_verdict
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.printable import escape_markdown
from sluice.rollout.review.lessons import lessons_learned
from sluice.rollout.review.report import Report
from sluice.rollout.units import format_elapsed

if TYPE_CHECKING:
    from activities.rendering.plots import Plots


def render_markdown(report: Report) -> str:
    """Render the report with the guide's headings, for the team's own documents."""
    return _render("report.md.j2", report=report, lessons=lessons_learned(report))


def render_html(report: Report, plots: "Plots") -> str:
    """Render the report with embedded plots; the file needs no network."""
    return _render("report.html.j2", report=report, lessons=lessons_learned(report), plots=plots)


def _render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values)


def build_environment() -> Environment:
    """Return the templates' environment."""
    environment = Environment(
        loader=PackageLoader("activities.rendering"),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        bytecode_cache=_bytecode_cache(),
    )
    environment.filters.update(_FILTERS)
    return environment


class CompiledTemplates(FileSystemBytecodeCache):
    """Compiled templates of this user: compiling takes a third of the time of a report."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):  # a full or read-only folder of temporary files
            super().dump_bytecode(bucket)


def _bytecode_cache() -> BytecodeCache | None:
    try:  # Jinja's folder is this user's alone, or refused
        return CompiledTemplates()
    except (OSError, RuntimeError):
        return None


@cache
def _environment() -> Environment:
    return build_environment()


def _format_time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _format_relative(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:+.1%}"


def _format_percent(value: float | None) -> str:
    return "–" if value is None else f"{value:g} %"


def _format_limit(verdict: Verdict) -> str:
    if verdict.limit is None:
        return "–"
    sign = "<" if verdict.direction == "below" else "≥"
    return f"{sign} {format_verdict(verdict)[1]}"


def _format_counts(outcomes: Mapping[Outcome, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


def _count_of(outcomes: Mapping[Outcome, int], outcome: str) -> int:
    return outcomes.get(Outcome(outcome), 0)


def _format_reading(verdict: Verdict) -> str:
    return format_verdict(verdict)[0]


_FILTERS: dict[str, Any] = {
    "when": _format_time,
    "span": format_elapsed,
    "amount": format_value,
    "relative": _format_relative,
    "percent": _format_percent,
    "limit": _format_limit,
    "reading": _format_reading,
    "tally": _format_counts,
    "of": _count_of,
    "md": escape_markdown,
}
