"""Reminders: of findings that nobody looked into, of pauses, and of approvals that are missing."""

from datetime import datetime

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.escalation import (
    APPROVAL_REMINDER,
    PAUSE_REMINDER,
    needs_approval_request,
)
from sluice.rollout.engine.preconditions import blockers
from sluice.rollout.engine.state import Reminder, State
from sluice.rollout.engine.timeline import has_route
from sluice.rollout.engine.transitions.notices import add_event, enqueue_notice
from sluice.rollout.plan.schema import Step


def add_reminder(state: State, now: datetime, name: str, reason: str) -> None:
    """Remind of this, in place of an earlier reminder of the name, in ``p2_reminds_after``."""
    drop_reminder(state, name)
    due_at = now + state.plan.escalation.p2_reminds_after
    state.reminders = (*state.reminders, Reminder(name=name, reason=reason, due_at=due_at))


def drop_reminder(state: State, name: str) -> None:
    """Drop a reminder whose subject is over."""
    state.reminders = tuple(reminder for reminder in state.reminders if reminder.name != name)


def send_reminders(state: State, now: datetime) -> None:
    """Send every reminder that is due, and unmute its finding: it counts again if it still burns.

    A pause, and an approval that is missing, are repeated every ``p2_reminds_after``.
    """
    due = [reminder for reminder in state.reminders if reminder.due_at <= now]
    names = {reminder.name for reminder in due}
    state.reminders = tuple(reminder for reminder in state.reminders if reminder.due_at > now)
    muted = tuple(name for name in state.red_flags.muted if name not in names)
    state.red_flags = state.red_flags.model_copy(update={"muted": muted})
    for reminder in due:
        if reminder.name != APPROVAL_REMINDER:
            _repeat_reminder(state, now, reminder)
    if needs_approval_request(state) and state.step is not None:
        _request_approval(state, state.step, now)


def _repeat_reminder(state: State, now: datetime, reminder: Reminder) -> None:
    text = f"time to look into it is over: {reminder.reason}"
    if reminder.name == PAUSE_REMINDER:
        add_reminder(state, now, PAUSE_REMINDER, reminder.reason)
        text = f"still paused, waiting for a person: {reminder.reason}"
    add_event(state, now, "reminder", text)
    enqueue_notice(state, now, Severity.P2, reminder.name, text)


def _request_approval(state: State, step: Step, now: datetime) -> None:
    reasons = "; ".join(blocker.reason for blocker in blockers(state, step, now))
    add_reminder(state, now, APPROVAL_REMINDER, reasons)
    text = f"{reasons}; `sluice approve {state.plan.flag}`"
    add_event(state, now, "approval_needed", text)
    enqueue_notice(state, now, Severity.P2, APPROVAL_REMINDER, text)


def schedule_pause_reminder(state: State, now: datetime, reason: str) -> None:
    """Begin to remind of a pause that only a person ends."""
    drop_reminder(state, APPROVAL_REMINDER)
    if has_route(state, Severity.P2):
        add_reminder(state, now, PAUSE_REMINDER, reason)
