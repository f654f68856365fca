"""The one state of a rollout: continue-as-new carries it whole, and queries return it whole.

Values that change together are one frozen value each, so a reset is one assignment. Only
``sluice.rollout.engine.transitions`` assigns them.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sluice.rollout.analysis.gate import Gate, Model, Severity
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.analysis.verdict import Check, Verdict
from sluice.rollout.engine.commands import DecisionMemory
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.evidence_chain import EvidenceHead
from sluice.rollout.engine.step_progress import (
    CheckEvidence,
    LiveStep,
    PendingEntry,
    StepClock,
)
from sluice.rollout.plan.checklist import Attestation, ItemResult
from sluice.rollout.plan.notification import Notice
from sluice.rollout.plan.schema import RolloutPlan, Step


class Status(StrEnum):
    """Argo's statuses. Degraded: rolled back, waiting for a person. Healthy: finished well."""

    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    DEGRADED = "Degraded"
    HEALTHY = "Healthy"
    ABORTED = "Aborted"


class RollbackKind(StrEnum):
    """The guide's rollbacks.

    Emergency: 0 % at once, kill latch, whitelist off. Step back: to the step's own target.
    Graceful: one level down, then the next after a time of watching. Code: as an emergency, then
    the configured commit is reverted once a person has confirmed it.
    """

    EMERGENCY = "emergency"
    STEP_BACK = "step_back"
    GRACEFUL = "graceful"
    CODE = "code"


KILL_LATCH_KINDS = (RollbackKind.EMERGENCY, RollbackKind.CODE)
"""Rollbacks that set the kill latch: nobody raises the flag before a person's retry."""


class Finding(Model):
    """A result of the red-flag watch. ``sequence``: the last write of this rollout in the store.

    ``is_over``: its cause has ended already, so a second one is news and not a repetition.
    """

    name: str
    kind: Literal["red_flag", "killed", "flag_drift", "blind"]
    verdict: Verdict
    gate: Gate | None = None
    seen_at: datetime
    sequence: int = -1
    is_over: bool = False


class Rollback(Model):
    """A rollback: requested, completed (``version``: of the flag document), confirmed by processes.

    A graceful one goes to ``percentage``, then to ``remaining_levels``, the next at its time.
    """

    kind: RollbackKind
    from_step: str
    to_step: str | None
    reason: str
    actor: str
    requested_at: datetime
    finding: Finding | None = None
    completed_at: datetime | None = None
    confirmed_at: datetime | None = None
    confirmation: str = ""
    version: int = 0
    percentage: float | None = None
    remaining_levels: tuple[float, ...] = ()
    next_level_at: datetime | None = None


class CodeRevert(Model):
    """A code rollback's second half. ``outcome`` empty: not tried yet, or being tried."""

    requested_at: datetime
    requested_by: str
    reason: str = ""
    confirmed_by: str = ""
    ended_at: datetime | None = None
    outcome: Literal["", "reverted", "conflict", "failed"] = ""
    text: str = ""


class Reminder(Model):
    """A P2 finding that somebody should have looked into by ``due_at``."""

    name: str
    reason: str
    due_at: datetime


class AcknowledgedFinding(Model):
    """A finding that a person answers for: silent until ``until``, then it counts again."""

    name: str
    actor: str
    reason: str = ""
    at: datetime
    until: datetime


class RedFlags(Model):
    """The finding to act on, and the findings that were acted on and stay silent.

    ``raised`` has the severity of each finding since the last rollback, by name.
    """

    finding: Finding | None = None
    muted: tuple[str, ...] = ()
    raised: dict[str, Severity] = Field(default_factory=dict)
    acknowledged: tuple[AcknowledgedFinding, ...] = ()
    last_reason: str = ""
    last_at: datetime | None = None


class ActivePause(Model):
    """A pause. Without a person's command the product rolls back at ``auto_rollback_at`` (P1).

    ``findings`` names the P1 findings that nobody has acknowledged.
    """

    since: datetime
    reason: str
    auto_rollback_at: datetime | None = None
    findings: tuple[str, ...] = ()


class Abort(Model):
    """The end of the rollout at 0 %: requested, then written, then confirmed by every process."""

    actor: str
    reason: str
    requested_at: datetime
    written_at: datetime | None = None
    confirmed_at: datetime | None = None


class Outbox(Model):
    """Notices to send, alerts that no person has acted on, and the rollback that was paged for."""

    notices: tuple[Notice, ...] = ()
    open_alerts: tuple[Notice, ...] = ()
    notice_count: int = 0
    paged_rollback_at: datetime | None = None


