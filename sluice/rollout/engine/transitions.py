"""Every change of the state, one function each; pure apart from the state they are given."""

from datetime import datetime

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.analysis.verdict import Check, Outcome
from sluice.rollout.engine import escalation
from sluice.rollout.engine.commands import Command, Verb, describe_command
from sluice.rollout.engine.escalation import add_reminder
from sluice.rollout.engine.rollback import (
    confirm_revert,
    rollback_kind,
    start_rollback,
)
from sluice.rollout.engine.state import (
    Finding,
    State,
    Status,
)
from sluice.rollout.engine.timeline import add_event, enqueue_notice, resolve_alerts
from sluice.rollout.plan.approval_policy import RECENT_CHECKS_MAX, ApprovalRecord, CheckSummary
from sluice.rollout.plan.checklist import Attestation, ItemResult


def enter_step(state: State, now: datetime, percentage: float) -> None:
    """Record that the step's settings are live, read back from the store: its clock starts."""
    step = state.step
    assert step is not None  # noqa: S101  only a step can be entered
    _reset_clock(state)
    # Without the flag, learning is everyone's: that is what permanence means (guide: Stage 5).
    state.percentage = 100.0 if step.delete_flag else percentage
    state.clear_kill_for = ""
    state.exposed_since = now
    state.exposed_step_name = step.name
    state.approvals, state.overridden_by = (), ""
    escalation.drop_reminder(state, escalation.APPROVAL_REMINDER)
    state.step_started_at = now
    state.next_check_at = now + step.initial_delay + step.interval
    add_event(state, now, "step", f"{step.title}: live at {state.percentage:g} %")


def record_check(
    state: State, now: datetime, check: Check, baseline: dict[str, Reading] | None = None
) -> None:
    """Record a check: stability restarts when it was not Successful."""
    step = state.step
    assert step is not None  # noqa: S101  only a step is checked
    before = state.check.outcome if state.check else None
    state.check = check
    add_evidence(state, check)
    state.baseline = {**state.baseline, **(baseline or {})}
    state.next_check_at = now + step.interval
    state.consecutive_failures = {
        v.gate: state.consecutive_failures.get(v.gate, 0) + 1
        for v in check.verdicts
        if v.outcome is Outcome.FAILED and not v.dry_run
    }
    if check.outcome is not Outcome.SUCCESSFUL:
        state.stable_since = None
    elif state.stable_since is None:
        state.stable_since = check.at
    if check.outcome is not before:
        good = check.outcome is Outcome.SUCCESSFUL
        because = f"all {len(check.verdicts)} gates" if good else check.reason
        add_event(state, now, "check", f"{check.outcome}: {because}")


def promote(state: State, now: datetime, reason: str) -> None:
    step = state.step
    add_event(state, now, "promote", f"{step.title if step else 'rollout'}: {reason}")
    if step is not None:
        state.completed_steps = {**state.completed_steps, step.name: reason}
    state.reminders = ()
    state.step_index += 1
    state.step_started_at = None
    state.eligible_since = now
    state.approvals = ()
    state.overridden_by = state.promoted_by
    _reset_clock(state)


def pause_automatically(
    state: State, now: datetime, reason: str, auto_rollback_at: datetime | None = None
) -> None:
    """Pause without a person's command; people hear of it (of a P1 they have heard already)."""
    pause(state, now, reason, auto_rollback_at)
    if auto_rollback_at is None:
        escalation.notify_paused(state, now, reason)


def pause(
    state: State, now: datetime, reason: str, auto_rollback_at: datetime | None = None
) -> None:
    state.status = Status.PAUSED
    state.paused_at = state.paused_at or now  # a red flag in a pause doesn't start it anew
    state.pause_reason = reason
    if auto_rollback_at is not None:
        state.auto_rollback_at = min(auto_rollback_at, state.auto_rollback_at or auto_rollback_at)
    if state.auto_rollback_at is None:
        escalation.schedule_pause_reminder(state, now, reason)
    if state.finding is not None:
        state.muted_findings = (*state.muted_findings, state.finding.name)
        state.finding = None
    add_event(state, now, "pause", reason)


