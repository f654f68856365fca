"""The guide's severity levels over time: what is due when nobody has acted (guide: Escalation Path)."""

from datetime import datetime

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.approvals import missing_approvals
from sluice.rollout.engine.preconditions import blockers
from sluice.rollout.engine.state import Reminder, State, Status
from sluice.rollout.engine.timeline import add_event, enqueue_notice, has_route
from sluice.rollout.units import format_duration

PAUSE_REMINDER = "paused"
APPROVAL_REMINDER = "approval_needed"
"""Reminders that name no red flag: the rollout waits for a person, and says so again."""


def add_reminder(state: State, now: datetime, name: str, reason: str) -> None:
    """Note a P2: it is to be looked into within ``p2_reminds_after``."""
    others = tuple(one for one in state.reminders if one.name != name)
    due_at = now + state.plan.escalation.p2_reminds_after
    state.reminders = (*others, Reminder(name=name, reason=reason, due_at=due_at))


def drop_reminder(state: State, name: str) -> None:
    """Drop a reminder: what it was about is over."""
    state.reminders = tuple(one for one in state.reminders if one.name != name)


def next_reminder_at(state: State) -> datetime | None:
    """When people are to be told something that no event tells."""
    times = [one.due_at for one in state.reminders]
    return min(
        [*times, *([state.waiting_since] if _needs_approval_request(state) else [])], default=None
    )


def send_reminders(state: State, now: datetime) -> None:
    """Remind of every P2 that is due, and look at it afresh: if it still burns, it is noted anew.

    A pause and an approval that still waits are told again every ``p2_reminds_after``.
    """
    due = [one for one in state.reminders if one.due_at <= now]
    state.reminders = tuple(one for one in state.reminders if one.due_at > now)
    state.muted_findings = tuple(
        name for name in state.muted_findings if name not in {one.name for one in due}
    )
    for one in due:
        if one.name != APPROVAL_REMINDER:
            _repeat_reminder(state, now, one)
    if _needs_approval_request(state):
        _request_approval(state, now)


def _repeat_reminder(state: State, now: datetime, one: Reminder) -> None:
    text = f"time to look into it is over: {one.reason}"
    if one.name == PAUSE_REMINDER:
        add_reminder(state, now, PAUSE_REMINDER, one.reason)
        text = f"still paused, waiting for a person: {one.reason}"
    add_event(state, now, "reminder", text)
    enqueue_notice(state, now, Severity.P2, one.name, text)


def notify_paused(state: State, now: datetime, reason: str) -> None:
    """Tell people that the rollout paused by itself; no harm is done, but nothing moves."""
    enqueue_notice(state, now, Severity.P2, PAUSE_REMINDER, reason)


def schedule_pause_reminder(state: State, now: datetime, reason: str) -> None:
    """Begin to remind of a pause that only a person ends."""
    drop_reminder(state, APPROVAL_REMINDER)
    if has_route(state, Severity.P2):
        add_reminder(state, now, PAUSE_REMINDER, reason)


def _needs_approval_request(state: State) -> bool:
    """Whether an approval is missing that people have not been asked for (again)."""
    step = state.step
    if step is None or state.step_started_at is not None or not missing_approvals(state, step):
        return False
    asked = any(one.name == APPROVAL_REMINDER for one in state.reminders)
    return state.status is Status.PROGRESSING and not asked and has_route(state, Severity.P2)


def _request_approval(state: State, now: datetime) -> None:
    step = state.step
    assert step is not None  # noqa: S101  only a step can wait for approval
    waits = "; ".join(one.reason for one in blockers(state, step, now))
    add_reminder(state, now, APPROVAL_REMINDER, waits)
    text = f"{waits}; `sluice approve {state.plan.flag}`"
    add_event(state, now, "approval_needed", text)
    enqueue_notice(state, now, Severity.P2, APPROVAL_REMINDER, text)


def unconfirmed_since(state: State) -> datetime | None:
    """When the rollback or abort began that isn't confirmed yet; None when there is none."""
    if state.has_ended or state.abort_confirmed_at is not None:
        return None
    if state.aborted_at is not None:
        return state.aborted_at
    rollback = state.rollback
    return rollback.requested_at if rollback is not None and rollback.confirmed_at is None else None


def page_at(state: State) -> datetime | None:
    """When to page because traffic is still not confirmed gone; once for each rollback."""
    since = unconfirmed_since(state)
    if since is None or since == state.paged_rollback_at:
        return None
    return since + state.plan.escalation.rollback_pages_after


def record_page(state: State, now: datetime) -> None:
    """Page: the rollback goes on, but a person should know that it isn't done."""
    rollback = state.rollback
    state.paged_rollback_at = unconfirmed_since(state)
    done = rollback is not None and rollback.completed_at is not None and state.aborted_at is None
    stuck = "not every router process confirms it" if done else "it is not confirmed"
    limit = format_duration(state.plan.escalation.rollback_pages_after)
    text = f"a rollback takes longer than {limit}: {stuck}; it is tried until it is done"
    add_event(state, now, "problem", text)
    enqueue_notice(state, now, Severity.P0, "rollback_slow", text)


def confirm_abort(state: State, now: datetime, text: str) -> None:
    """Record what the router processes said after the abort."""
    state.abort_confirmed_at = now
    add_event(state, now, "confirmed", text)
