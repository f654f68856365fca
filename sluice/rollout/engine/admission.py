"""Which command fits which state: an empty answer permits, any other is the reason to refuse."""

from datetime import datetime

from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine.approvals import rejections
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decide import missing_baselines
from sluice.rollout.engine.preconditions import blockers, increases_exposure
from sluice.rollout.engine.rollback import resolve_target, rollback_kind, rollback_targets
from sluice.rollout.engine.state import RollbackKind, State, Status
from sluice.rollout.plan.freeze_windows import active_freeze

_ACTIVE_STATUSES = (Status.PROGRESSING, Status.PAUSED)


def rejection_reason(state: State, verb: Verb, command: Command, now: datetime) -> str:
    """Say why the command can't be taken now; empty when it can."""
    if state.has_ended:
        return f"the rollout has ended ({state.status}); start a new one"
    if state.aborted_by and verb is not Verb.ABORT:
        return f"the rollout is being aborted by {state.aborted_by}"
    return _COMMAND_RULES[verb](state, command, now)


def _approve_rejection(state: State, command: Command, now: datetime) -> str:
    if state.status not in _ACTIVE_STATUSES:
        return f"the rollout is {state.status}; retry it first"
    return next(rejections(state, command.actor, command.evidence, now), "")


def _promote_rejection(state: State, command: Command, now: datetime) -> str:
    if state.status is not Status.PROGRESSING:
        return f"the rollout is {state.status}; only a Progressing one can be promoted"
    if state.finding is not None:
        return f"a red flag is up: {state.finding.verdict.reason}"
    if state.step_started_at is None:
        return _override_rejection(state, now)
    if missing := missing_baselines(state):
        return f"the baseline is not complete: no data for {', '.join(missing)}"
    return _freeze_rejection(state, state.step_index + 1, now)


def _override_rejection(state: State, now: datetime) -> str:
    """While a step waits to start, a person may overrule readings, and nothing else."""
    step, check = state.step, state.evidence
    if frozen_now := _freeze_rejection(state, state.step_index, now):
        return frozen_now
    if check is not None and check.outcome is not Outcome.SUCCESSFUL and not state.overridden_by:
        return ""
    waits = [one.reason for one in blockers(state, step, now)] if step else []
    return "; ".join(["the step is not live yet; there is no wait to skip", *waits])


def _freeze_rejection(state: State, index: int, now: datetime) -> str:
    steps = state.plan.steps
    held = active_freeze(state.plan.freezes, now) if index < len(steps) else None
    if held is None or not increases_exposure(state, steps[index]):
        return ""
    return f"nothing is raised now: {held.text}; promote after it"


def _pause_rejection(state: State, command: Command, now: datetime) -> str:
    if state.status is Status.PROGRESSING:
        return ""
    return f"the rollout is {state.status}; only a Progressing one can be paused"


def _resume_rejection(state: State, command: Command, now: datetime) -> str:
    if state.status is Status.PAUSED:
        return ""
    return f"the rollout is {state.status}; only a Paused one can be resumed"


def _abort_rejection(state: State, command: Command, now: datetime) -> str:
    return ""


def _rollback_command_rejection(state: State, command: Command, now: datetime) -> str:
    return rollback_rejection_reason(state, command)


def _retry_rejection(state: State, command: Command, now: datetime) -> str:
    if state.status is Status.DEGRADED:
        return ""
    return f"the rollout is {state.status}; only a Degraded one can be retried"


def _attest_rejection(state: State, command: Command, now: datetime) -> str:
    known = {i.name: i for step in state.plan.steps[state.step_index :] for i in step.checklist}
    item = known.get(command.item)
    asked = [name for name, one in known.items() if one.check == "attested"]
    if item is None:
        return f"no item {command.item!r} on a checklist still to come; {_list_attestable(asked)}"
    if item.check != "attested":
        return f"{item.name} is checked by the machine ({item.check}); {_list_attestable(asked)}"
    if command.item in state.attestations:
        return f"{item.name} was attested by {state.attestations[item.name].actor} already"
    return ""


def _list_attestable(names: list[str]) -> str:
    return f"people attest {', '.join(names)}" if names else "there is nothing to attest"


_COMMAND_RULES = {
    Verb.APPROVE: _approve_rejection,
    Verb.PROMOTE: _promote_rejection,
    Verb.PAUSE: _pause_rejection,
    Verb.RESUME: _resume_rejection,
    Verb.ABORT: _abort_rejection,
    Verb.ROLLBACK: _rollback_command_rejection,
    Verb.RETRY: _retry_rejection,
    Verb.ATTEST: _attest_rejection,
}


def rollback_rejection_reason(state: State, command: Command) -> str:
    """Say why the rollback can't be done; an emergency always can."""
    kinds = [name for name in ("emergency", "graceful", "code") if getattr(command, name)]
    if len(kinds) > 1 or (kinds and command.to):
        return f"choose one of {', '.join([*kinds, 'to'][: len(kinds) + 1])}"
    if command.confirmed and not command.code:
        return "confirmed belongs to a code rollback; there is nothing else to confirm"
    return _ROLLBACK_RULES[rollback_kind(command)](state, command)


def _emergency_rejection(state: State, command: Command) -> str:
    return ""


def _step_back_rejection(state: State, command: Command) -> str:
    if state.status is Status.DEGRADED:
        return "the rollout is rolled back already; --emergency takes it to 0 % whatever it is"
    step = state.rollback_origin_step
    if step.rollback_to is None:
        return "this step has nothing to go back to; use abort, or rollback --emergency"
    if resolve_target(state, command.to) is None:
        allowed = ", ".join(rollback_targets(step))
        return f"{step.name} can step back to {allowed}; not to {command.to!r}"
    return ""


def _graceful_rejection(state: State, command: Command) -> str:
    if state.status is Status.DEGRADED and state.rollback and state.rollback.remaining_levels:
        return "a graceful rollback is under way; --emergency takes it to 0 % now"
    if state.percentage <= 0:
        return "the flag is at 0 %: there is no traffic to take away gracefully"
    return ""


def _code_rejection(state: State, command: Command) -> str:
    if state.plan.rollbacks.code is None:
        return "the plan names no commit to revert; add rollbacks.code.commit, or use --emergency"
    if state.code_revert is not None and state.code_revert.outcome == "reverted":
        return f"reverted already: {state.code_revert.text}"
    if (
        state.code_revert is not None
        and not state.code_revert.outcome
        and state.code_revert.confirmed_by
    ):
        return f"the revert is under way, confirmed by {state.code_revert.confirmed_by}"
    return ""


_ROLLBACK_RULES = {
    RollbackKind.EMERGENCY: _emergency_rejection,
    RollbackKind.STEP_BACK: _step_back_rejection,
    RollbackKind.GRACEFUL: _graceful_rejection,
    RollbackKind.CODE: _code_rejection,
}
