"""The view of one rollout, a pure function of a snapshot and the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from sluice.console.charts.effect_chart import effect_chart
from sluice.console.charts.gate_chart import gate_chart, gate_readings
from sluice.console.charts.percentage_chart import percentage_chart
from sluice.console.feeds.rollout_feed import RolloutSnapshot
from sluice.rollout.analysis.gate import Gate, Severity
from sluice.rollout.analysis.value_format import format_effect
from sluice.rollout.analysis.verdict import Check, Verdict
from sluice.rollout.engine.approvals import (
    approval_expires_at,
    approval_policy,
    missing_approvals,
)
from sluice.rollout.engine.commands import Verb
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.evidence_context import alpha_summary
from sluice.rollout.engine.preconditions import ChecklistRow, checklist_rows
from sluice.rollout.engine.runbook import runbook_for_alert
from sluice.rollout.engine.state import AcknowledgedFinding, State, Status
from sluice.rollout.plan.approval_policy import ApprovalRecord
from sluice.rollout.review.outlook import describe_outlook

EVENTS_SHOWN = 100
VERBS_BY_STATUS = {
    Status.PROGRESSING: (Verb.PROMOTE, Verb.PAUSE, Verb.ROLLBACK),
    Status.PAUSED: (Verb.RESUME, Verb.ROLLBACK),
    Status.DEGRADED: (Verb.RETRY,),
}


@dataclass(frozen=True, slots=True)
class StageMark:
    """One step in the strip. ``place`` is done, here or ahead."""

    title: str
    name: str
    percentage: float | None
    place: str


@dataclass(frozen=True, slots=True)
class JudgedGate:
    """One gate's newest verdict and its recent course; ``effect`` is that of a statistical gate."""

    verdict: Verdict
    chart: Markup
    effect: Markup
    effect_text: str


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding since the last rollback. A P0 takes traffic away, so nobody acknowledges it."""

    name: str
    severity: Severity
    acknowledged: AcknowledgedFinding | None

    @property
    def may_be_acknowledged(self) -> bool:
        return self.severity is not Severity.P0 and self.acknowledged is None


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """Approvals of the step that waits to start."""

    step_title: str
    records: Sequence[ApprovalRecord]
    missing: int
    eligible: Sequence[str]
    expires_at: datetime | None
    on_expiry: str


@dataclass(frozen=True, slots=True)
class SoakView:
    """The watched time of the live step, and its whole time."""

    soaked: timedelta
    hold: timedelta
    ends_at: datetime

    @property
    def percent(self) -> float:
        total = self.hold.total_seconds()
        return min(100.0, 100 * self.soaked / self.hold) if total else 100.0


@dataclass(frozen=True, slots=True)
class RolloutView:
    """Everything that the template of one rollout needs."""

    state: State
    snapshot: RolloutSnapshot
    stages: Sequence[StageMark]
    check: Check | None
    gates: Sequence[JudgedGate]
    red_flags: Sequence[Gate]
    findings: Sequence[FindingView]
    checklist: Sequence[ChecklistRow]
    approval: ApprovalView | None
    soak: SoakView | None
    events: Sequence[Event]
    chart: Markup
    verbs: Sequence[Verb]
    alpha: str
    outlook: str
    runbook: str


def build_rollout_view(snapshot: RolloutSnapshot, now: datetime) -> RolloutView:
    """Build the view; nothing is measured or asked here."""
    state, check = snapshot.state, snapshot.state.latest_check
    live = state.exposed_step
    rolled_back = state.rollback is not None and state.rollback.completed_at is not None
    return RolloutView(
        state=state,
        snapshot=snapshot,
        stages=_stages(state),
        check=check,
        gates=_gates(check, snapshot.history.checks),
        red_flags=live.red_flags if live and not state.has_ended else (),
        findings=() if state.has_ended else _findings(state),
        checklist=_checklist(state, now),
        approval=_approval(state),
        soak=_soak(state, now),
        events=tuple(reversed(snapshot.history.events[-EVENTS_SHOWN:])),
        chart=percentage_chart(snapshot.history.events, state.percentage, state.finished_at or now),
        verbs=available_verbs(state),
        alpha=alpha_summary(state),
        outlook=describe_outlook(state, now),
        runbook=runbook_for_alert(state, "rolled_back") if rolled_back else "",
    )


def available_verbs(state: State) -> tuple[Verb, ...]:
    """List the commands that fit the status; a command's page says why one is refused now."""
    if state.has_ended or state.abort:
        return ()
    waits = state.step is not None and state.clock.started_at is None
    approve = waits and state.status in (Status.PROGRESSING, Status.PAUSED)
    first = (Verb.APPROVE,) if approve and state.step and approval_policy(state, state.step) else ()
    return (*first, *VERBS_BY_STATUS.get(state.status, ()))


def _stages(state: State) -> list[StageMark]:
    def place(index: int) -> str:
        if index < state.step_index or state.status is Status.HEALTHY:
            return "done"
        return "here" if index == state.step_index else "ahead"

    return [
        StageMark(step.title, step.name, step.percentage, place(index))
        for index, step in enumerate(state.plan.steps)
    ]


def _gates(check: Check | None, checks: Sequence[Check]) -> list[JudgedGate]:
    if check is None:
        return []
    step_checks = [step_check for step_check in checks if step_check.step == check.step]
    if not step_checks or step_checks[-1].id != check.id:
        step_checks.append(check)
    return [_judged_gate(verdict, step_checks) for verdict in check.verdicts]


def _judged_gate(verdict: Verdict, step_checks: Sequence[Check]) -> JudgedGate:
    readings = gate_readings(step_checks, verdict.gate)
    text = format_effect(verdict.effect) if verdict.effect else ""
    return JudgedGate(verdict, gate_chart(readings), effect_chart(readings), text)


def _findings(state: State) -> list[FindingView]:
    acknowledged = {finding.name: finding for finding in state.red_flags.acknowledged}
    raised = state.red_flags.raised.items()
    return [FindingView(name, severity, acknowledged.get(name)) for name, severity in raised]


def _checklist(state: State, now: datetime) -> list[ChecklistRow]:
    step = state.step
    if step is None or state.clock.started_at is not None or state.has_ended:
        return []
    return checklist_rows(state, step, now)


def _approval(state: State) -> ApprovalView | None:
    step = state.step
    policy = approval_policy(state, step) if step else None
    if step is None or policy is None or state.clock.started_at is not None:
        return None
    return ApprovalView(
        step_title=step.title,
        records=state.entry.approvals,
        missing=missing_approvals(state, step),
        eligible=policy.eligible_approvers,
        expires_at=approval_expires_at(state, step),
        on_expiry=policy.on_expiry,
    )


def _soak(state: State, now: datetime) -> SoakView | None:
    step = state.step
    if step is None or state.clock.started_at is None or state.has_ended:
        return None
    return SoakView(state.soak_time(now), step.hold, state.clock.started_at + step.hold)
