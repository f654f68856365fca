"""A rollback's kind, its target, and the steps that a person may choose."""

from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.state import RollbackKind, State
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