class State(BaseModel):
    """Everything that a rollout remembers. Only ``engine.transitions`` changes it."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, defer_build=True)

    rollout_id: str
    run_id: str
    plan: RolloutPlan
    started_at: datetime
    status: Status = Status.PROGRESSING
    step_index: int = 0
    percentage: float = 0.0
    sequence: int = 0
    clock: StepClock = StepClock()
    entry: PendingEntry = PendingEntry()
    live: LiveStep = LiveStep()
    checks: CheckEvidence = CheckEvidence()
    check_count: int = 0
    evidence: EvidenceHead = EvidenceHead()
    red_flags: RedFlags = RedFlags()
    attestations: dict[str, Attestation] = Field(default_factory=dict)
    item_results: dict[str, ItemResult] = Field(default_factory=dict)
    completed_steps: dict[str, str] = Field(default_factory=dict)
    pause: ActivePause | None = None
    abort: Abort | None = None
    rollback: Rollback | None = None
    rollbacks: tuple[Rollback, ...] = ()
    code_revert: CodeRevert | None = None
    clear_kill_for: str = ""
    reminders: tuple[Reminder, ...] = ()
    outbox: Outbox = Outbox()
    baseline: dict[str, Reading] = Field(default_factory=dict)
    sequential_states: dict[str, SequentialState] = Field(default_factory=dict)
    timeline: tuple[Event, ...] = ()
    decisions: DecisionMemory = DecisionMemory()
    recorded_until: datetime | None = None
    finished_at: datetime | None = None
    report: str = ""

    @property
    def step(self) -> Step | None:
        """The step that the rollout is in; None after the last one."""
        steps = self.plan.steps
        return steps[self.step_index] if self.step_index < len(steps) else None

    @property
    def is_live(self) -> bool:
        """True while the settings of ``step`` are live, False while they are still to come."""
        return self.clock.started_at is not None

    @property
    def waiting_since(self) -> datetime:
        """The time at which the step that isn't live yet became the next one."""
        return self.entry.eligible_since or self.started_at

    @property
    def step_under_check(self) -> Step | None:
        """The step whose gates are checked: while the next one waits, the one that is live."""
        return self.step if self.is_live else self.exposed_step

    @property
    def approved_by(self) -> tuple[str, ...]:
        """The people who have approved the step that waits."""
        return tuple(record.actor for record in self.entry.approvals)

    @property
    def latest_check(self) -> Check | None:
        """The newest check: of the step, or while it waits to start, of the one that is live."""
        return self.clock.check or self.checks.latest

    @property
    def pending_rollback(self) -> Rollback | None:
        """The rollback whose write the store has not acknowledged yet."""
        rollback = self.rollback
        return rollback if rollback is not None and rollback.completed_at is None else None

    @property
    def has_ended(self) -> bool:
        return self.status in (Status.HEALTHY, Status.ABORTED)

    @property
    def exposed_step(self) -> Step | None:
        """The step whose settings are live in the router.

        While the next one waits for approval that is the last one; after a step back, its target.
        """
        return self.plan.step(self.live.name) if self.live.name else None

    @property
    def silent_findings(self) -> tuple[str, ...]:
        """Names that the watch leaves out: acted on, or acknowledged and not a P0 of this step."""
        flags = self.exposed_step.red_flags if self.exposed_step else ()
        urgent = {gate.name for gate in flags if gate.severity is Severity.P0}
        acknowledged = (finding.name for finding in self.red_flags.acknowledged)
        return (*self.red_flags.muted, *(name for name in acknowledged if name not in urgent))

    @property
    def rollback_origin_step(self) -> Step:
        """The step that a rollback goes back from: the live one, else the one about to be.

        Where nothing is live after a rollback, a second one goes back from the same step.
        """
        if self.exposed_step is None and self.rollback is not None:
            return self.plan.step(self.rollback.from_step)
        return self.exposed_step or self.step or self.plan.steps[-1]

    def soak_time(self, now: datetime) -> timedelta:
        """Time for which the step has been watched, pauses not counted."""
        if self.clock.started_at is None:
            return timedelta(0)
        return (self.pause.since if self.pause else now) - self.clock.started_at

    def is_overdue(self, now: datetime) -> bool:
        """Return True once the step's time is over; a later resume extends that time."""
        return self.step is not None and self.soak_time(now) >= self.soak_deadline

    @property
    def soak_deadline(self) -> timedelta:
        """The time for which the step may be watched before its last check decides."""
        return self.clock.extended_deadline or (self.step.deadline if self.step else timedelta(0))

    @property
    def promotable_at(self) -> datetime | None:
        """Earliest time at which the step may end well."""
        if self.step is None or self.clock.started_at is None:
            return None
        return self.clock.started_at + self.step.hold
