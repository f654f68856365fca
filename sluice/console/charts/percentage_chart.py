"""The share of users over time, with the events that changed it."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

from sluice.console.charts.svg import format_time, title
from sluice.rollout.engine.event_chain import Event
from sluice.svg_paths import Scale, step_path

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 80, 14, 14, 28
SPAN_MIN = timedelta(seconds=30)
TICKS = 3
MARKED_KINDS = {
    "red_flag": "bad",
    "rollback": "bad",
    "problem": "bad",
    "abort": "bad",
    "pause": "hold",
    "refused": "hold",
    "approve": "person",
    "promote": "person",
    "resume": "person",
    "retry": "person",
}
LEVELS = (0, 25, 50, 100)


def percentage_chart(events: Sequence[Event], percentage: float, now: datetime) -> Markup:
    """Draw the chart; empty without events. ``percentage`` (0–100) holds from the last event on."""
    if not events:
        return Markup("")
    end = max(now, events[0].at + SPAN_MIN)
    x = Scale(events[0].at.timestamp(), end.timestamp(), LEFT, WIDTH - RIGHT)
    y = Scale(0, 100, HEIGHT - BOTTOM, TOP)
    label = f"Share of users from {format_time(events[0].at)}; now {percentage:g} %"
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    parts = [head.format(WIDTH, HEIGHT, label)]
    parts += [_grid_line(level, y) for level in LEVELS]
    parts += _time_ticks(events[0].at, end, x)
    last = max(now, events[-1].at).timestamp()
    line = step_path([*_points(events, x, y), (x.pixel(last), y.pixel(percentage))])
    parts.append(Markup('<path class="chart-line" d="{}"/>').format(line))
    parts += _markers(events, x, y)
    return Markup("").join([*parts, Markup("</svg>")])


def _points(events: Sequence[Event], x: Scale, y: Scale) -> Iterator[tuple[float, float]]:
    for event in events:
        if event.percentage is not None:
            yield x.pixel(event.at.timestamp()), y.pixel(event.percentage)


def _grid_line(level: int, y: Scale) -> Markup:
    at = y.pixel(level)
    return Markup(
        '<line class="chart-grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text class="chart-label" x="{}" y="{}" text-anchor="end">{} %</text>'
    ).format(LEFT, WIDTH - RIGHT, at, at, LEFT - 6, at + 4, level)


def _time_ticks(start: datetime, end: datetime, x: Scale) -> Iterator[Markup]:
    days = (end - start) > timedelta(days=2)
    for tick in range(TICKS + 1):
        at = start + (end - start) * tick / TICKS
        text = f"{at:%m-%d}" if days else f"{at:%H:%M:%S}"
        anchor = "start" if tick == 0 else "end" if tick == TICKS else "middle"
        yield Markup('<text class="chart-label" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            x.pixel(at.timestamp()), HEIGHT - 8, anchor, text
        )


def _markers(events: Sequence[Event], x: Scale, y: Scale) -> Iterator[Markup]:
    for event in events:
        if (css_class := MARKED_KINDS.get(event.kind)) is None:
            continue
        text = f"{format_time(event.at)} {event.kind.replace('_', ' ')}: {event.text}"
        yield Markup('<circle class="chart-mark {}" r="4.5" cx="{}" cy="{}">{}</circle>').format(
            css_class, x.pixel(event.at.timestamp()), y.pixel(event.percentage or 0), title(text)
        )
