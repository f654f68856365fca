"""What to do next: a pure function of the state and the time. This is the rollout plan, executed.

The workflow asks ``decide`` after everything that happens, does what it says, and asks again.
Order is the safety argument: stopping comes before going on, and nothing raises traffic before
``Promote`` or a person's command moved the rollout to the next step.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine.approvals import approval_expires_at, next_evidence_check_at
from sluice.rollout.engine.escalation import next_reminder_at
from sluice.rollout.engine.preconditions import blockers, items_due
from sluice.rollout.engine.state import RollbackKind, State, Status
from sluice.rollout.plan.checklist import ChecklistItem
from sluice.rollout.plan.schema import Step
from sluice.rollout.units import format_duration


@dataclass(frozen=True, slots=True)
class EnterStep:
    """Switch the current step on: its phases, percentage and whitelist."""


@dataclass(frozen=True, slots=True)
class RunCheck:
    """Measure and judge every gate of the step, or while it waits, of the one that is live."""


@dataclass(frozen=True, slots=True)
class RunChecklist:
    """Let a machine look at these items of the step's checklist."""

    items: tuple[ChecklistItem, ...]


@dataclass(frozen=True, slots=True)
class ExpireApproval:
    """The step's approval was not given in time."""

    reason: str


@dataclass(frozen=True, slots=True)
class Promote:
    """The step did what it had to do: go to the next one, or finish."""

    reason: str


@dataclass(frozen=True, slots=True)
class RollBack:
    """Take traffic away."""

    kind: RollbackKind
    reason: str


