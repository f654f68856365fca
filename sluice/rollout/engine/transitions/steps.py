"""A step's way through the rollout: entered, checked, promoted, or entered again."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.analysis.verdict import Check, Outcome
from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.escalation import APPROVAL_REMINDER
from sluice.rollout.engine.state import State, Status
from sluice.rollout.engine.step_progress import CheckEvidence, LiveStep, PendingEntry, StepClock
from sluice.rollout.engine.transitions.notices import add_event, enqueue_notice
from sluice.rollout.engine.transitions.reminders import drop_reminder
from sluice.rollout.plan.alpha_budget import RuleGroup
from sluice.rollout.plan.approval_policy import RECENT_CHECKS_MAX, CheckSummary
from sluice.rollout.plan.checklist import ItemResult
from sluice.rollout.plan.schema import Step
from sluice.rollout.units import format_duration

CHECK_LATENESS_MAX = timedelta(minutes=1)
"""Lateness of a check that still counts as watched, where the step's interval is shorter."""


def enter_step(state: State, now: datetime, step: Step, percentage: float) -> None:
    """Record that the step's settings are live, as read back from the store: its clock starts."""
    # Without the flag, learning is everyone's: that is what permanence means (guide: Stage 5).
    state.percentage = 100.0 if step.delete_flag else percentage
    state.clear_kill_for = ""
    state.live = LiveStep(name=step.name, since=now)
    state.red_flags = state.red_flags.model_copy(update={"muted": ()})  # another exposure
    state.entry = PendingEntry()
    state.clock = StepClock(started_at=now, next_check_at=now + step.initial_delay + step.interval)
    drop_reminder(state, APPROVAL_REMINDER)
    add_event(state, now, "step", f"{step.title}: live at {state.percentage:g} %")


def record_check(
    state: State,
    now: datetime,
    step: Step,
    check: Check,
    baseline: Mapping[str, Reading] | None = None,
) -> None:
    """Record a check of the live step: stability restarts when it was not Successful.

    It also restarts after a time without checks, which does not count as hold either.
    """
    before, is_good = state.clock.check, check.outcome is Outcome.SUCCESSFUL
    add_evidence(state, check)
    _deduct_unwatched_time(state, now, step, check.at)
    state.baseline = {**state.baseline, **(baseline or {})}
    stable_since = (state.clock.stable_since or check.at) if is_good else None
    state.clock = state.clock.model_copy(
        update={
            "check": check,
            "next_check_at": now + step.interval,
            "stable_since": stable_since,
            "consecutive_failures": _count_failures(state.clock.consecutive_failures, check),
        }
    )
    if before is None or check.outcome is not before.outcome:
        count = len(check.verdicts)
        passed = "its only gate" if count == 1 else f"all {count} gates"
        reason = passed if is_good else check.reason
        add_event(state, now, "check", f"{check.outcome}: {reason}")


def _deduct_unwatched_time(state: State, now: datetime, step: Step, checked_at: datetime) -> None:
    """Deduct the time by which the check came late: nobody looked, for example without a worker."""
    due_at, started_at = state.clock.next_check_at, state.clock.started_at
    assert due_at is not None  # noqa: S101  the step is live
    assert started_at is not None  # noqa: S101  the step is live
    late = checked_at - due_at
    if late <= max(step.interval, CHECK_LATENESS_MAX):
        return
    update = {"started_at": started_at + late, "stable_since": None}
    state.clock = state.clock.model_copy(update=update)
    span = format_duration(timedelta(seconds=round(late.total_seconds())))
    text = f"unwatched for {span}: this time counts neither as hold nor as stable"
    add_event(state, now, "problem", text)


def _count_failures(counts: Mapping[str, int], check: Check) -> dict[str, int]:
    """Count the failed checks in a row of each gate that failed now."""
    return {
        verdict.gate: counts.get(verdict.gate, 0) + 1
        for verdict in check.verdicts
        if verdict.outcome is Outcome.FAILED and not verdict.dry_run
    }


def record_waiting_check(state: State, now: datetime, check: Check) -> None:
    """Record a check of the live step, made while the next one waits to start."""
    before = state.checks.latest
    add_evidence(state, check)
    if before is None or check.outcome is not before.outcome:
        add_event(state, now, "check", f"{check.id} {check.outcome}: {check.reason}")


def add_evidence(state: State, check: Check) -> None:
    """Keep a check as evidence that an approver may have seen."""
    state.check_count += 1
    summary = CheckSummary(id=check.id, at=check.at, outcome=check.outcome)
    recent = (*state.checks.recent, summary)[-RECENT_CHECKS_MAX:]
    state.checks = CheckEvidence(latest=check, recent=recent)


def merge_evidence(state: State, group: RuleGroup, states: Mapping[str, SequentialState]) -> None:
    """Put the sequential states that a check or a watch returned into the state."""
    states_by_rule = {f"{group}/{name}": sequential for name, sequential in states.items()}
    state.sequential_states = {**state.sequential_states, **states_by_rule}


def mark_recorded(state: State, until: datetime) -> None:
    """Record that the ledger has the timeline up to this time."""
    state.recorded_until = until


def record_item_results(state: State, now: datetime, results: tuple[ItemResult, ...]) -> None:
    """Record the results of the checklist's automated items.

    The time until the next look counts from now. Where a look takes longer than ``retry_every``, the
    rollout would otherwise look again at once, and never publish what it waits for.
    """
    results = tuple(result.model_copy(update={"at": now}) for result in results)
    for result in results:
        before = state.item_results.get(result.item)
        if before is None or before.passed is not result.passed:
            mark = "done" if result.passed else "not yet"
            add_event(state, now, "checklist", f"{result.item} {mark}: {result.reason}")
    state.item_results = {**state.item_results, **{result.item: result for result in results}}


def promote(state: State, now: datetime, step: Step, reason: str) -> None:
    """Go to the step after ``step``, which then waits for its preconditions."""
    add_event(state, now, "promote", f"{step.title}: {reason}")
    state.completed_steps = {**state.completed_steps, step.name: reason}
    state.reminders = ()
    state.step_index += 1
    state.entry = PendingEntry(eligible_since=now, overridden_by=state.clock.promoted_by)
    state.clock = StepClock()


def retry(state: State, now: datetime, command: Command) -> None:
    """Let the step that was rolled back wait for its entry again, with a fresh clock."""
    if state.rollback is not None:
        finding = state.rollback.finding
        if finding is None or finding.kind != "killed":
            state.clear_kill_for = command.actor  # our own latch; a person's own is theirs to clear
        state.step_index = state.plan.index(state.rollback.from_step)
        state.rollbacks = (*state.rollbacks, state.rollback)
        state.rollback, state.code_revert = None, None
    state.status = Status.PROGRESSING
    state.entry = PendingEntry(eligible_since=now, overridden_by=command.actor)
    state.clock = StepClock()
    state.red_flags = state.red_flags.model_copy(update={"muted": ()})


def finish(state: State, now: datetime, status: Status, report: str) -> None:
    """Record the end, and where its post-mortem is."""
    state.status = status
    state.finished_at = now
    state.report = report
    add_event(state, now, "end", f"{status}; report: {report}")
    enqueue_notice(state, now, Severity.P3, "ended", f"{status}; report: {report}")
