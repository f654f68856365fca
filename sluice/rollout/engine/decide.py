"""The next decision: a pure function of the state and the time. This is the plan, executed.

The workflow calls ``decide`` after every event, and ``executor.execute`` carries the decision out.
The order is the safety argument: stopping comes before going on. Nothing raises traffic before
``Promote`` or a person's command moved the rollout to the next step.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.verdict import Check, Outcome
from sluice.rollout.engine.approvals import (
    approval_expires_at,
    approvals_lapse_at,
    next_evidence_check_at,
)
from sluice.rollout.engine.escalation import next_reminder_at
from sluice.rollout.engine.preconditions import blockers, items_due
from sluice.rollout.engine.state import (
    KILL_LATCH_KINDS,
    Abort,
    ActivePause,
    Finding,
    RollbackKind,
    State,
    Status,
)
from sluice.rollout.plan.checklist import ChecklistItem
from sluice.rollout.plan.schema import Step
from sluice.rollout.units import format_duration


@dataclass(frozen=True, slots=True)
class EnterStep:
    """Switch the step on: its phases, percentage and whitelist."""

    step: Step


@dataclass(frozen=True, slots=True)
class RunCheck:
    """Measure and judge every gate of the step; ``live`` False: while the next one waits."""

    step: Step
    live: bool


@dataclass(frozen=True, slots=True)
class RunChecklist:
    """Evaluate these automated items of the step's checklist."""

    step: Step
    items: tuple[ChecklistItem, ...]


@dataclass(frozen=True, slots=True)
class ExpireApproval:
    """The step's approval was not given in time."""

    reason: str


@dataclass(frozen=True, slots=True)
class LapseApprovals:
    """The step's approvals are older than the readings that they were given on may be."""

    reason: str


@dataclass(frozen=True, slots=True)
class Promote:
    """The step did what it had to do: go to the next one, or finish."""

    step: Step
    reason: str


@dataclass(frozen=True, slots=True)
class RollBack:
    """Take traffic away."""

    kind: RollbackKind
    reason: str


