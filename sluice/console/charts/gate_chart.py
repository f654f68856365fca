"""The recent course of one gate: readings, the limit, and checks without data as gaps."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from markupsafe import Markup

from sluice.console.charts.svg import format_time, title
from sluice.rollout.analysis.sequential_gate import E_VALUE_UNIT
from sluice.rollout.analysis.value_format import format_value
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.svg_paths import Scale, path_of

WIDTH, HEIGHT, MARGIN = 160, 36, 3
POINTS_MAX = 60
Reading = tuple[datetime, Verdict]


def gate_readings(checks: Sequence[Check], gate: str) -> tuple[Reading, ...]:
    """Collect the gate's last verdicts, oldest first."""
    readings = [(c.at, v) for c in checks for v in c.verdicts if v.gate == gate]
    return tuple(readings[-POINTS_MAX:])


def gate_chart(readings: Sequence[Reading]) -> Markup:
    """Draw a gate's course; empty with fewer than two readings that have a value."""
    values = [v.value for _, v in readings if v.value is not None]
    if len(values) < 2:  # noqa: PLR2004  a line has two ends
        return Markup("")
    limits = [v.limit for _, v in readings if v.limit is not None]
    x = Scale(readings[0][0].timestamp(), readings[-1][0].timestamp(), MARGIN, WIDTH - MARGIN)
    y = _value_scale(readings, values + limits)
    head = Markup('<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    parts = [head.format(WIDTH, HEIGHT, _label(readings))]
    parts += _limit_line(readings, x, y)
    parts += [
        Markup('<path class="spark-line" d="{}"/>').format(path_of(run))
        for run in _runs(readings, x, y)
    ]
    parts += _failures(readings, x, y)
    return Markup("").join([*parts, Markup("</svg>")])


def _value_scale(readings: Sequence[Reading], values: Sequence[float]) -> Scale:
    """Return the scale of the readings: evidence (e-values) grows by factors, so by its logarithm."""
    is_logarithmic = readings[-1][1].unit == E_VALUE_UNIT and min(values) > 0
    return Scale(min(values), max(values), HEIGHT - MARGIN, MARGIN, is_logarithmic)


def _label(readings: Sequence[Reading]) -> str:
    last = readings[-1][1]
    return f"{last.gate}: {len(readings)} checks, last {format_value(last.value, last.unit)}"


def _limit_line(readings: Sequence[Reading], x: Scale, y: Scale) -> Iterator[Markup]:
    points = [
        (x.pixel(at.timestamp()), y.pixel(v.limit)) for at, v in readings if v.limit is not None
    ]
    if points:
        yield Markup('<path class="spark-limit" d="{}"/>').format(path_of(points))


def _runs(readings: Sequence[Reading], x: Scale, y: Scale) -> Iterator[list[tuple[float, float]]]:
    """Yield the stretches with data; a check without a value breaks the line."""
    run: list[tuple[float, float]] = []
    for at, verdict in readings:
        if verdict.value is not None:
            run.append((x.pixel(at.timestamp()), y.pixel(verdict.value)))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _failures(readings: Sequence[Reading], x: Scale, y: Scale) -> Iterator[Markup]:
    for at, verdict in readings:
        if verdict.outcome is Outcome.FAILED and verdict.value is not None:
            text = title(f"{format_time(at)}: {verdict.reason}")
            yield Markup('<circle class="spark-bad" r="2.5" cx="{}" cy="{}">{}</circle>').format(
                x.pixel(at.timestamp()), y.pixel(verdict.value), text
            )
