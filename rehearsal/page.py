"""A rehearsal as one self-contained page: what happened, and every gate's readings as plots."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rehearsal.rehearse import Played
from rehearsal.study import Study
from rollout.plan import RolloutPlan
from rollout.quantity import format_duration
from rollout.report import Ending, build_report

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    plan: RolloutPlan, played: Sequence[Played], studies: Sequence[Study], wrong: Sequence[str]
) -> str:
    """Render the page; plotting takes a second or two for each rehearsal."""
    from activities.plots import draw  # noqa: PLC0415 - matplotlib

    shown = []
    for one in played:
        ending: Ending = "Healthy" if one.state.ended else "Interim"
        report = build_report(one.state, ending, one.outcome.ended_at, one.checks)
        shown.append((one.outcome, draw(report)))
    template = _TEMPLATES.get_template("page.html.j2")
    return template.render(
        plan=plan,
        shown=shown,
        studies=studies,
        wrong=wrong,
        duration=format_duration,
    )