@dataclass(frozen=True, slots=True)
class RecordFinding:
    """Write a finding of low severity down and go on (P2, P3)."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class Pause:
    """Pause for a person; without one, roll back at ``auto_rollback_at`` (P1)."""

    reason: str
    auto_rollback_at: datetime | None = None
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class SendReminder:
    """Remind people of P2 findings, and let acknowledged ones count again at their time."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until ``until`` (None: until something happens)."""

    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Write the report and end; with ``abort``, at 0 %."""

    status: Status
    abort: Abort | None = None


StateDecision = ExpireApproval | LapseApprovals | Promote | RecordFinding | SendReminder | Pause
"""Decisions that change nothing but the state."""
WorldDecision = EnterStep | RunCheck | RunChecklist | RollBack | Wait | Finish
Decision = StateDecision | WorldDecision


def decide(state: State, now: datetime) -> Decision:
    """Return the next decision. Never raises; the same state and time give the same answer."""
    decision = _decide_stop(state, now) or _decide_progress(state, now)
    remind_at = next_reminder_at(state)
    if remind_at is None or not isinstance(decision, Wait):
        return decision
    if now >= remind_at:
        return SendReminder()
    return replace(decision, until=min(decision.until or remind_at, remind_at))


def _decide_stop(state: State, now: datetime) -> Decision | None:
    if state.abort is not None:
        return Finish(Status.ABORTED, state.abort)
    finding, pending = state.red_flags.finding, state.pending_rollback
    if pending is not None and not outranks_rollback(finding, pending.kind):
        return RollBack(pending.kind, pending.reason)
    if finding is not None:
        return _decide_on_finding(state, finding, now)
    if state.status is Status.DEGRADED:
        return _decide_degraded(state, now)
    if state.pause is not None:
        return _decide_paused(state.pause, now)
    return None


def outranks_rollback(finding: Finding | None, kind: RollbackKind) -> bool:
    """Return True if the finding asks for an emergency while a weaker rollback is under way."""
    if finding is None or kind in KILL_LATCH_KINDS:
        return False
    return finding.kind == "killed" or finding.verdict.severity is Severity.P0


def _decide_progress(state: State, now: datetime) -> Decision:
    step = state.step
    if step is None:
        return Finish(Status.HEALTHY)
    if state.clock.started_at is None:
        return _decide_waiting(state, step, now)
    return _decide_soaking(state, step, state.clock.started_at, now)


def _decide_on_finding(state: State, finding: Finding, now: datetime) -> Decision:
    reason = finding.verdict.reason
    if finding.kind == "killed":
        return RollBack(RollbackKind.EMERGENCY, reason)
    severity = finding.verdict.severity
    if state.status is Status.DEGRADED and severity in (Severity.P0, Severity.P1):
        # Already stepped back and still burning: nothing short of 0 % is left.
        return RollBack(RollbackKind.EMERGENCY, reason)
    if severity is Severity.P0:
        return RollBack(RollbackKind.EMERGENCY, reason)
    if severity is Severity.P1:
        return Pause(reason, now + state.plan.escalation.p1_rolls_back_after, finding)
    return RecordFinding(finding)


def _decide_degraded(state: State, now: datetime) -> Decision:
    rollback, code = state.rollback, state.code_revert
    if code is not None and not code.outcome:
        progress = (
            "reverting the code" if code.confirmed_by else "the revert waits for confirmation"
        )
        return Wait(None, f"0 %; {progress}")
    if rollback is None or rollback.next_level_at is None:
        return Wait(None, "rolled back; waiting for retry or abort")
    if now >= rollback.next_level_at:
        return RollBack(RollbackKind.GRACEFUL, rollback.reason)
    next_action = f"watching {state.percentage:g} %, then {rollback.remaining_levels[0]:g} %"
    return Wait(rollback.next_level_at, f"graceful rollback: {next_action}")


def _decide_paused(pause: ActivePause, now: datetime) -> Decision:
    if pause.auto_rollback_at is not None and now >= pause.auto_rollback_at:
        return RollBack(RollbackKind.EMERGENCY, f"nobody acted on: {pause.reason}")
    return Wait(pause.auto_rollback_at, pause.reason)


def _decide_waiting(state: State, step: Step, now: datetime) -> Decision:
    expires_at = approval_expires_at(state, step)
    if expires_at is not None and now >= expires_at:
        return ExpireApproval(f"nobody approved {step.title} in time")
    lapse_at = approvals_lapse_at(state, step)
    if lapse_at is not None and now >= lapse_at:
        return LapseApprovals(f"the approvals of {step.title} are too old to start it")
    if items := items_due(state, step, now):
        return RunChecklist(step, items)
    reasons = list(blockers(state, step, now))
    if not reasons:
        return EnterStep(step)
    check_at, exposed = next_evidence_check_at(state), state.exposed_step
    if check_at is not None and exposed is not None and now >= check_at:
        return RunCheck(exposed, live=False)
    times = [check_at, lapse_at, *(blocker.until for blocker in reasons)]
    until = min((time for time in times if time is not None), default=None)
    return Wait(until, "; ".join(blocker.reason for blocker in reasons))


def _decide_soaking(state: State, step: Step, started_at: datetime, now: datetime) -> Decision:
    clock = state.clock
    if clock.promoted_by:
        return Promote(step, f"promoted by {clock.promoted_by}")
    if clock.next_check_at is None or now >= clock.next_check_at:
        return RunCheck(step, live=True)
    is_soaked = state.soak_time(now) >= step.hold
    if is_soaked and _is_stable(state, step, now) and not missing_baselines(state):
        return Promote(step, "every gate was Successful")
    if state.is_overdue(now) and clock.check is not None:
        return _decide_overdue(state, step, clock.check, now)
    return Wait(_next_wake_at(state, step, started_at, now), _waiting_reason(state, step, now))


def _is_stable(state: State, step: Step, now: datetime) -> bool:
    check, stable_since = state.clock.check, state.clock.stable_since
    if check is None or check.outcome is not Outcome.SUCCESSFUL or stable_since is None:
        return False
    return now - stable_since >= step.stable_for


def missing_baselines(state: State) -> list[str]:
    """Return the baseline metrics that the current step must still record before it may end."""
    if state.step is None or not state.step.record_baseline:
        return []
    return [gate.metric for gate in state.plan.baselines if gate.metric not in state.baseline]


def _decide_overdue(state: State, step: Step, check: Check, now: datetime) -> Decision:
    if check.outcome is Outcome.FAILED and has_persistent_failure(state, check.step):
        return RollBack(RollbackKind.STEP_BACK, f"deadline of {step.title}: {check.reason}")
    extension = f"resume gives it {format_duration(step.deadline)} more"
    reason = _waiting_reason(state, step, now)
    return Pause(f"deadline of {step.title} passed without a clear verdict: {reason}; {extension}")


def has_persistent_failure(state: State, step_name: str) -> bool:
    """Return True if a gate of the step failed as many checks in a row as the plan requires."""
    counts = state.clock.consecutive_failures
    gates = state.plan.step(step_name).gates
    return any(counts.get(gate.name, 0) >= gate.consecutive for gate in gates)


def _next_wake_at(state: State, step: Step, started_at: datetime, now: datetime) -> datetime | None:
    times = [state.clock.next_check_at]
    times += [started_at + span for span in (step.hold, state.soak_deadline)]
    if state.clock.stable_since is not None:
        times.append(state.clock.stable_since + step.stable_for)
    return min((time for time in times if time is not None and time > now), default=None)


def _waiting_reason(state: State, step: Step, now: datetime) -> str:
    check = state.clock.check
    if check is not None and check.outcome is not Outcome.SUCCESSFUL:
        return f"{check.outcome}: {check.reason}"
    if check is not None and (missing := missing_baselines(state)):
        return f"baseline not complete: no data for {', '.join(missing)}"
    return "soaking" if state.soak_time(now) < step.hold else "waiting to be stable long enough"
