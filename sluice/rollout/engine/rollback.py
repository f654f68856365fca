"""What a rollback that is asked for means: its kind, where it goes, and the revert of the code."""

from datetime import datetime

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.state import (
    KILL_LATCH_KINDS,
    CodeRevert,
    Rollback,
    RollbackKind,
    State,
)
from sluice.rollout.engine.timeline import add_event, enqueue_notice
from sluice.rollout.plan.schema import Step


def rollback_kind(command: Command) -> RollbackKind:
    """The kind of rollback that the command asks for; the fastest when it names several."""
    if command.emergency:
        return RollbackKind.EMERGENCY
    if command.code:
        return RollbackKind.CODE
    return RollbackKind.GRACEFUL if command.graceful else RollbackKind.STEP_BACK


def rollback_targets(step: Step) -> tuple[str, ...]:
    """The steps that a person may step back to, the plan's own target first."""
    first = (step.rollback_to,) if step.rollback_to is not None else ()
    return tuple(dict.fromkeys((*first, *step.rollback_choices)))


def resolve_target(state: State, to: str) -> str | None:
    """The step that ``to`` names, by name or percentage; None when there is no such choice."""
    step = state.rollback_origin_step
    if not to:
        return step.rollback_to
    for name in rollback_targets(step):
        percentage = state.plan.step(name).percentage or 0
        if to in (name, f"{percentage:g}", f"{percentage:g}%"):
            return name
    return None


def new_rollback(state: State, now: datetime, kind: RollbackKind, command: Command) -> Rollback:
    """Make the rollback that begins now, from the step whose settings are live."""
    step, to_step = state.rollback_origin_step, None
    levels: tuple[float, ...] = ()
    if kind is RollbackKind.STEP_BACK:
        # Where nothing is live (after an emergency, before the retried step starts) every step is up.
        to_step = resolve_target(state, command.to) if state.exposed_step_name else None
    elif kind is RollbackKind.CODE:
        state.code_revert = CodeRevert(
            requested_at=now,
            requested_by=command.actor,
            reason=command.reason,
            confirmed_by=command.actor if command.confirmed else "",
        )
    elif kind is RollbackKind.GRACEFUL:
        levels = state.plan.rollbacks.graceful.levels_below(state.percentage)
        if (
            levels[0] > 0
        ):  # the flag that the cleanup took away comes back as the step before had it
            to_step = step.rollback_to if step.delete_flag else step.name
    return Rollback(
        kind=kind,
        from_step=step.name,
        to_step=to_step,
        reason=command.reason,
        actor=command.actor,
        requested_at=now,
        finding=state.finding,
        percentage=levels[0] if levels else None,
        remaining_levels=levels[1:],
    )


def confirm_revert(state: State, command: Command) -> bool:
    """Let a waiting code rollback go on; False when the command is not about one."""
    code = state.code_revert
    if not command.code or command.emergency or code is None or code.outcome == "reverted":
        return False
    if not command.confirmed:
        return False
    update = {"confirmed_by": command.actor, "outcome": "", "text": "", "ended_at": None}
    state.code_revert = code.model_copy(update=update)
    return True


def record_revert(state: State, now: datetime, outcome: str, text: str) -> None:
    """Record how the revert ended; after a conflict or a failure a person may confirm it again."""
    assert state.code_revert is not None  # noqa: S101  only what was asked for ends
    state.code_revert = CodeRevert.model_validate(
        {**state.code_revert.model_dump(), "outcome": outcome, "text": text, "ended_at": now}
    )
    add_event(state, now, "code_revert", f"{outcome}: {text}")
    severity = Severity.P2 if outcome == "reverted" else Severity.P1
    enqueue_notice(state, now, severity, "code_rollback", f"{outcome}: {text}")


def start_rollback(state: State, now: datetime, kind: RollbackKind, command: Command) -> Rollback:
    """Begin a rollback; an emergency replaces any other, never the other way round."""
    current = state.rollback
    if current is not None and current.completed_at is None and current.kind in KILL_LATCH_KINDS:
        return current
    state.rollback = new_rollback(state, now, kind, command)
    return state.rollback
