"""A rollback's kind, its target, and the steps that a person may choose."""

from datetime import datetime

from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.state import Rollback, RollbackKind, State
from sluice.rollout.plan.schema import Step


def rollback_kind(command: Command) -> RollbackKind:
    """Return the kind of rollback that the command requests; the fastest of several."""
    if command.emergency:
        return RollbackKind.EMERGENCY
    if command.code:
        return RollbackKind.CODE
    return RollbackKind.GRACEFUL if command.graceful else RollbackKind.STEP_BACK


def rollback_targets(step: Step) -> tuple[str, ...]:
    """Return the steps that a person may step back to, the plan's own target first."""
    first = (step.rollback_to,) if step.rollback_to is not None else ()
    return tuple(dict.fromkeys((*first, *step.rollback_choices)))


def resolve_target(state: State, to: str) -> str | None:
    """Return the step that ``to`` names, by name or percentage; None without such a choice."""
    step = state.rollback_origin_step
    if not to:
        return step.rollback_to
    for name in rollback_targets(step):
        percentage = state.plan.step(name).percentage or 0
        if to in (name, f"{percentage:g}", f"{percentage:g}%"):
            return name
    return None


def new_rollback(state: State, now: datetime, kind: RollbackKind, command: Command) -> Rollback:
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