def resume(state: State, now: datetime) -> None:
    """Go on; the pause doesn't count as time held, and stability starts again.

    A step that was paused at its deadline gets the deadline's time anew: without, the next check
    would pause it again, however good its readings are.
    """
    if state.step is not None and state.is_overdue(now):
        state.extended_deadline = state.soak_time(now) + state.step.deadline
    if state.paused_at is not None and state.step_started_at is not None:
        state.step_started_at += now - state.paused_at
        state.next_check_at = now
    state.status = Status.PROGRESSING
    state.eligible_since = now
    state.paused_at, state.pause_reason, state.auto_rollback_at = None, "", None
    state.stable_since = None
    state.muted_findings = ()
    escalation.drop_reminder(state, escalation.PAUSE_REMINDER)


def record_finding(state: State, now: datetime) -> None:
    finding = state.finding
    assert finding is not None  # noqa: S101  only a finding can be noted
    state.muted_findings = (*state.muted_findings, finding.name)
    state.finding = None
    severity, because = finding.verdict.severity, finding.verdict.reason
    if severity is Severity.P2:
        add_reminder(state, now, finding.name, because)
    add_event(state, now, "note", f"{severity}: {because}")


def raise_finding(state: State, now: datetime, finding: Finding) -> None:
    """Take what the watch came back with; evidence that was acted on once does not act again."""
    state.finding = finding
    state.last_red_flag, state.last_red_flag_at = finding.verdict.reason, finding.seen_at
    if state.approvals:
        escalation.drop_reminder(state, escalation.APPROVAL_REMINDER)  # people are asked anew
    state.approvals = ()  # given before it was known
    acted_on = state.sequential_states.get(f"red_flags/{finding.name}")
    if acted_on is not None:
        afresh = {f"red_flags/{finding.name}": SequentialState(until=acted_on.until)}
        state.sequential_states = {**state.sequential_states, **afresh}
    severity, because = finding.verdict.severity, finding.verdict.reason
    add_event(state, now, "red_flag", f"{severity} {because}")
    enqueue_notice(state, now, severity, finding.name, because)


def complete_rollback(state: State, now: datetime, percentage: float, version: int = 0) -> None:
    """Record that the store has the target: the rollout is Degraded until a person decides."""
    rollback = state.rollback
    assert rollback is not None  # noqa: S101  asked before done
    next_at = now + state.plan.rollbacks.graceful.watch if rollback.remaining_levels else None
    done = {"completed_at": now, "version": version, "next_level_at": next_at}
    state.rollback = rollback.model_copy(update=done)
    state.status = Status.DEGRADED
    state.percentage = percentage
    state.exposed_since = now
    state.sequential_states = {}  # what comes next is another release, or a person's decision
    state.exposed_step_name = rollback.to_step or ""
    state.finding = None
    state.evidence, state.recent_checks, state.approvals = None, (), ()
    state.reminders = ()
    state.paused_at, state.pause_reason, state.auto_rollback_at = None, "", None
    state.step_started_at = None
    _reset_clock(state)
    text = f"{rollback.kind.replace('_', ' ')} to {percentage:g} %: {rollback.reason}"
    add_event(state, now, "rollback", text, rollback.actor)
    severity = rollback.finding.verdict.severity if rollback.finding else Severity.P1
    enqueue_notice(state, now, severity, "rolled_back", text)


def confirm_rollback(state: State, now: datetime, text: str) -> None:
    """Record what the router processes themselves said after the rollback."""
    rollback = state.rollback
    assert rollback is not None  # noqa: S101  confirmed after done
    state.rollback = rollback.model_copy(update={"confirmed_at": now, "confirmation": text})
    add_event(state, now, "confirmed", text)


