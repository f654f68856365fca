"""Which command fits which state: an empty answer permits, any other is the reason to refuse."""

from rollout.commands import Command, Verb
from rollout.decide import missing_baselines
from rollout.state import State, Status

_LIVE = (Status.PROGRESSING, Status.PAUSED)


def refusal(state: State, verb: Verb, command: Command) -> str:
    """Say why the command can't be taken now; empty when it can."""
    if state.ended:
        return f"the rollout has ended ({state.status}); start a new one"
    if state.aborted_by and verb is not Verb.ABORT:
        return f"the rollout is being aborted by {state.aborted_by}"
    return _RULES[verb](state, command)


def _approve(state: State, command: Command) -> str:
    step = state.step
    if step is None or step.approval is None or state.step_started_at is not None:
        return "nothing waits for approval"
    if state.status not in _LIVE:
        return f"the rollout is {state.status}; retry it first"
    if command.actor in state.approved_by:
        return f"{command.actor} has approved {step.name} already; somebody else must"
    return ""


def _promote(state: State, command: Command) -> str:
    if state.status is not Status.PROGRESSING:
        return f"the rollout is {state.status}; only a Progressing one can be promoted"
    if state.finding is not None:
        return f"a red flag is up: {state.finding.verdict.because}"
    if state.step_started_at is None:
        return "the step is not live yet; there is no wait to skip"
    if missing := missing_baselines(state):
        return f"the baseline is not complete: no data for {', '.join(missing)}"
    return ""


def _pause(state: State, command: Command) -> str:
    if state.status is Status.PROGRESSING:
        return ""
    return f"the rollout is {state.status}; only a Progressing one can be paused"


def _resume(state: State, command: Command) -> str:
    if state.status is Status.PAUSED:
        return ""
    return f"the rollout is {state.status}; only a Paused one can be resumed"


def _abort(state: State, command: Command) -> str:
    return ""


def _rollback(state: State, command: Command) -> str:
    if command.emergency:
        return ""
    if state.status is Status.DEGRADED:
        return "the rollout is rolled back already; --emergency takes it to 0 % whatever it is"
    if state.answerable_step.rollback_to is None:
        return "this step has nothing to go back to; use abort, or rollback --emergency"
    return ""


def _retry(state: State, command: Command) -> str:
    if state.status is Status.DEGRADED:
        return ""
    return f"the rollout is {state.status}; only a Degraded one can be retried"


_RULES = {
    Verb.APPROVE: _approve,
    Verb.PROMOTE: _promote,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.ABORT: _abort,
    Verb.ROLLBACK: _rollback,
    Verb.RETRY: _retry,
}
