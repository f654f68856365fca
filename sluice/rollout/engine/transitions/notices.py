"""The timeline and the outbox: a record of what happened, and the notices that people receive."""

from datetime import datetime

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.escalation import page_at, slow_rollback_text, unconfirmed_since
from sluice.rollout.engine.event_chain import Event, link_event
from sluice.rollout.engine.runbook import runbook_for_alert
from sluice.rollout.engine.state import State
from sluice.rollout.engine.timeline import PAGING_SEVERITIES, has_route
from sluice.rollout.engine.transitions.evidence import take_evidence_head
from sluice.rollout.plan.notification import Notice

TIMELINE_MAX = 300


def add_event(state: State, now: datetime, kind: str, text: str, actor: str = "sluice") -> None:
    """Add a line to the timeline; the oldest lines go when there are too many."""
    append_event(state, Event(at=now, kind=kind, text=text, actor=actor))


def append_event(state: State, event: Event) -> None:
    """Add an event at the rollout's present place, linked to the chain of the timeline."""
    last = state.timeline[-1] if state.timeline else None
    update = {
        "step": state.step.name if state.step else None,
        "percentage": state.percentage,
        "evidence": take_evidence_head(state),
    }
    linked_event = link_event(event.model_copy(update=update), last, state.rollout_id)
    state.timeline = (*state.timeline, linked_event)[-TIMELINE_MAX:]


def enqueue_notice(state: State, now: datetime, severity: Severity, alert: str, text: str) -> None:
    """Put a notice into the outbox when the plan has a route for its severity.

    A P0 or P1 stays an open alert until a person acts (``resolve_alerts``).
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
        evidence=state.checks.latest.id if state.checks.latest else "",
    )
    open_alerts = state.outbox.open_alerts
    if severity in PAGING_SEVERITIES:
        open_alerts = (
            *(open_notice for open_notice in open_alerts if open_notice.alert != alert),
            notice,
        )
    _update_outbox(state, notices=(*state.outbox.notices, notice), open_alerts=open_alerts)


def resolve_alerts(state: State, now: datetime, verb: Verb, command: Command) -> None:
    """Resolve the alerts that a person acted on: all, or the one of an acknowledged finding."""
    alerts = state.outbox.open_alerts
    if verb is Verb.ACKNOWLEDGE:
        alerts = tuple(alert for alert in alerts if alert.alert == command.item)
    elif verb not in (Verb.RESUME, Verb.RETRY, Verb.ABORT):
        return
    for alert in alerts:
        resolved = {
            "key": _next_notice_key(state),
            "at": now,
            "text": f"{verb} by {command.actor}; it was: {alert.text}",
            "actor": command.actor,
            "resolved": True,
        }
        notice = alert.model_copy(update=resolved)
        _update_outbox(state, notices=(*state.outbox.notices, notice))
    remaining = tuple(alert for alert in state.outbox.open_alerts if alert not in alerts)
    _update_outbox(state, open_alerts=remaining)


def take_notices(state: State) -> tuple[Notice, ...]:
    """Empty the outbox and return what was in it."""
    notices = state.outbox.notices
    _update_outbox(state, notices=())
    return notices


def page_slow_rollback(state: State, now: datetime, due_at: datetime) -> None:
    """Page because a rollback or abort is not confirmed at ``due_at``; not once it is over."""
    if page_at(state) != due_at:
        return
    text = slow_rollback_text(state)
    _update_outbox(state, paged_rollback_at=unconfirmed_since(state))
    add_event(state, now, "problem", text)
    enqueue_notice(state, now, Severity.P0, "rollback_slow", text)


def _next_notice_key(state: State) -> str:
    count = state.outbox.notice_count + 1
    _update_outbox(state, notice_count=count)
    return f"{state.run_id}-{count}"


def _update_outbox(state: State, **fields: object) -> None:
    state.outbox = state.outbox.model_copy(update=fields)
