"""A chart over time as SVG text: the frame, its axes and its lines."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape

from sluice.rollout.review.report import SeriesPoint
from sluice.svg_paths import PixelPoint, Scale, path_of, step_path

HEIGHT = 190
LEFT, RIGHT, TOP, BOTTOM = 72, 14, 28, 24
INK, GRID = "#1c2733", "#e3e8ed"
LEVELS_MAX, TIMES = 5, 3
LONG_SPAN = timedelta(days=2)
_FONT = 'font-family="system-ui, sans-serif" font-size="11"'


@dataclass(frozen=True)
class Frame:
    """The area of a chart: the times and values at its edges, both as floats, and its width."""

    width: int
    times: tuple[float, float]
    values: tuple[float, float]

    def x(self, at: float) -> float:
        return Scale(*self.times, LEFT, self.width - RIGHT).pixel(at)

    def y(self, value: float) -> float:
        return Scale(*self.values, HEIGHT - BOTTOM, TOP).pixel(value)

    def place(self, points: Sequence[SeriesPoint]) -> list[PixelPoint]:
        """Return the points in pixels; one that is not a finite number has no place."""
        finite = (point for point in points if math.isfinite(point.value))
        return [(self.x(point.at.timestamp()), self.y(point.value)) for point in finite]

    def axes(self, format_level: Callable[[float], str]) -> Iterator[str]:
        """Yield a grid line with its label for each level, and the labels of the times."""
        for level in round_levels(*self.values):
            y = self.y(level)
            yield f'<path d="M{LEFT} {y:g}H{self.width - RIGHT}" stroke="{GRID}"/>'
            yield _text(LEFT - 6, y + 4, format_level(level), "end")
        start, end = self.times
        for number in range(TIMES + 1):
            at = start + (end - start) * number / TIMES
            anchor = {0: "start", TIMES: "end"}.get(number, "middle")
            yield _text(self.x(at), HEIGHT - 8, self._format_time(at), anchor)

    def _format_time(self, at: float) -> str:
        start, end = self.times
        is_long = timedelta(seconds=end - start) > LONG_SPAN
        return datetime.fromtimestamp(at, UTC).strftime("%m-%d" if is_long else "%H:%M:%S")


def frame_around(
    width: int, lines: Sequence[Sequence[SeriesPoint]], values: tuple[float, float] | None = None
) -> Frame:
    """Return a frame that holds every line; ``values`` fixes its lowest and highest value."""
    points = [point for line in lines for point in line if math.isfinite(point.value)]
    times = [point.at.timestamp() for point in points] or [0.0]
    if values is None:
        amounts = [point.value for point in points] or [0.0]
        low, high = min(amounts), max(amounts)
        margin = 0.05 * (high - low) or abs(high) / 10 or 1.0
        values = low - margin, high + margin
    start, end = min(times), max(times)
    return Frame(width, (start, end if end > start else start + 1), values)


def line(points: Sequence[PixelPoint], colour: str, *, is_limit: bool = False) -> str:
    """Return a line through the points; a limit's is dashed, and jumps at each point."""
    path = step_path(points) if is_limit else path_of(points)
    dashes = ' stroke-dasharray="5 3"' if is_limit else ""
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}/>'


def dots(points: Sequence[PixelPoint], colour: str) -> Iterator[str]:
    """Yield a dot at each point."""
    for x, y in points:
        yield f'<circle cx="{x:g}" cy="{y:g}" r="1.8" fill="{colour}"/>'


def legend(width: int, labels: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the label and colour of each line, below each other at the right."""
    for number, (label, colour) in enumerate(labels):
        yield _text(width - RIGHT, TOP + 12 + 13 * number, label, "end", colour)


def document(width: int, heading: str, parts: Sequence[str]) -> str:
    """Return the whole image with its heading."""
    size = f'width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_FONT}>'
    return "".join((head, _text(LEFT, 16, heading, "start"), *parts, "</svg>"))


def round_levels(low: float, high: float) -> list[float]:
    """Return at most ``LEVELS_MAX`` multiples of 1, 2 or 5 times a power of ten in the range."""
    rough = (high - low) / (LEVELS_MAX - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [number * step for number in range(first, last + 1)]


def _text(x: float, y: float, text: str, anchor: str, colour: str = INK) -> str:
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{escape(text)}</text>"
