"""Which rollback fits which state: an empty answer permits, any other is the reason to refuse."""

from rollout.commands import Command
from rollout.rolling_back import choices, chosen, kind_of
from rollout.state import RollbackKind, State, Status


def rollback_refusal(state: State, command: Command) -> str:
    """Say why the rollback can't be done; an emergency always can."""
    kinds = [name for name in ("emergency", "graceful", "code") if getattr(command, name)]
    if len(kinds) > 1 or (kinds and command.to):
        return f"choose one of {', '.join([*kinds, 'to'][: len(kinds) + 1])}"
    if command.confirmed and not command.code:
        return "confirmed belongs to a code rollback; there is nothing else to confirm"
    return _RULES[kind_of(command)](state, command)


def _emergency(state: State, command: Command) -> str:
    return ""


def _step_back(state: State, command: Command) -> str:
    if state.status is Status.DEGRADED:
        return "the rollout is rolled back already; --emergency takes it to 0 % whatever it is"
    step = state.answerable_step
    if step.rollback_to is None:
        return "this step has nothing to go back to; use abort, or rollback --emergency"
    if chosen(state, command.to) is None:
        allowed = ", ".join(choices(step))
        return f"{step.name} can step back to {allowed}; not to {command.to!r}"
    return ""


def _graceful(state: State, command: Command) -> str:
    if state.status is Status.DEGRADED and state.rollback and state.rollback.ahead:
        return "a graceful rollback is under way; --emergency takes it to 0 % now"
    if state.percentage <= 0:
        return "the flag is at 0 %: there is no traffic to take away gracefully"
    return ""


def _code(state: State, command: Command) -> str:
    if state.plan.rollbacks.code is None:
        return "the plan names no commit to revert; add rollbacks.code.commit, or use --emergency"
    if state.code is not None and state.code.outcome == "reverted":
        return f"reverted already: {state.code.text}"
    if state.code is not None and not state.code.outcome and state.code.confirmed_by:
        return f"the revert is under way, confirmed by {state.code.confirmed_by}"
    return ""


_RULES = {
    RollbackKind.EMERGENCY: _emergency,
    RollbackKind.STEP_BACK: _step_back,
    RollbackKind.GRACEFUL: _graceful,
    RollbackKind.CODE: _code,
}
