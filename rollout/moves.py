"""Every change of the state, one function each; pure apart from the state they are given."""

from datetime import datetime

from rollout import escalation
from rollout.commands import Command, Verb
from rollout.escalation import remember
from rollout.gate import Severity
from rollout.reading import Reading
from rollout.rolling_back import asked, confirm_revert, kind_of
from rollout.sayings import overruled, said, shown, words
from rollout.state import KILLING, Event, Finding, Rollback, RollbackKind, State, Status
from rollout.telling import notify, resolve, tell
from rollout.track import Track
from rollout.verdict import Check, Outcome


def unrecorded(state: State) -> tuple[Event, ...]:
    """Lines of the timeline that the ledger may not have yet; twice does no harm."""
    since = state.recorded_until
    return tuple(event for event in state.timeline if since is None or event.at >= since)


def entered(state: State, now: datetime, percentage: float) -> None:
    """Record that the step's settings are live, read back from the store: its clock starts."""
    step = state.step
    assert step is not None  # noqa: S101  only a step can be entered
    _reset_clock(state)
    # Without the flag, learning is everyone's: that is what permanence means (guide: Stage 5).
    state.percentage = 100.0 if step.delete_flag else percentage
    state.unkill_by = ""
    state.exposed_since = now
    state.live_step = step.name
    state.approvals, state.passed_by = (), ""
    escalation.forget(state, escalation.APPROVAL)
    state.step_started_at = now
    state.next_check_at = now + step.initial_delay + step.interval
    tell(state, now, "step", f"{step.title}: live at {state.percentage:g} %")


def checked(
    state: State, now: datetime, check: Check, baseline: dict[str, Reading] | None = None
) -> None:
    """Record a check: stability restarts when it was not Successful."""
    step = state.step
    assert step is not None  # noqa: S101  only a step is checked
    before = state.check.outcome if state.check else None
    state.check = check
    shown(state, check)
    state.baseline = {**state.baseline, **(baseline or {})}
    state.next_check_at = now + step.interval
    state.failures = {
        v.gate: state.failures.get(v.gate, 0) + 1
        for v in check.verdicts
        if v.outcome is Outcome.FAILED and not v.dry_run
    }
    if check.outcome is not Outcome.SUCCESSFUL:
        state.stable_since = None
    elif state.stable_since is None:
        state.stable_since = check.at
    if check.outcome is not before:
        good = check.outcome is Outcome.SUCCESSFUL
        because = f"all {len(check.verdicts)} gates" if good else check.because
        tell(state, now, "check", f"{check.outcome}: {because}")


def promoted(state: State, now: datetime, because: str) -> None:
    step = state.step
    tell(state, now, "promote", f"{step.title if step else 'rollout'}: {because}")
    if step is not None:
        state.ended_well = {**state.ended_well, step.name: because}
    state.reminders = ()
    state.step_index += 1
    state.step_started_at = None
    state.ready_at = now
    state.approvals = ()
    state.passed_by = state.promoted_by
    _reset_clock(state)


def held(state: State, now: datetime, because: str, acts_at: datetime | None = None) -> None:
    """Pause without a person's command; people hear of it (of a P1 they have heard already)."""
    paused(state, now, because, acts_at)
    if acts_at is None:
        escalation.stopped(state, now, because)


def paused(state: State, now: datetime, because: str, acts_at: datetime | None = None) -> None:
    state.status = Status.PAUSED
    state.paused_at = state.paused_at or now  # a red flag in a pause doesn't start it anew
    state.paused_because = because
    if acts_at is not None:
        state.acts_at = min(acts_at, state.acts_at or acts_at)
    if state.acts_at is None:
        escalation.paused(state, now, because)
    if state.finding is not None:
        state.noted = (*state.noted, state.finding.name)
        state.finding = None
    tell(state, now, "pause", because)


def resumed(state: State, now: datetime) -> None:
    """Go on; the pause doesn't count as time held, and stability starts again.

    A step that was paused at its deadline gets the deadline's time anew: without, the next check
    would pause it again, however good its readings are.
    """
    if state.step is not None and state.is_overdue(now):
        state.overdue_after = state.held_for(now) + state.step.deadline
    if state.paused_at is not None and state.step_started_at is not None:
        state.step_started_at += now - state.paused_at
        state.next_check_at = now
    state.status = Status.PROGRESSING
    state.ready_at = now
    state.paused_at, state.paused_because, state.acts_at = None, "", None
    state.stable_since = None
    state.noted = ()
    escalation.forget(state, escalation.PAUSED)


def noted(state: State, now: datetime) -> None:
    finding = state.finding
    assert finding is not None  # noqa: S101  only a finding can be noted
    state.noted = (*state.noted, finding.name)
    state.finding = None
    severity, because = finding.verdict.severity, finding.verdict.because
    if severity is Severity.P2:
        remember(state, now, finding.name, because)
    tell(state, now, "note", f"{severity}: {because}")


