"""Whether a person's approval can be taken: bound to readings that are fresh and still true."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sluice.rollout.analysis.verdict import Outcome, worst_outcome
from sluice.rollout.engine.state import State
from sluice.rollout.plan.approval_policy import ApprovalPolicy, CheckSummary
from sluice.rollout.plan.schema import Step
from sluice.rollout.units import format_duration


def missing_approvals(state: State, step: Step) -> int:
    """Count the approvals that the step still needs."""
    return max(0, step.approval.required_approvals - len(state.approvals)) if step.approval else 0


def approval_expires_at(state: State, step: Step) -> datetime | None:
    """When the wait for approvals ends badly; None when it never does, or nobody is missing."""
    if (
        step.approval is None
        or step.approval.expires_after is None
        or not missing_approvals(state, step)
    ):
        return None
    return state.waiting_since + step.approval.expires_after


def next_evidence_check_at(state: State) -> datetime | None:
    """When the live step must be checked again while the next one waits; None: nothing is live."""
    live, step = state.exposed_step, state.step
    if live is None or step is None or not live.gates:
        return None
    if state.evidence is None:
        return state.waiting_since
    approval = step.approval or ApprovalPolicy()
    return state.evidence.at + min(live.interval, approval.evidence_max_age / 2)


def rejections(state: State, actor: str, evidence: str, now: datetime) -> Iterator[str]:
    """Why ``actor`` may not approve the waiting step on these readings; the first is told."""
    step = state.step
    if step is None or step.approval is None or state.step_started_at is not None:
        yield "nothing waits for approval"
        return
    if step.approval.eligible_approvers and actor not in step.approval.eligible_approvers:
        yield f"{actor} may not approve {step.name}; ask {', '.join(step.approval.eligible_approvers)}"
    if actor in state.approved_by:
        yield f"{actor} has approved {step.name} already; somebody else must"
    if not missing_approvals(state, step):
        yield f"{step.name} has its approvals already"
    yield from _evidence_rejections(state, step.approval, evidence, now)


def _evidence_rejections(
    state: State, approval: ApprovalPolicy, evidence: str, now: datetime
) -> Iterator[str]:
    newest = state.evidence
    if newest is None:
        if next_evidence_check_at(state) is not None:
            yield "the live step has not been checked yet; look again in a moment"
        elif evidence:
            yield f"there is no check {evidence}: nothing is live; approve without evidence"
        return
    again = f"look at {newest.id} and approve that"
    shown = next((one for one in state.recent_checks if one.id == evidence), None)
    if not evidence:
        yield f"say which readings you saw: --evidence {newest.id} is the newest check"
    elif shown is None:
        yield f"there is no check {evidence}, or it is long past; {again}"
    else:
        yield from _check_rejections(state, approval, shown, now)


def _check_rejections(
    state: State, approval: ApprovalPolicy, shown: CheckSummary, now: datetime
) -> Iterator[str]:
    newest = state.evidence
    assert newest is not None  # noqa: S101  the caller looked
    if state.last_red_flag_at is not None and state.last_red_flag_at >= shown.at:
        yield f"a red flag has fired since {shown.id}: {state.last_red_flag}; look again"
    if now - shown.at > approval.evidence_max_age:
        age, limit = now - shown.at, approval.evidence_max_age
        yield (
            f"{shown.id} is {format_duration(timedelta(seconds=round(age.total_seconds())))} old,"
            f" the plan allows {format_duration(limit)}; look at {newest.id}"
        )
    if worst_outcome((newest.outcome, shown.outcome)) is not shown.outcome:
        yield f"since {shown.id} it got worse, {newest.id} is {newest.outcome}: {newest.reason}"
    if newest.outcome is not Outcome.SUCCESSFUL and not state.overridden_by:
        yield (
            f"{newest.id} is {newest.outcome}: {newest.reason}; wait for a Successful check, "
            "or overrule it with promote first"
        )
