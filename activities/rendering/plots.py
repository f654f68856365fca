"""Plots of a report, as SVG images in data addresses."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from activities.rendering import svg
from sluice.rollout.analysis.value_format import format_value
from sluice.rollout.review.report import Report, Series, SeriesPoint
from sluice.svg_paths import step_path

METRICS_MAX = 16
PERCENTAGES = (0.0, 105.0)
_WIDE, _SMALL = 720, 430
_COLOUR = "#0b57d0"
_LIMIT_COLOURS = ("#b3261e", "#b26a00", "#6750a4", "#5b6b7b")


@dataclass(frozen=True)
class Plot:
    """One image; ``image`` is a ``data:`` address."""

    title: str
    image: str


@dataclass(frozen=True)
class Plots:
    """Every image of a report, and how many metrics had no room."""

    percentage: str
    metrics: Sequence[Plot]
    left_out: int


def draw(report: Report) -> Plots:
    """Draw the percentage and each metric over time."""
    plotted = report.series[:METRICS_MAX]
    return Plots(
        percentage=_plot_percentage(report.percentages),
        metrics=[Plot(series.title, _plot_metric(series)) for series in plotted],
        left_out=len(report.series) - len(plotted),
    )


def _plot_percentage(points: Sequence[SeriesPoint]) -> str:
    frame = svg.frame_around(_WIDE, [points], PERCENTAGES)
    parts = list(frame.axes(lambda value: f"{value:g} %"))
    if placed := frame.place(points):
        path, (end, _), floor = step_path(placed), placed[-1], frame.y(0)
        area = f"{path}H{end:g}V{floor:g}H{placed[0][0]:g}Z"
        parts.append(f'<path d="{area}" fill="{_COLOUR}" fill-opacity="0.12"/>')
        parts.append(f'<path d="{path}" fill="none" stroke="{_COLOUR}" stroke-width="2"/>')
    return _data_address(svg.document(_WIDE, "Users in the treatment", parts))


def _plot_metric(series: Series) -> str:
    frame = svg.frame_around(_SMALL, [series.points, *series.limits.values()])
    parts = list(frame.axes(lambda value: format_value(value, series.unit)))
    labels = []
    for number, (gate, limit) in enumerate(series.limits.items()):
        colour = _LIMIT_COLOURS[number % len(_LIMIT_COLOURS)]
        if placed := frame.place(limit):
            parts.append(svg.line(placed, colour, is_limit=True))
            labels.append((f"limit of {gate}", colour))
    if placed := frame.place(series.points):
        parts += [svg.line(placed, _COLOUR), *svg.dots(placed, _COLOUR)]
    return _data_address(svg.document(_SMALL, series.title, [*parts, *svg.legend(_SMALL, labels)]))


def _data_address(image: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(image.encode()).decode()
