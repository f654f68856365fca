"""Findings that a person answers for: silent for a time, then they count again."""

from datetime import datetime

from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.state import AcknowledgedFinding, State
from sluice.rollout.engine.transitions.notices import add_event
from sluice.rollout.engine.transitions.reminders import drop_reminder, schedule_pause_reminder


def acknowledge(state: State, now: datetime, command: Command) -> None:
    """Silence a finding for ``command.duration``; its pause no longer rolls back by itself."""
    name = command.item
    assert command.duration is not None  # noqa: S101  admission requires it
    record = AcknowledgedFinding(
        name=name,
        actor=command.actor,
        reason=command.reason,
        at=now,
        until=now + command.duration,
    )
    flags = state.red_flags
    other_records = tuple(
        acknowledgement for acknowledgement in flags.acknowledged if acknowledgement.name != name
    )
    is_pending = flags.finding is not None and flags.finding.name == name
    state.red_flags = flags.model_copy(
        update={
            "acknowledged": (*other_records, record),
            "muted": tuple(finding for finding in flags.muted if finding != name),
            "finding": None if is_pending else flags.finding,
        }
    )
    drop_reminder(state, name)
    _keep_pause(state, now, name)


def _keep_pause(state: State, now: datetime, name: str) -> None:
    """Leave a pause to people once every P1 that caused it is acknowledged."""
    if state.pause is None or name not in state.pause.findings:
        return
    findings = tuple(finding_name for finding_name in state.pause.findings if finding_name != name)
    state.pause = state.pause.model_copy(update={"findings": findings})
    if not findings:
        state.pause = state.pause.model_copy(update={"auto_rollback_at": None})
        schedule_pause_reminder(state, now, state.pause.reason)


def expire_acknowledgements(state: State, now: datetime) -> None:
    """Let every finding count again whose time is over."""
    flags = state.red_flags
    expired = [finding for finding in flags.acknowledged if finding.until <= now]
    if not expired:
        return
    current = tuple(finding for finding in flags.acknowledged if finding.until > now)
    state.red_flags = flags.model_copy(update={"acknowledged": current})
    for finding in expired:
        text = f"{finding.name} counts again; {finding.actor} had acknowledged it"
        add_event(state, now, "acknowledge", text)
