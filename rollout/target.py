"""What the flag and the phases shall be: derived from plan and state, written by an activity."""

from rollout.gate import Model
from rollout.plan import Phases, RolloutPlan, Step
from rollout.state import KILLING, Rollback, RollbackKind, State


class Target(Model):
    """The flag as it shall be; None leaves a field as it is.

    ``lowers``: a rollback. Of a flag that a person killed it leaves out what would expose anybody,
    where a step that begins is refused.
    """

    percentage: float | None = None
    whitelist: tuple[str, ...] | None = None
    killed: bool | None = None
    phases: Phases | None = None
    create: bool = False
    delete: bool = False
    lowers: bool = False


def phases_at(plan: RolloutPlan, index: int) -> Phases | None:
    """Tell which phases are on in the step at ``index``: the last ones that were set."""
    return next((s.phases for s in reversed(plan.steps[: index + 1]) if s.phases), None)


def to_enter(state: State, step: Step) -> Target:
    """Give what switching ``step`` on means."""
    return Target(
        percentage=step.percentage,
        whitelist=step.whitelist,
        killed=False if state.unkill_by and step.percentage is not None else None,
        phases=phases_at(state.plan, state.plan.index(step.name)),
        create=step.percentage is not None,
        delete=step.delete_flag,
    )


def to_zero(state: State, *, kill: bool) -> Target:
    """Nobody gets the treatment any more, whatever step it was.

    Where users were exposed by percentage, the phases stay (learning goes on dark). In any other
    step the step's own switches are the suspects, so the phases of its rollback target come back;
    after the cleanup that also puts a flag in front of the learner again.
    """
    phases = _phases_to_lower(state)
    return Target(
        percentage=0, whitelist=(), killed=True if kill else None, phases=phases, create=True
    )


def _phases_to_lower(state: State) -> Phases | None:
    step = state.answerable_step
    index = state.plan.index(step.name)
    if not step.percentage and step.rollback_to is not None:
        index = state.plan.index(step.rollback_to)
    return phases_at(state.plan, index)


def to_roll_back(state: State, rollback: Rollback) -> Target:
    """Give what the rollback means; a step back without a target goes to 0 %."""
    if rollback.kind is RollbackKind.GRACEFUL and rollback.percentage:
        level, phases = rollback.percentage, _phases_to_lower(state)
        return Target(percentage=level, phases=phases, create=True, lowers=True)
    if rollback.kind is not RollbackKind.STEP_BACK or rollback.to_step is None:
        return to_zero(state, kill=rollback.kind in KILLING)
    to_step = state.plan.step(rollback.to_step)
    return Target(
        percentage=to_step.percentage or 0,
        whitelist=to_step.whitelist,
        phases=phases_at(state.plan, state.plan.index(to_step.name)),
        create=True,
        lowers=True,
    )
