"""Admission of people's commands: an empty answer permits, any other is the reason to refuse."""

from datetime import datetime, timedelta

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine.approvals import approval_policy, rejections
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decide import missing_baselines
from sluice.rollout.engine.flag_target import increases_exposure
from sluice.rollout.engine.preconditions import blockers
from sluice.rollout.engine.rollback import resolve_target, rollback_kind, rollback_targets
from sluice.rollout.engine.rollout_position import rollout_position
from sluice.rollout.engine.state import RollbackKind, State, Status
from sluice.rollout.plan.amendment import compare_plans
from sluice.rollout.plan.freeze_windows import active_freeze
from sluice.rollout.units import format_duration

ACKNOWLEDGED_MAX = timedelta(days=7)
_ACTIVE_STATUSES = (Status.PROGRESSING, Status.PAUSED)


def rejection_reason(state: State, verb: Verb, command: Command, now: datetime) -> str:
    """Return the reason to refuse the command now; empty when it is permitted."""
    if state.has_ended:
        return f"the rollout has ended ({state.status}); start a new one"
    if state.abort is not None and verb is not Verb.ABORT:
        return f"the rollout is being aborted by {state.abort.actor}"
    return _COMMAND_RULES[verb](state, command, now)


def _approve_rejection(state: State, command: Command, now: datetime) -> str:
    if state.status not in _ACTIVE_STATUSES:
        return f"the rollout is {state.status}; retry it first"
    if reason := next(rejections(state, command.actor, command.evidence, now), ""):
        return reason
    return _long_freeze_rejection(state, now)


def _long_freeze_rejection(state: State, now: datetime) -> str:
    """Refuse an approval that would be too old when the freeze ends."""
    step, freeze = state.step, active_freeze(state.plan.freezes, now)
    policy = approval_policy(state, step) if step else None
    if step is None or policy is None or freeze is None:
        return ""
    max_age = policy.evidence_max_age
    if freeze.until - now < max_age or not increases_exposure(state, step):
        return ""
    return f"{freeze.text}; an approval holds for {format_duration(max_age)}, so approve after it"


def _promote_rejection(state: State, command: Command, now: datetime) -> str:
    if state.status is not Status.PROGRESSING:
        return f"the rollout is {state.status}; only a Progressing one can be promoted"
    if (finding := state.red_flags.finding) is not None:
        return f"a red flag is up: {finding.verdict.reason}"
    if not state.is_live:
        return _override_rejection(state, now)
    if missing := missing_baselines(state):
        return f"the baseline is not complete: no data for {', '.join(missing)}"
    return _freeze_rejection(state, state.step_index + 1, now)


def _override_rejection(state: State, now: datetime) -> str:
    """Refuse to overrule anything but readings while a step waits to start."""
    step, check = state.step, state.checks.latest
    if freeze := _freeze_rejection(state, state.step_index, now):
        return freeze
    if (
        check is not None
        and check.outcome is not Outcome.SUCCESSFUL
        and not state.entry.overridden_by
    ):
        return ""
    reasons = [blocker.reason for blocker in blockers(state, step, now)] if step else []
    return "; ".join(["the step is not live yet, so it has no wait to skip", *reasons])


def _freeze_rejection(state: State, index: int, now: datetime) -> str:
    steps = state.plan.steps
    freeze = active_freeze(state.plan.freezes, now) if index < len(steps) else None
    if freeze is None or not increases_exposure(state, steps[index]):
        return ""
    return f"nothing is raised now: {freeze.text}; promote after it"


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
    items = {
        item.name: item for step in state.plan.steps[state.step_index :] for item in step.checklist
    }
    item = items.get(command.item)
    attestable = [name for name, item in items.items() if item.check == "attested"]
    if item is None:
        return (
            f"no item {command.item!r} on a checklist still to come; {_list_attestable(attestable)}"
        )
    if item.check != "attested":
        return (
            f"{item.name} is checked automatically ({item.check}); {_list_attestable(attestable)}"
        )
    if command.item in state.attestations:
        return f"{item.name} was attested by {state.attestations[item.name].actor} already"
    return ""


def _acknowledge_rejection(state: State, command: Command, now: datetime) -> str:
    if state.status is Status.DEGRADED:
        return "the rollout is rolled back: no finding is open; retry it first"
    severity = state.red_flags.raised.get(command.item)
    if severity is None:
        names = ", ".join(sorted(state.red_flags.raised)) or "nothing"
        return f"no finding {command.item!r} since the last rollback; found: {names}"
    if severity is Severity.P0:
        return f"{command.item} is a P0, which takes traffic away; it can't be acknowledged"
    if command.duration is None or not timedelta(0) < command.duration <= ACKNOWLEDGED_MAX:
        return "the time must be more than 0s and at most 7d, for example --for 6h"
    return ""


def _amend_rejection(state: State, command: Command, now: datetime) -> str:
    if command.plan is None:
        return "no plan was given; write `sluice amend FLAG PLAN`"
    if (finding := state.red_flags.finding) is not None:
        return f"a red flag is up: {finding.verdict.reason}"
    changes = compare_plans(state.plan, command.plan, rollout_position(state))
    if not changes:
        return "the plan is the one that runs: nothing to amend"
    return "; ".join(f"{change.text}: {change.refusal}" for change in changes if change.refusal)


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
    Verb.ACKNOWLEDGE: _acknowledge_rejection,
    Verb.AMEND: _amend_rejection,
}


def rollback_rejection_reason(state: State, command: Command) -> str:
    """Return the reason to refuse the rollback; an emergency is always permitted."""
    kinds = [name for name in ("emergency", "graceful", "code") if getattr(command, name)]
    if len(kinds) > 1 or (kinds and command.to):
        return f"choose one of {', '.join([*kinds, 'to'][: len(kinds) + 1])}"
    if command.confirmed and not command.code:
        return "confirmed belongs to a code rollback; no other kind needs it"
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
        return "the flag is at 0 %: a graceful rollback has no traffic to remove"
    return ""


def _code_rejection(state: State, command: Command) -> str:
    if state.plan.rollbacks.code is None:
        return "the plan names no commit to revert; add rollbacks.code.commit, or use --emergency"
    revert = state.code_revert
    if revert is not None and revert.outcome == "reverted":
        return f"reverted already: {revert.text}"
    if revert is not None and not revert.outcome and revert.confirmed_by:
        return f"the revert is under way, confirmed by {revert.confirmed_by}"
    return ""


_ROLLBACK_RULES = {
    RollbackKind.EMERGENCY: _emergency_rejection,
    RollbackKind.STEP_BACK: _step_back_rejection,
    RollbackKind.GRACEFUL: _graceful_rejection,
    RollbackKind.CODE: _code_rejection,
}
