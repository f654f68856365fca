"""The timeline and the outbox: what is kept for the record, and what people are told at once."""

from datetime import datetime

from rollout.commands import Command, Verb
from rollout.gate import Severity
from rollout.notice import Notice
from rollout.runbook import runbook_for
from rollout.state import TIMELINE_MAX, Event, State

ALARMS = (Severity.P0, Severity.P1)


def tell(state: State, now: datetime, kind: str, text: str, actor: str = "sluice") -> None:
    """Add a line to the timeline; the oldest lines go when there are too many."""
    step = state.step.name if state.step else None
    event = Event(at=now, kind=kind, text=text, actor=actor, step=step, percentage=state.percentage)
    state.timeline = (*state.timeline, event)[-TIMELINE_MAX:]


def routed(state: State, severity: Severity) -> bool:
    """Whether the plan names anybody to tell."""
    return any(severity in route.severities for route in state.plan.notify)


def notify(state: State, now: datetime, severity: Severity, alert: str, text: str) -> None:
    """Put a notice into the outbox when the plan has a route for its severity.

    A P0 or P1 stays an open alarm until a person acts (``resolve``).
    """
    if not routed(state, severity):
        return
    notice = Notice(
        key=_next_key(state),
        severity=severity,
        alert=alert,
        title=f"{severity} {state.plan.flag}: {alert.replace('_', ' ')}",
        text=text,
        at=now,
        flag=state.plan.flag,
        rollout_id=state.rollout_id,
        step=state.step.name if state.step else None,
        percentage=state.percentage,
        runbook=runbook_for(state, alert),
    )
    state.outbox = (*state.outbox, notice)
    if severity in ALARMS:
        others = tuple(one for one in state.alarms if one.alert != alert)
        state.alarms = (*others, notice)


def resolve(state: State, now: datetime, verb: Verb, command: Command) -> None:
    """Call every open alarm off once a person has resumed, retried or aborted."""
    if verb not in (Verb.RESUME, Verb.RETRY, Verb.ABORT):
        return
    actor = command.actor
    for alarm in state.alarms:
        text = f"{verb} by {actor}; it was: {alarm.text}"
        key = _next_key(state)
        ended = {"key": key, "at": now, "text": text, "actor": actor, "resolved": True}
        state.outbox = (*state.outbox, alarm.model_copy(update=ended))
    state.alarms = ()


def _next_key(state: State) -> str:
    state.notices += 1
    return f"{state.run_id}-{state.notices}"
