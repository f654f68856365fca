"""Whether a person's approval can be taken: bound to readings that are fresh and still true."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from rollout.approval import Approval, Seen
from rollout.plan import Step
from rollout.quantity import format_duration
from rollout.state import State
from rollout.verdict import Outcome, worst


def missing(state: State, step: Step) -> int:
    """Count the approvals that the step still needs."""
    return max(0, step.approval.approvers - len(state.approvals)) if step.approval else 0


def expiry(state: State, step: Step) -> datetime | None:
    """When the wait for approvals ends badly; None when it never does, or nobody is missing."""
    if step.approval is None or step.approval.expires_after is None or not missing(state, step):
        return None
    return state.waits_since + step.approval.expires_after


def evidence_due_at(state: State) -> datetime | None:
    """When the live step must be checked again while the next one waits; None: nothing is live."""
    live, step = state.exposed_step, state.step
    if live is None or step is None or not live.gates:
        return None
    if state.evidence is None:
        return state.waits_since
    approval = step.approval or Approval()
    return state.evidence.at + min(live.interval, approval.evidence_max_age / 2)


def objections(state: State, actor: str, evidence: str, now: datetime) -> Iterator[str]:
    """Why ``actor`` may not approve the waiting step on these readings; the first is told."""
    step = state.step
    if step is None or step.approval is None or state.step_started_at is not None:
        yield "nothing waits for approval"
        return
    if step.approval.of and actor not in step.approval.of:
        yield f"{actor} may not approve {step.name}; ask {', '.join(step.approval.of)}"
    if actor in state.approved_by:
        yield f"{actor} has approved {step.name} already; somebody else must"
    if not missing(state, step):
        yield f"{step.name} has its approvals already"
    yield from _against_evidence(state, step.approval, evidence, now)


def _against_evidence(
    state: State, approval: Approval, evidence: str, now: datetime
) -> Iterator[str]:
    newest = state.evidence
    if newest is None:
        if evidence_due_at(state) is not None:
            yield "the live step has not been checked yet; look again in a moment"
        elif evidence:
            yield f"there is no check {evidence}: nothing is live; approve without evidence"
        return
    again = f"look at {newest.id} and approve that"
    shown = next((one for one in state.seen if one.id == evidence), None)
    if not evidence:
        yield f"say which readings you saw: --evidence {newest.id} is the newest check"
    elif shown is None:
        yield f"there is no check {evidence}, or it is long past; {again}"
    else:
        yield from _against_seen(state, approval, shown, now)


def _against_seen(state: State, approval: Approval, shown: Seen, now: datetime) -> Iterator[str]:
    newest = state.evidence
    assert newest is not None  # noqa: S101  the caller looked
    if state.red_flag_at is not None and state.red_flag_at >= shown.at:
        yield f"a red flag has fired since {shown.id}: {state.red_flag}; look again"
    if now - shown.at > approval.evidence_max_age:
        age, limit = now - shown.at, approval.evidence_max_age
        yield (
            f"{shown.id} is {format_duration(timedelta(seconds=round(age.total_seconds())))} old,"
            f" the plan allows {format_duration(limit)}; look at {newest.id}"
        )
    if worst((newest.outcome, shown.outcome)) is not shown.outcome:
        yield f"since {shown.id} it got worse, {newest.id} is {newest.outcome}: {newest.because}"
    if newest.outcome is not Outcome.SUCCESSFUL and not state.passed_by:
        yield (
            f"{newest.id} is {newest.outcome}: {newest.because}; wait for a Successful check, "
            "or overrule it with promote first"
        )
