"""Which command fits which state: an empty answer permits, any other is the reason to refuse."""

from datetime import datetime

from rollout.approving import objections
from rollout.before import hindrances, raises
from rollout.commands import Command, Verb
from rollout.decide import missing_baselines
from rollout.freeze import frozen
from rollout.permit_rollback import rollback_refusal
from rollout.state import State, Status
from rollout.verdict import Outcome

_LIVE = (Status.PROGRESSING, Status.PAUSED)


def refusal(state: State, verb: Verb, command: Command, now: datetime) -> str:
    """Say why the command can't be taken now; empty when it can."""
    if state.ended:
        return f"the rollout has ended ({state.status}); start a new one"
    if state.aborted_by and verb is not Verb.ABORT:
        return f"the rollout is being aborted by {state.aborted_by}"
    return _RULES[verb](state, command, now)


def _approve(state: State, command: Command, now: datetime) -> str:
    if state.status not in _LIVE:
        return f"the rollout is {state.status}; retry it first"
    return next(objections(state, command.actor, command.evidence, now), "")


def _promote(state: State, command: Command, now: datetime) -> str:
    if state.status is not Status.PROGRESSING:
        return f"the rollout is {state.status}; only a Progressing one can be promoted"
    if state.finding is not None:
        return f"a red flag is up: {state.finding.verdict.because}"
    if state.step_started_at is None:
        return _overrule(state, now)
    if missing := missing_baselines(state):
        return f"the baseline is not complete: no data for {', '.join(missing)}"
    return _frozen(state, state.step_index + 1, now)


def _overrule(state: State, now: datetime) -> str:
    """While a step waits to start, a person may overrule readings, and nothing else."""
    step, check = state.step, state.evidence
    if frozen_now := _frozen(state, state.step_index, now):
        return frozen_now
    if check is not None and check.outcome is not Outcome.SUCCESSFUL and not state.passed_by:
        return ""
    waits = [one.because for one in hindrances(state, step, now)] if step else []
    return "; ".join(["the step is not live yet; there is no wait to skip", *waits])


def _frozen(state: State, index: int, now: datetime) -> str:
    steps = state.plan.steps
    held = frozen(state.plan.freezes, now) if index < len(steps) else None
    if held is None or not raises(state, steps[index]):
        return ""
    return f"nothing is raised now: {held.text}; promote after it"


def _pause(state: State, command: Command, now: datetime) -> str:
    if state.status is Status.PROGRESSING:
        return ""
    return f"the rollout is {state.status}; only a Progressing one can be paused"


def _resume(state: State, command: Command, now: datetime) -> str:
    if state.status is Status.PAUSED:
        return ""
    return f"the rollout is {state.status}; only a Paused one can be resumed"


def _abort(state: State, command: Command, now: datetime) -> str:
    return ""


def _rollback(state: State, command: Command, now: datetime) -> str:
    return rollback_refusal(state, command)


def _retry(state: State, command: Command, now: datetime) -> str:
    if state.status is Status.DEGRADED:
        return ""
    return f"the rollout is {state.status}; only a Degraded one can be retried"


def _attest(state: State, command: Command, now: datetime) -> str:
    known = {i.name: i for step in state.plan.steps[state.step_index :] for i in step.checklist}
    item = known.get(command.item)
    asked = [name for name, one in known.items() if one.check == "attested"]
    if item is None:
        return f"no item {command.item!r} on a checklist still to come; {_those(asked)}"
    if item.check != "attested":
        return f"{item.name} is checked by the machine ({item.check}); {_those(asked)}"
    if command.item in state.attested:
        return f"{item.name} was attested by {state.attested[item.name].by} already"
    return ""


def _those(names: list[str]) -> str:
    return f"people attest {', '.join(names)}" if names else "there is nothing to attest"


_RULES = {
    Verb.APPROVE: _approve,
    Verb.PROMOTE: _promote,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.ABORT: _abort,
    Verb.ROLLBACK: _rollback,
    Verb.RETRY: _retry,
    Verb.ATTEST: _attest,
}
