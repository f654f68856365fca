"""The guide's severity levels over time: what is due when nobody has acted (Escalation Path)."""

from datetime import datetime

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.approvals import missing_approvals
from sluice.rollout.engine.state import AcknowledgedFinding, Rollback, State, Status
from sluice.rollout.engine.timeline import has_route
from sluice.rollout.units import format_duration

PAUSE_REMINDER = "paused"
APPROVAL_REMINDER = "approval_needed"
"""Reminders that name no red flag: the rollout waits for a person."""


def next_reminder_at(state: State) -> datetime | None:
    """Return the time of the next reminder or expired acknowledgement; None without one."""
    times = [reminder.due_at for reminder in state.reminders]
    times += [finding.until for finding in state.red_flags.acknowledged]
    if needs_approval_request(state):
        times.append(state.waiting_since)
    return min(times, default=None)


def needs_approval_request(state: State) -> bool:
    """Return True if an approval is missing that people have not been asked for (again)."""
    step = state.step
    if step is None or state.is_live or not missing_approvals(state, step):
        return False
    is_requested = any(reminder.name == APPROVAL_REMINDER for reminder in state.reminders)
    is_progressing = state.status is Status.PROGRESSING
    return is_progressing and not is_requested and has_route(state, Severity.P2)


def describe_acknowledged(finding: AcknowledgedFinding) -> str:
    """Describe a finding that is silent by a person's word."""
    reason = f": {finding.reason}" if finding.reason else ""
    return f"{finding.name} acknowledged until {finding.until:%m-%d %H:%M} UTC by {finding.actor}{reason}"


def unconfirmed_since(state: State) -> datetime | None:
    """Return the time at which the unconfirmed rollback or abort began; None without one."""
    if state.has_ended:
        return None
    if state.abort is not None:
        return None if state.abort.confirmed_at else state.abort.requested_at
    rollback = state.rollback
    return rollback.requested_at if rollback is not None and rollback.confirmed_at is None else None


def unconfirmed_rollback(state: State) -> Rollback | None:
    """Return the written rollback that the processes have yet to confirm; None once an end is due."""
    rollback = state.rollback
    if rollback is None or rollback.completed_at is None or rollback.confirmed_at is not None:
        return None
    return None if state.abort is not None or state.has_ended else rollback


def page_at(state: State) -> datetime | None:
    """Return the time to page because traffic is not confirmed gone; once for each rollback."""
    since = unconfirmed_since(state)
    if since is None or since == state.outbox.paged_rollback_at:
        return None
    return since + state.plan.escalation.rollback_pages_after


def slow_rollback_text(state: State) -> str:
    """Describe a rollback that takes too long: it goes on, but a person should know."""
    rollback = state.rollback
    is_written = rollback is not None and rollback.completed_at is not None and state.abort is None
    stuck = "not every process confirms it" if is_written else "it is not confirmed"
    limit = format_duration(state.plan.escalation.rollback_pages_after)
    return f"a rollback takes longer than {limit}: {stuck}; it is tried until it is done"