def found(state: State, now: datetime, finding: Finding) -> None:
    """Take what the watch came back with; evidence that was acted on once does not act again."""
    state.finding = finding
    state.red_flag, state.red_flag_at = finding.verdict.because, finding.seen_at
    if state.approvals:
        escalation.forget(state, escalation.APPROVAL)  # people are asked anew
    state.approvals = ()  # given before it was known
    acted_on = state.tracks.get(f"red_flags/{finding.name}")
    if acted_on is not None:
        afresh = {f"red_flags/{finding.name}": Track(until=acted_on.until)}
        state.tracks = {**state.tracks, **afresh}
    severity, because = finding.verdict.severity, finding.verdict.because
    tell(state, now, "red_flag", f"{severity} {because}")
    notify(state, now, severity, finding.name, because)


def ask_rollback(state: State, now: datetime, kind: RollbackKind, by: Command) -> Rollback:
    """Begin a rollback; an emergency replaces any other, never the other way round."""
    current = state.rollback
    if current is not None and current.done_at is None and current.kind in KILLING:
        return current
    state.rollback = asked(state, now, kind, by)
    return state.rollback


def rolled_back(state: State, now: datetime, percentage: float, version: int = 0) -> None:
    """Record that the store has the target: the rollout is Degraded until a person decides."""
    rollback = state.rollback
    assert rollback is not None  # noqa: S101  asked before done
    next_at = now + state.plan.rollbacks.graceful.watch if rollback.ahead else None
    done = {"done_at": now, "version": version, "next_at": next_at}
    state.rollback = rollback.model_copy(update=done)
    state.status = Status.DEGRADED
    state.percentage = percentage
    state.exposed_since = now
    state.tracks = {}  # what comes next is another release, or a person's decision
    state.live_step = rollback.to_step or ""
    state.finding = None
    state.evidence, state.seen, state.approvals = None, (), ()
    state.reminders = ()
    state.paused_at, state.paused_because, state.acts_at = None, "", None
    state.step_started_at = None
    _reset_clock(state)
    text = f"{rollback.kind.replace('_', ' ')} to {percentage:g} %: {rollback.because}"
    tell(state, now, "rollback", text, rollback.actor)
    severity = rollback.finding.verdict.severity if rollback.finding else Severity.P1
    notify(state, now, severity, "rolled_back", text)


def confirmed(state: State, now: datetime, text: str) -> None:
    """Record what the router processes themselves said after the rollback."""
    rollback = state.rollback
    assert rollback is not None  # noqa: S101  confirmed after done
    state.rollback = rollback.model_copy(update={"confirmed_at": now, "confirmation": text})
    tell(state, now, "confirmed", text)


def taken(state: State, now: datetime, verb: Verb, command: Command) -> None:
    """Take a permitted command; the next decision acts on it."""
    match verb:
        case Verb.APPROVE | Verb.ATTEST:
            said(state, now, verb, command)
        case Verb.PROMOTE:
            overruled(state, command)
        case Verb.PAUSE:
            paused(state, now, command.reason or f"paused by {command.actor}")
        case Verb.RESUME:
            resumed(state, now)
        case Verb.ABORT:
            state.aborted_by = command.actor
            state.aborted_at = state.aborted_at or now
        case Verb.ROLLBACK:
            _asked_by_command(state, now, command)
        case Verb.RETRY:
            retried(state, now, command)
    tell(state, now, verb, words(verb, command), command.actor)
    resolve(state, now, verb, command)


def _asked_by_command(state: State, now: datetime, command: Command) -> None:
    if not confirm_revert(state, command):
        ask_rollback(state, now, kind_of(command), command)


def retried(state: State, now: datetime, command: Command) -> None:
    """Enter the failed step again with a fresh clock."""
    if state.rollback is not None:
        finding = state.rollback.finding
        if finding is None or finding.kind != "killed":
            state.unkill_by = command.actor  # our own latch; a person's own is theirs to clear
        state.step_index = state.plan.index(state.rollback.from_step)
        state.rollbacks = (*state.rollbacks, state.rollback)
        state.rollback, state.code = None, None
    state.status = Status.PROGRESSING
    state.step_started_at = None
    state.ready_at, state.passed_by = now, command.actor
    state.noted = ()
    _reset_clock(state)


def finished(state: State, now: datetime, status: Status, report: str) -> None:
    state.status = status
    state.finished_at = now
    state.report = report
    tell(state, now, "end", f"{status}; report: {report}")
    notify(state, now, Severity.P3, "ended", f"{status}; report: {report}")


def _reset_clock(state: State) -> None:
    state.stable_since = None
    state.next_check_at = None
    state.check = None
    state.failures = {}
    state.promoted_by = ""
    state.overdue_after = None
