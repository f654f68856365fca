"""Plots of a report, as SVG images in data addresses. Uses no global state of matplotlib."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from sluice.rollout.analysis.value_format import format_value
from sluice.rollout.review.report import Report, Series, SeriesPoint

METRICS_MAX = 16
_WIDE, _SMALL = (10.0, 2.6), (6.0, 2.6)
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
    """Draw the percentage and each metric over time. Takes CPU: run it on a thread."""
    shown = report.series[:METRICS_MAX]
    return Plots(
        percentage=_plot_percentage(report.percentages),
        metrics=[Plot(series.title, _plot_metric(series)) for series in shown],
        left_out=len(report.series) - len(shown),
    )


def _plot_percentage(points: Sequence[SeriesPoint]) -> str:
    figure, axes = _new_axes(_WIDE, "Users in the treatment")
    times, values = _coordinates(points)
    axes.step(times, values, where="post", color="#0b57d0", linewidth=1.8)
    axes.fill_between(times, values, step="post", color="#0b57d0", alpha=0.12)
    axes.set_ylim(0, 105)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    return _encode_svg(figure)


def _plot_metric(series: Series) -> str:
    figure, axes = _new_axes(_SMALL, series.title)
    times, values = _coordinates(series.points)
    axes.plot(times, values, marker=".", markersize=4, color="#0b57d0", linewidth=1.2)
    for number, (gate, limit) in enumerate(series.limits.items()):
        colour = _LIMIT_COLOURS[number % len(_LIMIT_COLOURS)]
        times, values = _coordinates(limit)
        axes.step(times, values, where="post", linestyle="--", color=colour, label=gate, marker="_")
    if series.limits:
        axes.legend(title="limit of", fontsize="x-small", title_fontsize="x-small", framealpha=0.6)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value, series.unit)))
    return _encode_svg(figure)


def _new_axes(size: tuple[float, float], title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize="medium")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    locator = AutoDateLocator(minticks=3)  # type: ignore[no-untyped-call]  # no types upstream
    axes.xaxis.set_major_locator(locator)
    concise = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]  # no types upstream
    axes.xaxis.set_major_formatter(concise)
    return figure, axes


def _coordinates(points: Sequence[SeriesPoint]) -> tuple[NDArray[np.datetime64], list[float]]:
    times = [point.at.astimezone(UTC).replace(tzinfo=None) for point in points]
    return np.array(times, dtype="datetime64[us]"), [point.value for point in points]


def _encode_svg(figure: Figure) -> str:
    svg = BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(svg.getvalue()).decode()
