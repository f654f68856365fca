"""The course of a statistical metric: the cohorts' difference, its interval, and the harmful limit."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from markupsafe import Markup

from sluice.console.charts.gate_chart import Reading
from sluice.console.charts.svg import title
from sluice.rollout.analysis.value_format import format_effect
from sluice.rollout.analysis.verdict import Effect
from sluice.svg_paths import Scale, path_of

WIDTH, HEIGHT, MARGIN = 320, 96, 6
Point = tuple[datetime, Effect]


def effect_chart(readings: Sequence[Reading]) -> Markup:
    """Draw the effect over the checks; empty before two checks know an interval."""
    points = [(at, v.effect) for at, v in readings if v.effect and _is_known(v.effect)]
    if len(points) < 2:  # noqa: PLR2004  a line has two ends
        return Markup("")
    values = [value for _, effect in points for value in _bounds(effect)]
    newest = points[-1][1]
    unchanged, limit = newest.unchanged, newest.limit
    lines = [unchanged, *([] if limit is None else [limit])]
    x = Scale(points[0][0].timestamp(), points[-1][0].timestamp(), MARGIN, WIDTH - MARGIN)
    y = Scale(min(values + lines), max(values + lines), HEIGHT - MARGIN, MARGIN)
    head = Markup('<svg class="effect" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    label = format_effect(newest)
    parts = [head.format(WIDTH, HEIGHT, label), title(label)]
    parts += _rules(y, unchanged, limit)
    parts += _band(points, x, y)
    return Markup("").join([*parts, Markup("</svg>")])


def _is_known(effect: Effect) -> bool:
    return None not in (effect.estimate, effect.low, effect.high)


def _bounds(effect: Effect) -> tuple[float, float]:
    return effect.low or 0.0, effect.high or 0.0


def _rules(y: Scale, unchanged: float, limit: float | None) -> Iterator[Markup]:
    for name, value in (("effect-unchanged", unchanged), ("spark-limit", limit)):
        if value is not None:
            ends = [(MARGIN, y.pixel(value)), (WIDTH - MARGIN, y.pixel(value))]
            yield Markup('<path class="{}" d="{}"/>').format(name, path_of(ends))


def _band(points: Sequence[Point], x: Scale, y: Scale) -> Iterator[Markup]:
    """Yield the interval as an area and the estimate as a line."""
    at = [x.pixel(time.timestamp()) for time, _ in points]
    low = [(px, y.pixel(effect.low or 0.0)) for px, (_, effect) in zip(at, points, strict=True)]
    high = [(px, y.pixel(effect.high or 0.0)) for px, (_, effect) in zip(at, points, strict=True)]
    middle = [
        (px, y.pixel(effect.estimate or 0.0)) for px, (_, effect) in zip(at, points, strict=True)
    ]
    yield Markup('<path class="effect-interval" d="{}Z"/>').format(path_of(low + high[::-1]))
    yield Markup('<path class="spark-line" d="{}"/>').format(path_of(middle))