def apply_command(state: State, now: datetime, verb: Verb, command: Command) -> None:
    """Take a permitted command; the next decision acts on it."""
    match verb:
        case Verb.APPROVE | Verb.ATTEST:
            record_sign_off(state, now, verb, command)
        case Verb.PROMOTE:
            record_override(state, command)
        case Verb.PAUSE:
            pause(state, now, command.reason or f"paused by {command.actor}")
        case Verb.RESUME:
            resume(state, now)
        case Verb.ABORT:
            state.aborted_by = command.actor
            state.aborted_at = state.aborted_at or now
        case Verb.ROLLBACK:
            _apply_rollback(state, now, command)
        case Verb.RETRY:
            retry(state, now, command)
    add_event(state, now, verb, describe_command(verb, command), command.actor)
    resolve_alerts(state, now, verb, command)


def _apply_rollback(state: State, now: datetime, command: Command) -> None:
    if not confirm_revert(state, command):
        start_rollback(state, now, rollback_kind(command), command)


def retry(state: State, now: datetime, command: Command) -> None:
    """Enter the failed step again with a fresh clock."""
    if state.rollback is not None:
        finding = state.rollback.finding
        if finding is None or finding.kind != "killed":
            state.clear_kill_for = command.actor  # our own latch; a person's own is theirs to clear
        state.step_index = state.plan.index(state.rollback.from_step)
        state.rollbacks = (*state.rollbacks, state.rollback)
        state.rollback, state.code_revert = None, None
    state.status = Status.PROGRESSING
    state.step_started_at = None
    state.eligible_since, state.overridden_by = now, command.actor
    state.muted_findings = ()
    _reset_clock(state)


def finish(state: State, now: datetime, status: Status, report: str) -> None:
    state.status = status
    state.finished_at = now
    state.report = report
    add_event(state, now, "end", f"{status}; report: {report}")
    enqueue_notice(state, now, Severity.P3, "ended", f"{status}; report: {report}")


def _reset_clock(state: State) -> None:
    state.stable_since = None
    state.next_check_at = None
    state.check = None
    state.consecutive_failures = {}
    state.promoted_by = ""
    state.extended_deadline = None


def record_waiting_check(state: State, now: datetime, check: Check) -> None:
    """Record a check of the live step, made while the next one waits to start."""
    before = state.evidence.outcome if state.evidence else None
    add_evidence(state, check)
    if check.outcome is not before:
        add_event(state, now, "check", f"{check.id} {check.outcome}: {check.reason}")


def record_item_results(state: State, now: datetime, results: tuple[ItemResult, ...]) -> None:
    """Record what a machine found out about items of the checklist."""
    for answer in results:
        before = state.item_results.get(answer.item)
        if before is None or before.passed is not answer.passed:
            mark = "done" if answer.passed else "not yet"
            add_event(state, now, "checklist", f"{answer.item} {mark}: {answer.reason}")
    state.item_results = {**state.item_results, **{answer.item: answer for answer in results}}


def expire_approval(state: State, now: datetime, reason: str) -> None:
    """Nobody approved in time: what the plan says happens, and what was approved is void."""
    state.approvals = ()
    approval = state.step.approval if state.step else None
    if approval is not None and approval.on_expiry == "abort":
        state.aborted_by = "sluice"
        add_event(state, now, "abort", reason)
    else:
        pause_automatically(state, now, reason)


def add_evidence(state: State, check: Check) -> None:
    """Keep a check as evidence that an approver may have seen."""
    state.check_count += 1
    state.evidence = check
    one = CheckSummary(id=check.id, at=check.at, outcome=check.outcome)
    state.recent_checks = (*state.recent_checks, one)[-RECENT_CHECKS_MAX:]


def record_sign_off(state: State, now: datetime, verb: Verb, command: Command) -> None:
    """Keep an approval or an attestation."""
    if verb is Verb.APPROVE:
        given = ApprovalRecord(actor=command.actor, at=now, evidence=command.evidence)
        state.approvals = (*state.approvals, given)
    else:
        word = Attestation(item=command.item, actor=command.actor, note=command.reason, at=now)
        state.attestations = {**state.attestations, command.item: word}


def record_override(state: State, command: Command) -> None:
    """Keep who let the step pass: while the next one waits, over the readings of the live one."""
    if state.step_started_at is None:
        state.overridden_by = command.actor
    else:
        state.promoted_by = command.actor
