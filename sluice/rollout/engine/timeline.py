"""Readings of the timeline and of the plan's notice routes."""

from collections.abc import Iterable

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import Finding, State

PAGING_SEVERITIES = (Severity.P0, Severity.P1)


def has_route(state: State, severity: Severity) -> bool:
    """Return True if the plan names a channel for this severity."""
    return any(severity in route.severities for route in state.plan.notify)


def events_to_record(state: State) -> tuple[Event, ...]:
    """Return the lines that the ledger may not have yet; recording one twice does no harm."""
    since = state.recorded_until
    return tuple(event for event in state.timeline if since is None or event.at >= since)


def findings_of(events: Iterable[Event]) -> list[Finding]:
    """Return the findings that the rollout acted on, as its timeline holds them."""
    bodies = (event.finding for event in events if event.finding)
    return [Finding.model_validate_json(body, extra="ignore") for body in bodies]
