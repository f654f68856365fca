"""Pauses, and findings of low severity: a step stops or goes on with its traffic."""

from datetime import datetime

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.escalation import APPROVAL_REMINDER, PAUSE_REMINDER
from sluice.rollout.engine.state import Abort, ActivePause, Finding, State, Status
from sluice.rollout.engine.transitions.notices import add_event, enqueue_notice
from sluice.rollout.engine.transitions.reminders import (
    add_reminder,
    drop_reminder,
    schedule_pause_reminder,
)


def pause_automatically(
    state: State,
    now: datetime,
    reason: str,
    auto_rollback_at: datetime | None = None,
    finding: Finding | None = None,
) -> None:
    """Pause without a person's command; people get a notice (of a P1 they have one already)."""
    pause(state, now, reason, auto_rollback_at)
    add_event(state, now, "pause", reason)
    if finding is not None and state.pause is not None:
        findings = (*state.pause.findings, finding.name)
        state.pause = state.pause.model_copy(update={"findings": findings})
        _mute_finding(state, finding)
    if auto_rollback_at is None:
        enqueue_notice(state, now, Severity.P2, PAUSE_REMINDER, reason)


def pause(
    state: State, now: datetime, reason: str, auto_rollback_at: datetime | None = None
) -> None:
    """Pause; a second pause keeps the first one's time and the earlier automatic rollback."""
    times = [auto_rollback_at, state.pause.auto_rollback_at if state.pause else None]
    earliest = min((time for time in times if time is not None), default=None)
    before = state.pause or ActivePause(since=now, reason=reason)
    state.status = Status.PAUSED
    update = {"reason": reason, "auto_rollback_at": earliest}
    state.pause = before.model_copy(update=update)
    if earliest is None:
        schedule_pause_reminder(state, now, reason)


def resume(state: State, now: datetime) -> None:
    """Go on; the pause doesn't count as soak time, and stability starts again.

    A step that was paused at its deadline gets the deadline's time once more. Without it, the next
    check would pause the step again, however good its readings are.
    """
    update: dict[str, object] = {"stable_since": None}
    if state.step is not None and state.is_overdue(now):
        update["extended_deadline"] = state.soak_time(now) + state.step.deadline
    if state.pause is not None and state.clock.started_at is not None:
        update["started_at"] = state.clock.started_at + (now - state.pause.since)
        update["next_check_at"] = now
    state.clock = state.clock.model_copy(update=update)
    state.status = Status.PROGRESSING
    state.entry = state.entry.model_copy(update={"eligible_since": now})
    state.pause = None
    state.red_flags = state.red_flags.model_copy(update={"muted": ()})
    drop_reminder(state, PAUSE_REMINDER)


def record_finding(state: State, now: datetime, finding: Finding) -> None:
    """Write a finding of low severity down; a P2 gets a reminder."""
    if finding.is_over:
        state.red_flags = state.red_flags.model_copy(update={"finding": None})
        state.clock = state.clock.model_copy(update={"stable_since": None})
    else:
        _mute_finding(state, finding)
    severity, reason = finding.verdict.severity, finding.verdict.reason
    if severity is Severity.P2:
        add_reminder(state, now, finding.name, reason)
    add_event(state, now, "note", f"{severity}: {reason}")


def expire_approval(state: State, now: datetime, reason: str) -> None:
    """Void the approvals that came too late or not at all, then pause or abort as the plan says."""
    state.entry = state.entry.model_copy(update={"approvals": ()})
    approval = state.step.approval if state.step else None
    if approval is not None and approval.on_expiry == "abort":
        state.abort = Abort(actor="sluice", reason=reason, requested_at=now)
        add_event(state, now, "abort", reason)
    else:
        pause_automatically(state, now, reason)


def lapse_approvals(state: State, now: datetime, reason: str) -> None:
    """Void approvals on readings that are too old now, and ask for new ones."""
    state.entry = state.entry.model_copy(update={"approvals": ()})
    drop_reminder(state, APPROVAL_REMINDER)
    add_event(state, now, "approval_needed", reason)


def _mute_finding(state: State, finding: Finding) -> None:
    muted = (*state.red_flags.muted, finding.name)
    state.red_flags = state.red_flags.model_copy(update={"finding": None, "muted": muted})
