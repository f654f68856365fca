"""The timeline and the outbox: what is kept for the record, and what people are told at once."""

from datetime import datetime

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.runbook import runbook_for_alert
from sluice.rollout.engine.state import (
    TIMELINE_MAX,
    Event,
    State,
)
from sluice.rollout.plan.notification import Notice

PAGING_SEVERITIES = (Severity.P0, Severity.P1)


def add_event(state: State, now: datetime, kind: str, text: str, actor: str = "sluice") -> None:
    """Add a line to the timeline; the oldest lines go when there are too many."""
    step = state.step.name if state.step else None
    event = Event(at=now, kind=kind, text=text, actor=actor, step=step, percentage=state.percentage)
    state.timeline = (*state.timeline, event)[-TIMELINE_MAX:]


def has_route(state: State, severity: Severity) -> bool:
    """Whether the plan names anybody to tell."""
    return any(severity in route.severities for route in state.plan.notify)


def enqueue_notice(state: State, now: datetime, severity: Severity, alert: str, text: str) -> None:
    """Put a notice into the outbox when the plan has a route for its severity.

    A P0 or P1 stays an open alarm until a person acts (``resolve``).
    """
    if not has_route(state, severity):
        return
    notice = Notice(
        key=_next_notice_key(state),
        severity=severity,
        alert=alert,
        title=f"{severity} {state.plan.flag}: {alert.replace('_', ' ')}",
        text=text,
        at=now,
        flag=state.plan.flag,
        rollout_id=state.rollout_id,
        step=state.step.name if state.step else None,
        percentage=state.percentage,
        runbook=runbook_for_alert(state, alert),
    )
    state.outbox = (*state.outbox, notice)
    if severity in PAGING_SEVERITIES:
        others = tuple(one for one in state.open_alerts if one.alert != alert)
        state.open_alerts = (*others, notice)


def resolve_alerts(state: State, now: datetime, verb: Verb, command: Command) -> None:
    """Call every open alarm off once a person has resumed, retried or aborted."""
    if verb not in (Verb.RESUME, Verb.RETRY, Verb.ABORT):
        return
    actor = command.actor
    for alarm in state.open_alerts:
        text = f"{verb} by {actor}; it was: {alarm.text}"
        key = _next_notice_key(state)
        ended = {"key": key, "at": now, "text": text, "actor": actor, "resolved": True}
        state.outbox = (*state.outbox, alarm.model_copy(update=ended))
    state.open_alerts = ()


def _next_notice_key(state: State) -> str:
    state.notice_count += 1
    return f"{state.run_id}-{state.notice_count}"


def events_to_record(state: State) -> tuple[Event, ...]:
    """Lines of the timeline that the ledger may not have yet; twice does no harm."""
    since = state.recorded_until
    return tuple(event for event in state.timeline if since is None or event.at >= since)
