"""The desired state of the flag and the phases: derived from plan and state."""

from sluice.rollout.analysis.gate import Model
from sluice.rollout.engine.state import (
    KILL_LATCH_KINDS,
    Rollback,
    RollbackKind,
    State,
)
from sluice.rollout.plan.schema import PhaseSwitches, RolloutPlan, Step


class DesiredFlag(Model):
    """The desired state of the flag. A field that is None stays as it is.

    The store never refuses a rollback (``is_rollback``): where a person's kill latch or another
    run is in the way, the store leaves out what would expose anybody. It refuses a step.
    """

    percentage: float | None = None
    whitelist: tuple[str, ...] | None = None
    killed: bool | None = None
    phases: PhaseSwitches | None = None
    create: bool = False
    delete: bool = False
    is_rollback: bool = False
    excludes: tuple[str, ...] = ()


def phases_at(plan: RolloutPlan, index: int) -> PhaseSwitches | None:
    """Return the phases of the step at ``index``: the last ones that were set."""
    return next((s.phases for s in reversed(plan.steps[: index + 1]) if s.phases), None)


def flag_for_step(state: State, step: Step) -> DesiredFlag:
    """Return the desired flag while ``step`` is live."""
    return DesiredFlag(
        percentage=step.percentage,
        whitelist=step.whitelist,
        killed=False if state.clear_kill_for and step.percentage is not None else None,
        phases=phases_at(state.plan, state.plan.index(step.name)),
        create=step.percentage is not None,
        delete=step.delete_flag,
        excludes=state.plan.excludes if step.percentage else (),
    )


def flag_at_zero(state: State, *, kill: bool) -> DesiredFlag:
    """Return the desired flag that treats nobody, whatever step is live.

    Where users were exposed by percentage, the phases stay (learning goes on dark). In any other
    step the step's own switches are the suspects, so the phases of its rollback target come back;
    after the cleanup that also puts a flag in front of the learner again.
    """
    phases = _rollback_phases(state)
    return DesiredFlag(
        percentage=0,
        whitelist=(),
        killed=True if kill else None,
        phases=phases,
        create=True,
        is_rollback=True,
    )


def _rollback_phases(state: State) -> PhaseSwitches | None:
    step = state.rollback_origin_step
    index = state.plan.index(step.name)
    if not step.percentage and step.rollback_to is not None:
        index = state.plan.index(step.rollback_to)
    return phases_at(state.plan, index)


def flag_for_rollback(state: State, rollback: Rollback) -> DesiredFlag:
    """Return the desired flag after the rollback; a step back without a target goes to 0 %."""
    if rollback.kind is RollbackKind.GRACEFUL and rollback.percentage:
        level, phases = rollback.percentage, _rollback_phases(state)
        return DesiredFlag(percentage=level, phases=phases, create=True, is_rollback=True)
    if rollback.kind is not RollbackKind.STEP_BACK or rollback.to_step is None:
        return flag_at_zero(state, kill=rollback.kind in KILL_LATCH_KINDS)
    to_step = state.plan.step(rollback.to_step)
    return DesiredFlag(
        percentage=to_step.percentage or 0,
        whitelist=to_step.whitelist,
        phases=phases_at(state.plan, state.plan.index(to_step.name)),
        create=True,
        is_rollback=True,
    )


class FlagWrite(DesiredFlag):
    """A fenced write of the desired flag. It is absolute, so doing it twice is doing it once.

    ``run_id`` and ``sequence`` fence the write: the store refuses it after a newer one. ``delete``
    ends the flag (guide: Stage 5). ``killed`` True sets the kill latch. False clears it (only on a
    person's retry).
    """

    environment: str
    flag: str
    run_id: str
    sequence: int
    actor: str
    reason: str


class FlagReceipt(Model):
    """The flag as the store holds it. ``version`` is the document's.

    ``run_id`` and ``sequence`` are of the last fenced write; ``phases`` are the router's, if they
    belong to the flag.
    """

    version: int = 0
    percentage: float
    killed: bool = False
    deleted: bool = False
    run_id: str = ""
    sequence: int = -1
    phases: PhaseSwitches | None = None


def increases_exposure(state: State, step: Step) -> bool:
    """Return True if starting ``step`` gives the treatment to anybody who doesn't have it."""
    if (step.percentage or 0) > state.percentage or step.whitelist or step.delete_flag:
        return True
    index = state.plan.index(step.name)
    phases = phases_at(state.plan, index)
    before = phases_at(state.plan, index - 1) if index else None
    if phases is None:
        return False
    names = type(phases).model_fields
    return any(getattr(phases, name) and not (before and getattr(before, name)) for name in names)


def describe_pending_reduction(state: State) -> str:
    """Return what the store has not taken yet: a rollback, or the 0 % of an abort; else nothing."""
    text = ""
    if (pending := state.pending_rollback) is not None:
        text = f"rolling back ({pending.kind.replace('_', ' ')})"
    if state.abort is not None and state.abort.written_at is None:
        text = "aborting"
    return text and (
        f"{text}: the flag store has not taken it yet, and it is tried on; processes that the "
        "store does not confirm either treat nobody after their lease, unless on_stale is hold"
    )
