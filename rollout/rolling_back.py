"""What a rollback that is asked for means: its kind, where it goes, and the revert of the code."""

from datetime import datetime

from rollout.commands import Command
from rollout.gate import Severity
from rollout.plan import Step
from rollout.state import CodeRevert, Rollback, RollbackKind, State
from rollout.telling import notify, tell


def kind_of(command: Command) -> RollbackKind:
    """The kind of rollback that the command asks for; the fastest when it names several."""
    if command.emergency:
        return RollbackKind.EMERGENCY
    if command.code:
        return RollbackKind.CODE
    return RollbackKind.GRACEFUL if command.graceful else RollbackKind.STEP_BACK


def choices(step: Step) -> tuple[str, ...]:
    """The steps that a person may step back to, the plan's own target first."""
    first = (step.rollback_to,) if step.rollback_to is not None else ()
    return tuple(dict.fromkeys((*first, *step.rollback_choices)))


def chosen(state: State, to: str) -> str | None:
    """The step that ``to`` names, by name or percentage; None when there is no such choice."""
    step = state.answerable_step
    if not to:
        return step.rollback_to
    for name in choices(step):
        percentage = state.plan.step(name).percentage or 0
        if to in (name, f"{percentage:g}", f"{percentage:g}%"):
            return name
    return None


def asked(state: State, now: datetime, kind: RollbackKind, by: Command) -> Rollback:
    """Make the rollback that begins now, from the step whose settings are live."""
    step, to_step = state.answerable_step, None
    levels: tuple[float, ...] = ()
    if kind is RollbackKind.STEP_BACK:
        # Where nothing is live (after an emergency, before the retried step starts) every step is up.
        to_step = chosen(state, by.to) if state.live_step else None
    elif kind is RollbackKind.CODE:
        state.code = CodeRevert(
            asked_at=now,
            asked_by=by.actor,
            reason=by.reason,
            confirmed_by=by.actor if by.confirmed else "",
        )
    elif kind is RollbackKind.GRACEFUL:
        levels = state.plan.rollbacks.graceful.below(state.percentage)
        if (
            levels[0] > 0
        ):  # the flag that the cleanup took away comes back as the step before had it
            to_step = step.rollback_to if step.delete_flag else step.name
    return Rollback(
        kind=kind,
        from_step=step.name,
        to_step=to_step,
        because=by.reason,
        actor=by.actor,
        asked_at=now,
        finding=state.finding,
        percentage=levels[0] if levels else None,
        ahead=levels[1:],
    )


def confirm_revert(state: State, command: Command) -> bool:
    """Let a waiting code rollback go on; False when the command is not about one."""
    code = state.code
    if not command.code or command.emergency or code is None or code.outcome == "reverted":
        return False
    if not command.confirmed:
        return False
    update = {"confirmed_by": command.actor, "outcome": "", "text": "", "ended_at": None}
    state.code = code.model_copy(update=update)
    return True


def reverted(state: State, now: datetime, outcome: str, text: str) -> None:
    """Record how the revert ended; after a conflict or a failure a person may confirm it again."""
    assert state.code is not None  # noqa: S101  only what was asked for ends
    state.code = CodeRevert.model_validate(
        {**state.code.model_dump(), "outcome": outcome, "text": text, "ended_at": now}
    )
    tell(state, now, "code", f"{outcome}: {text}")
    severity = Severity.P2 if outcome == "reverted" else Severity.P1
    notify(state, now, severity, "code_rollback", f"{outcome}: {text}")
