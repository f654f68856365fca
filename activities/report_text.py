"""A report as Markdown and as one self-contained HTML file."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from rollout.judge import format_value
from rollout.lessons import learn
from rollout.quantity import format_duration
from rollout.report import Report
from rollout.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from activities.plots import Plots

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#])")


def markdown(report: Report) -> str:
    """The report with the guide's headings, for the team's own documents."""
    return _render("report.md.j2", report=report, lessons=learn(report))


def html(report: Report, plots: "Plots") -> str:
    """The same with plots inside; opens anywhere, without a network."""
    return _render("report.html.j2", report=report, lessons=learn(report), plots=plots)


def _render(template: str, **values: object) -> str:
    environment = Environment(
        loader=PackageLoader("activities"),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(_FILTERS)
    return environment.get_template(template).render(**values)


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _span(value: timedelta) -> str:
    if value < timedelta(minutes=1):
        return f"{value.total_seconds():.2f} s"
    return format_duration(timedelta(seconds=round(value.total_seconds())))


def _relative(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:+.1%}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:g} %"


def _limit(verdict: Verdict) -> str:
    if verdict.limit is None:
        return "–"
    sign = "<" if verdict.direction == "below" else "≥"
    return f"{sign} {format_value(verdict.limit, verdict.unit)}"


def _tally(outcomes: Mapping[Outcome, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


def _of(outcomes: Mapping[Outcome, int], outcome: str) -> int:
    return outcomes.get(Outcome(outcome), 0)


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


_FILTERS: dict[str, Any] = {
    "when": _when,
    "span": _span,
    "amount": format_value,
    "relative": _relative,
    "percent": _percent,
    "limit": _limit,
    "tally": _tally,
    "of": _of,
    "md": _escaped,
}