@dataclass(frozen=True, slots=True)
class RecordFinding:
    """Write a finding of low severity down and go on (P2, P3)."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Pause for a person; ``acts_at`` is when the product acts without one (P1)."""

    reason: str
    auto_rollback_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SendReminder:
    """Remind people of findings of P2 that nobody looked into in time."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before ``until`` (None: before something happens)."""

    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Write the report and end."""

    status: Status


Decision = (
    EnterStep
    | RunCheck
    | RunChecklist
    | ExpireApproval
    | Promote
    | RollBack
    | RecordFinding
    | SendReminder
    | Pause
    | Wait
    | Finish
)


def decide(state: State, now: datetime) -> Decision:
    """Say what to do next. Never raises; the same state and time give the same answer."""
    decision = _decide_stop(state, now) or _decide_progress(state, now)
    remind_at = next_reminder_at(state)
    if remind_at is None or not isinstance(decision, Wait):
        return decision
    if now >= remind_at:
        return SendReminder()
    return replace(decision, until=min(decision.until or remind_at, remind_at))


def _decide_stop(state: State, now: datetime) -> Decision | None:
    if state.aborted_by:
        return Finish(Status.ABORTED)
    if state.rollback is not None and state.rollback.completed_at is None:
        return RollBack(state.rollback.kind, state.rollback.reason)
    if state.finding is not None:
        return _decide_on_finding(state, now)
    if state.status is Status.DEGRADED:
        return _decide_degraded(state, now)
    if state.paused_at is not None:
        return _decide_paused(state, now)
    return None


def _decide_progress(state: State, now: datetime) -> Decision:
    step = state.step
    if step is None:
        return Finish(Status.HEALTHY)
    if state.step_started_at is None:
        return _decide_waiting(state, step, now)
    return _decide_soaking(state, step, now)


def _decide_on_finding(state: State, now: datetime) -> Decision:
    finding = state.finding
    assert finding is not None  # noqa: S101  the caller looked
    because = finding.verdict.reason
    if finding.kind == "killed":
        return RollBack(RollbackKind.EMERGENCY, because)
    severity = finding.verdict.severity
    if state.status is Status.DEGRADED and severity in (Severity.P0, Severity.P1):
        # Already stepped back and still burning: nothing short of 0 % is left.
        return RollBack(RollbackKind.EMERGENCY, because)
    if severity is Severity.P0:
        return RollBack(RollbackKind.EMERGENCY, because)
    if severity is Severity.P1:
        return Pause(because, now + state.plan.escalation.p1_rolls_back_after)
    return RecordFinding()


def _decide_degraded(state: State, now: datetime) -> Decision:
    rollback, code = state.rollback, state.code_revert
    if code is not None and not code.outcome:
        doing = "reverting the code" if code.confirmed_by else "the revert waits for confirmation"
        return Wait(None, f"0 %; {doing}")
    if rollback is None or rollback.next_level_at is None:
        return Wait(None, "rolled back; waiting for retry or abort")
    if now >= rollback.next_level_at:
        return RollBack(RollbackKind.GRACEFUL, rollback.reason)
    then = f"watching {state.percentage:g} %, then {rollback.remaining_levels[0]:g} %"
    return Wait(rollback.next_level_at, f"graceful rollback: {then}")


def _decide_paused(state: State, now: datetime) -> Decision:
    if state.auto_rollback_at is not None and now >= state.auto_rollback_at:
        return RollBack(RollbackKind.EMERGENCY, f"nobody acted on: {state.pause_reason}")
    return Wait(state.auto_rollback_at, state.pause_reason)


def _decide_waiting(state: State, step: Step, now: datetime) -> Decision:
    expires_at = approval_expires_at(state, step)
    if expires_at is not None and now >= expires_at:
        return ExpireApproval(f"nobody approved {step.title} in time")
    if items := items_due(state, step, now):
        return RunChecklist(items)
    hindering = list(blockers(state, step, now))
    if not hindering:
        return EnterStep()
    check_at = next_evidence_check_at(state)
    if check_at is not None and now >= check_at:
        return RunCheck()
    times = [check_at, *(one.until for one in hindering)]
    until = min((time for time in times if time is not None), default=None)
    return Wait(until, "; ".join(one.reason for one in hindering))


def _decide_soaking(state: State, step: Step, now: datetime) -> Decision:
    if state.promoted_by:
        return Promote(f"promoted by {state.promoted_by}")
    if state.next_check_at is None or now >= state.next_check_at:
        return RunCheck()
    held = state.soak_time(now)
    if held >= step.hold and _is_stable(state, step, now) and not missing_baselines(state):
        return Promote("every gate was Successful")
    if state.is_overdue(now) and state.check is not None:
        return _decide_overdue(state, step, now)
    return Wait(_next_wake_at(state, step, now), _waiting_reason(state, step, now))


def _is_stable(state: State, step: Step, now: datetime) -> bool:
    check = state.check
    if check is None or check.outcome is not Outcome.SUCCESSFUL or state.stable_since is None:
        return False
    return now - state.stable_since >= step.stable_for


def missing_baselines(state: State) -> list[str]:
    """Name the baseline metrics that the current step must still record before it may end."""
    if state.step is None or not state.step.record_baseline:
        return []
    return [gate.metric for gate in state.plan.baselines if gate.metric not in state.baseline]


def _decide_overdue(state: State, step: Step, now: datetime) -> Decision:
    check = state.check
    assert check is not None  # noqa: S101  the caller looked
    if check.outcome is Outcome.FAILED and has_persistent_failure(state, check.step):
        return RollBack(RollbackKind.STEP_BACK, f"deadline of {step.title}: {check.reason}")
    more = f"resume gives it {format_duration(step.deadline)} more"
    why = _waiting_reason(state, step, now)
    return Pause(f"deadline of {step.title} passed without a clear verdict: {why}; {more}")


def has_persistent_failure(state: State, step_name: str) -> bool:
    """Whether a failed gate of the step failed as many checks in a row as it asks for."""
    needed = {gate.name: gate.consecutive for gate in state.plan.step(step_name).gates}
    return any(state.consecutive_failures.get(name, 0) >= count for name, count in needed.items())


def _next_wake_at(state: State, step: Step, now: datetime) -> datetime | None:
    assert state.step_started_at is not None  # noqa: S101  _before comes first
    times = [state.next_check_at]
    times += [state.step_started_at + span for span in (step.hold, state.soak_deadline)]
    if state.stable_since is not None:
        times.append(state.stable_since + step.stable_for)
    return min((time for time in times if time is not None and time > now), default=None)


def _waiting_reason(state: State, step: Step, now: datetime) -> str:
    if state.check is not None and state.check.outcome is not Outcome.SUCCESSFUL:
        return f"{state.check.outcome}: {state.check.reason}"
    if state.check is not None and (missing := missing_baselines(state)):
        return f"baseline not complete: no data for {', '.join(missing)}"
    return "soaking" if state.soak_time(now) < step.hold else "waiting to be stable long enough"
