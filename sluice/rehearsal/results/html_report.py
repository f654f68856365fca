"""A rehearsal as one self-contained page: the timeline, and plots of every gate's readings."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from activities.rendering.plots import draw
from sluice.rehearsal.results.monte_carlo import MonteCarloSummary
from sluice.rehearsal.results.result import RehearsalRun
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.review.report import ReportEnding, build_report
from sluice.rollout.units import format_duration

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_html(
    plan: RolloutPlan,
    runs: Sequence[RehearsalRun],
    summaries: Sequence[MonteCarloSummary],
    violations: Sequence[str],
) -> str:
    """Render the page with the plots of each rehearsal."""
    plotted_results = []
    for run in runs:
        ending: ReportEnding = "Healthy" if run.state.has_ended else "Interim"
        report = build_report(run.state, ending, run.result.ended_at, run.checks)
        plotted_results.append((run.result, draw(report)))
    template = _TEMPLATES.get_template("rehearsal.html.j2")
    return template.render(
        plan=plan,
        shown=plotted_results,
        studies=summaries,
        wrong=violations,
        duration=format_duration,
    )
