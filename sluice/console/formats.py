"""Values as the pages show them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from sluice.rollout.analysis.value_format import format_verdict
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine.state import Status
from sluice.rollout.units import format_whole_seconds

OUTCOME_MARKS = {
    Outcome.SUCCESSFUL: ("good", "✓"),
    Outcome.INCONCLUSIVE: ("hold", "?"),
    Outcome.ERROR: ("hold", "!"),
    Outcome.FAILED: ("bad", "✗"),
}
STATUS_CLASSES = {
    Status.PROGRESSING: "live",
    Status.PAUSED: "hold",
    Status.DEGRADED: "bad",
    Status.HEALTHY: "good",
    Status.ABORTED: "ended",
}


def format_moment(at: datetime) -> Markup:
    """Write a time that the page's script may also show as a distance."""
    markup = Markup('<time datetime="{}">{} UTC</time>')
    return markup.format(at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S}")


def format_reading(verdict: Verdict) -> str:
    return format_verdict(verdict)[0]


def format_limit(verdict: Verdict) -> str:
    return f"{verdict.direction} {format_verdict(verdict)[1]}"


def format_samples(samples: float | None) -> str:
    return "–" if samples is None else f"{samples:,.0f}"


def format_outcome(outcome: Outcome) -> Markup:
    css_class, mark = OUTCOME_MARKS[outcome]
    markup = Markup('<span class="badge {}"><span aria-hidden="true">{}</span> {}</span>')
    return markup.format(css_class, mark, str(outcome))


def format_status(status: str) -> Markup:
    css_class = STATUS_CLASSES.get(Status(status), "live") if status in tuple(Status) else "live"
    return Markup('<span class="badge {}">{}</span>').format(css_class, status)


def format_words(text: str) -> str:
    return text.replace("_", " ")


def quote_all(text: str) -> str:
    """Quote a part of an address, its slashes too: a name must not lead to another page."""
    return quote(text, safe="")


TEMPLATE_FILTERS: dict[str, Callable[..., Any]] = {
    "moment": format_moment,
    "reading": format_reading,
    "limit": format_limit,
    "samples": format_samples,
    "span": format_whole_seconds,
    "outcome": format_outcome,
    "status": format_status,
    "words": format_words,
    "urlencode": quote_all,
}
