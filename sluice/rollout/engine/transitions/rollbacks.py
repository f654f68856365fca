"""Findings, and traffic taken away: rollbacks, reverts, aborts, and the writes of the flag."""

from datetime import datetime
from typing import Literal

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.escalation import APPROVAL_REMINDER, unconfirmed_rollback
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.flag_target import DesiredFlag, FlagReceipt, FlagWrite
from sluice.rollout.engine.rollback import resolve_target
from sluice.rollout.engine.state import (
    KILL_LATCH_KINDS,
    Abort,
    CodeRevert,
    Finding,
    Rollback,
    RollbackKind,
    State,
    Status,
)
from sluice.rollout.engine.step_progress import CheckEvidence, LiveStep, PendingEntry, StepClock
from sluice.rollout.engine.transitions.notices import (
    add_event,
    append_event,
    enqueue_notice,
)
from sluice.rollout.engine.transitions.reminders import drop_reminder

REFUSED_ALERT = "rollback_refused"


def raise_finding(state: State, now: datetime, finding: Finding) -> None:
    """Take a finding of the watch; evidence that was acted on once does not act again.

    After a reset of the workflow the store is ahead: the next write continues from there.
    """
    state.sequence = max(state.sequence, finding.sequence)
    severity, reason = finding.verdict.severity, finding.verdict.reason
    state.red_flags = state.red_flags.model_copy(
        update={
            "finding": finding,
            "raised": {**state.red_flags.raised, finding.name: severity},
            "last_reason": reason,
            "last_at": finding.seen_at,
        }
    )
    _void_approvals(state)
    key = f"red_flags/{finding.name}"
    if (acted_on := state.sequential_states.get(key)) is not None:
        state.sequential_states = {**state.sequential_states, key: acted_on.next_attempt()}
    append_event(
        state,
        Event(
            at=now,
            kind="red_flag",
            text=f"{severity} {reason}",
            finding=finding.model_dump_json(),
        ),
    )
    enqueue_notice(state, now, severity, finding.name, reason)


def _void_approvals(state: State) -> None:
    """Void approvals that people gave before they could know of a finding, and ask again."""
    if state.entry.approvals:
        drop_reminder(state, APPROVAL_REMINDER)
    state.entry = state.entry.model_copy(update={"approvals": ()})


def next_write(state: State, desired: DesiredFlag, actor: str, reason: str) -> FlagWrite:
    """Fence a desired flag: each write of the rollout carries a greater sequence than the last."""
    state.sequence += 1
    return FlagWrite(
        environment=state.plan.environment,
        flag=state.plan.flag,
        run_id=state.run_id,
        sequence=state.sequence,
        actor=actor,
        reason=reason,
        **{name: getattr(desired, name) for name in DesiredFlag.model_fields},
    )


def catch_up(state: State, receipt: FlagReceipt) -> None:
    """Continue from the store's last write: it is ahead after a reset of the workflow.

    A rollback is never refused for that, but the next step would be.
    """
    if receipt.run_id == state.run_id:
        state.sequence = max(state.sequence, receipt.sequence)


def start_rollback(state: State, now: datetime, kind: RollbackKind, command: Command) -> Rollback:
    """Begin a rollback; an emergency under way is not replaced."""
    pending = state.pending_rollback
    if pending is not None and pending.kind in KILL_LATCH_KINDS:
        return pending
    if kind is RollbackKind.CODE:
        state.code_revert = CodeRevert(
            requested_at=now,
            requested_by=command.actor,
            reason=command.reason,
            confirmed_by=command.actor if command.confirmed else "",
        )
    rollback = _new_rollback(state, now, kind, command)
    state.rollback = rollback
    return rollback


def _new_rollback(state: State, now: datetime, kind: RollbackKind, command: Command) -> Rollback:
    """Build the rollback that begins now, from the step whose settings are live."""
    step, to_step = state.rollback_origin_step, None
    levels: tuple[float, ...] = ()
    if kind is RollbackKind.STEP_BACK:
        # Where nothing is live (after an emergency, before the retried step starts) every step is up.
        to_step = resolve_target(state, command.to) if state.live.name else None
    elif kind is RollbackKind.GRACEFUL:
        levels = state.plan.rollbacks.graceful.levels_below(state.percentage)
        if levels[0] > 0:  # the flag that the cleanup deleted comes back as the step before had it
            to_step = step.rollback_to if step.delete_flag else step.name
    return Rollback(
        kind=kind,
        from_step=step.name,
        to_step=to_step,
        reason=command.reason,
        actor=command.actor,
        requested_at=now,
        finding=state.red_flags.finding,
        percentage=levels[0] if levels else None,
        remaining_levels=levels[1:],
    )


