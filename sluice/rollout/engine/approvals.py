"""Admission of a person's approval: bound to readings that are fresh and still true."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sluice.rollout.analysis.verdict import Check, Outcome, worst_outcome
from sluice.rollout.engine.commands import Signer
from sluice.rollout.engine.flag_target import increases_exposure
from sluice.rollout.engine.state import State
from sluice.rollout.plan.approval_policy import ApprovalPolicy, CheckSummary
from sluice.rollout.plan.freeze_windows import active_freeze
from sluice.rollout.plan.schema import RolloutPlan, Step
from sluice.rollout.printable import fold_name
from sluice.rollout.units import format_duration, format_whole_seconds

AFTER_FREEZE = timedelta(days=1)


def approval_policy(state: State, step: Step) -> ApprovalPolicy | None:
    """Return the plan's policy, raised to the worker's minimum; None if nobody needs to approve.

    The minimum also holds for a step without a policy that gives the treatment to more users.
    """
    minimum, policy = state.decisions.approvals_min, step.approval
    if not minimum:
        return policy
    if policy is None:
        raises = increases_exposure(state, step)
        return ApprovalPolicy(required_approvals=minimum) if raises else None
    required = max(minimum, policy.required_approvals)
    return policy.model_copy(update={"required_approvals": required})


def minimum_problem(plan: RolloutPlan, minimum: int) -> str:
    """Return why a plan can't be carried out with the worker's minimum; empty when it can."""
    for step in plan.steps:
        eligible = step.approval.eligible_approvers if step.approval else ()
        if 0 < len(eligible) < minimum:
            return (
                f"{step.name} names {len(eligible)} eligible_approvers, and this worker requires "
                f"{minimum} approvals (SLUICE_APPROVALS_MIN); name more people"
            )
    return ""


def missing_approvals(state: State, step: Step) -> int:
    """Count the approvals that the step still needs."""
    policy = approval_policy(state, step)
    return max(0, policy.required_approvals - len(state.entry.approvals)) if policy else 0


def approval_expires_at(state: State, step: Step) -> datetime | None:
    """Return the time at which the wait for approvals expires; None when it never does.

    It never expires in a freeze: people get up to a day after it.
    """
    expires_after = step.approval.expires_after if step.approval else None
    if expires_after is None or not missing_approvals(state, step):
        return None
    at = state.waiting_since + expires_after
    freeze = active_freeze(state.plan.freezes, at)
    return freeze.until + min(expires_after, AFTER_FREEZE) if freeze else at


def approvals_lapse_at(state: State, step: Step) -> datetime | None:
    """Return the time at which complete approvals are too old to start the step; None without.

    They were given on readings that are older then than ``evidence_max_age``. A step waits that
    long behind a freeze or a checklist.
    """
    policy = approval_policy(state, step)
    if policy is None or not state.entry.approvals or missing_approvals(state, step):
        return None
    newest = max(record.at for record in state.entry.approvals)
    return newest + policy.evidence_max_age


def next_evidence_check_at(state: State) -> datetime | None:
    """Return the time of the live step's next check while the next one waits; None: nothing live."""
    live, step = state.exposed_step, state.step
    if live is None or step is None or not live.gates:
        return None
    if state.checks.latest is None:
        return state.waiting_since
    approval = step.approval or ApprovalPolicy()
    return state.checks.latest.at + min(live.interval, approval.evidence_max_age / 2)


def rejections(state: State, actor: str, evidence: str, now: datetime) -> Iterator[str]:
    """Yield the reasons to reject ``actor``'s approval of the waiting step on these readings."""
    step = state.step
    policy = approval_policy(state, step) if step and not state.is_live else None
    if step is None or policy is None:
        yield "nothing waits for approval"
        return
    if policy.eligible_approvers and actor not in policy.eligible_approvers:
        eligible = ", ".join(policy.eligible_approvers)
        yield f"{actor} may not approve {step.name}; ask {eligible}"
    if fold_name(actor) in map(fold_name, state.approved_by):
        yield f"{actor} has approved {step.name} already; somebody else must"
    if not missing_approvals(state, step):
        yield f"{step.name} has its approvals already"
    yield from _evidence_rejections(state, policy, evidence, now)


def signer_rejection(state: State, signer: Signer) -> str:
    """Return why a verified person may not approve the waiting step; empty if nothing forbids it.

    Distinct keys count, not distinct names alone. The starter approves only if the plan allows it.
    """
    step = state.step
    if any(record.fingerprint == signer.fingerprint for record in state.entry.approvals):
        return f"the key {signer.fingerprint} has approved already; another person must"
    if step is None or (step.approval and step.approval.starter_may_approve):
        return ""
    if fold_name(state.decisions.started_by) == fold_name(signer.name):
        return f"{signer.name} started the rollout and may not approve it; another person must"
    return ""


def _evidence_rejections(
    state: State, approval: ApprovalPolicy, evidence: str, now: datetime
) -> Iterator[str]:
    newest = state.checks.latest
    if newest is None:
        if next_evidence_check_at(state) is not None:
            yield "the live step has not been checked yet; try again in a moment"
        elif evidence:
            yield f"check {evidence} does not exist: nothing is live; approve without evidence"
        return
    hint = f"read {newest.id} and approve that"
    seen_check = next((check for check in state.checks.recent if check.id == evidence), None)
    if not evidence:
        yield f"name the readings that you saw: --evidence {newest.id} is the newest check"
    elif seen_check is None:
        yield f"check {evidence} does not exist, or it is long past; {hint}"
    else:
        yield from _age_rejections(approval, newest, seen_check, now)
        yield from _check_rejections(state, newest, seen_check)


def _check_rejections(state: State, newest: Check, seen_check: CheckSummary) -> Iterator[str]:
    red_flags = state.red_flags
    if red_flags.last_at is not None and red_flags.last_at >= seen_check.at:
        yield f"a red flag has fired since {seen_check.id}: {red_flags.last_reason}; look again"
    if worst_outcome((newest.outcome, seen_check.outcome)) is not seen_check.outcome:
        yield f"since {seen_check.id} it got worse, {newest.id} is {newest.outcome}: {newest.reason}"
    if newest.outcome is not Outcome.SUCCESSFUL and not state.entry.overridden_by:
        yield (
            f"{newest.id} is {newest.outcome}: {newest.reason}; wait for a Successful check, "
            "or overrule it with promote first"
        )


def _age_rejections(
    approval: ApprovalPolicy, newest: Check, seen_check: CheckSummary, now: datetime
) -> Iterator[str]:
    age, limit = now - seen_check.at, approval.evidence_max_age
    if age > limit:
        yield (
            f"{seen_check.id} is {format_whole_seconds(age)} old, the plan allows {format_duration(limit)};"
            f" look at {newest.id}"
        )
