"""Changes of the state while a step waits to start."""

from datetime import datetime

from rollout.checklist import Answer
from rollout.moves import held
from rollout.sayings import shown
from rollout.state import State
from rollout.telling import tell
from rollout.verdict import Check


def looked_again(state: State, now: datetime, check: Check) -> None:
    """Record a check of the live step, made while the next one waits to start."""
    before = state.evidence.outcome if state.evidence else None
    shown(state, check)
    if check.outcome is not before:
        tell(state, now, "check", f"{check.id} {check.outcome}: {check.because}")


def answered(state: State, now: datetime, answers: tuple[Answer, ...]) -> None:
    """Record what a machine found out about items of the checklist."""
    for answer in answers:
        before = state.answers.get(answer.item)
        if before is None or before.passed is not answer.passed:
            mark = "done" if answer.passed else "not yet"
            tell(state, now, "checklist", f"{answer.item} {mark}: {answer.because}")
    state.answers = {**state.answers, **{answer.item: answer for answer in answers}}


def expired(state: State, now: datetime, because: str) -> None:
    """Nobody approved in time: what the plan says happens, and what was approved is void."""
    state.approvals = ()
    approval = state.step.approval if state.step else None
    if approval is not None and approval.on_expiry == "abort":
        state.aborted_by = "sluice"
        tell(state, now, "abort", because)
    else:
        held(state, now, because)