def complete_rollback(
    state: State, now: datetime, rollback: Rollback, percentage: float, version: int = 0
) -> None:
    """Record that the store has the target: the rollout is Degraded until a person decides."""
    next_at = now + state.plan.rollbacks.graceful.watch if rollback.remaining_levels else None
    completion = {"completed_at": now, "version": version, "next_level_at": next_at}
    state.rollback = rollback.model_copy(update=completion)
    state.status = Status.DEGRADED
    state.percentage = percentage
    state.live = LiveStep(name=rollback.to_step or "", since=now)
    void: dict[str, object] = {"finding": None, "raised": {}, "acknowledged": ()}
    state.red_flags = state.red_flags.model_copy(update=void)
    # What comes next is another release, or a person's decision: new evidence, at what α is left.
    state.sequential_states = {
        key: track.next_attempt() for key, track in state.sequential_states.items()
    }
    state.checks, state.entry, state.clock = CheckEvidence(), PendingEntry(), StepClock()
    state.pause, state.reminders = None, ()
    text = f"{rollback.kind.replace('_', ' ')} to {percentage:g} %: {rollback.reason}"
    add_event(state, now, "rollback", text, rollback.actor)
    severity = rollback.finding.verdict.severity if rollback.finding else Severity.P1
    enqueue_notice(state, now, severity, "rolled_back", text)


def record_refused_rollback(state: State, now: datetime, reason: str) -> None:
    """Page because the store refuses to take traffic away; once until a person acts."""
    text = f"can't lower the flag, trying again: {reason}"
    last = state.timeline[-1] if state.timeline else None
    if last is None or last.text != text:
        add_event(state, now, "problem", text)
    if all(alert.alert != REFUSED_ALERT for alert in state.outbox.open_alerts):
        enqueue_notice(state, now, Severity.P0, REFUSED_ALERT, text)


def confirm_rollback(state: State, now: datetime, rollback: Rollback, text: str) -> None:
    """Record the processes' answers after the rollback; not once something else took its place."""
    if unconfirmed_rollback(state) is not rollback:
        return
    state.rollback = rollback.model_copy(update={"confirmed_at": now, "confirmation": text})
    add_event(state, now, "confirmed", text)


def confirm_revert(state: State, command: Command) -> bool:
    """Let a waiting code rollback go on; False when the command is not about one."""
    revert = state.code_revert
    if not (command.code and command.confirmed) or command.emergency:
        return False
    if revert is None or revert.outcome == "reverted":
        return False
    update = {"confirmed_by": command.actor, "outcome": "", "text": "", "ended_at": None}
    state.code_revert = revert.model_copy(update=update)
    return True


RevertOutcome = Literal["reverted", "conflict", "failed"]


def record_revert(state: State, now: datetime, outcome: RevertOutcome, text: str) -> None:
    """Record how the revert ended; after a conflict or a failure a person may confirm it again."""
    if state.code_revert is not None:
        update = {"outcome": outcome, "text": text, "ended_at": now}
        state.code_revert = state.code_revert.model_copy(update=update)
    add_event(state, now, "code_revert", f"{outcome}: {text}")
    severity = Severity.P2 if outcome == "reverted" else Severity.P1
    enqueue_notice(state, now, severity, "code_rollback", f"{outcome}: {text}")


def request_abort(state: State, now: datetime, actor: str, reason: str) -> None:
    """Begin the end at 0 %; a second request names its author, and keeps the first one's times."""
    first = state.abort or Abort(actor=actor, reason=reason, requested_at=now)
    state.abort = first.model_copy(update={"actor": actor, "reason": reason})


def record_abort_write(state: State, now: datetime, percentage: float) -> None:
    """Record that the store has the flag at 0 % for good."""
    state.percentage = percentage
    if state.abort is not None:
        state.abort = state.abort.model_copy(update={"written_at": now})


def confirm_abort(state: State, now: datetime, text: str) -> None:
    """Record the answers of the router processes after the abort."""
    if state.abort is not None:
        state.abort = state.abort.model_copy(update={"confirmed_at": now})
    add_event(state, now, "confirmed", text)
