"""The one state of a rollout: carried whole through continue-as-new, returned whole by queries."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sluice.rollout.analysis.gate import Gate, Model
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.analysis.verdict import Check, Verdict
from sluice.rollout.plan.approval_policy import ApprovalRecord, CheckSummary
from sluice.rollout.plan.checklist import Attestation, ItemResult
from sluice.rollout.plan.notification import Notice
from sluice.rollout.plan.schema import RolloutPlan, Step

TIMELINE_MAX = 300


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
    """What the red-flag watch came back with, and when it was first seen to be so."""

    name: str
    kind: Literal["red_flag", "killed", "flag_drift", "blind"]
    verdict: Verdict
    gate: Gate | None = None
    seen_at: datetime


class Event(Model):
    """One line of the timeline. ``actor`` is ``sluice`` unless a person did it."""

    at: datetime
    kind: str
    text: str
    actor: str = "sluice"
    step: str | None = None
    percentage: float | None = None


class Rollback(Model):
    """A rollback: asked for, then done. ``confirmed_at``: every router process reported it.

    A graceful one goes to ``percentage`` first; ``ahead`` are the levels after it, the next of
    them due at ``next_at``. ``version`` is the flag document's after the write.
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


class State(BaseModel):
    """Everything the rollout knows. Only ``sluice.rollout.engine.transitions`` changes it."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    rollout_id: str
    run_id: str
    plan: RolloutPlan
    started_at: datetime
    status: Status = Status.PROGRESSING
    step_index: int = 0
    sequence: int = 0
    exposed_step_name: str = ""
    percentage: float = 0.0
    exposed_since: datetime | None = None
    step_started_at: datetime | None = None
    extended_deadline: timedelta | None = None
    stable_since: datetime | None = None
    next_check_at: datetime | None = None
    check: Check | None = None
    consecutive_failures: dict[str, int] = Field(default_factory=dict)
    check_count: int = 0
    eligible_since: datetime | None = None
    approvals: tuple[ApprovalRecord, ...] = ()
    evidence: Check | None = None
    recent_checks: tuple[CheckSummary, ...] = ()
    last_red_flag: str = ""
    last_red_flag_at: datetime | None = None
    attestations: dict[str, Attestation] = Field(default_factory=dict)
    item_results: dict[str, ItemResult] = Field(default_factory=dict)
    completed_steps: dict[str, str] = Field(default_factory=dict)
    overridden_by: str = ""
    promoted_by: str = ""
    paused_at: datetime | None = None
    pause_reason: str = ""
    auto_rollback_at: datetime | None = None
    finding: Finding | None = None
    muted_findings: tuple[str, ...] = ()
    rollback: Rollback | None = None
    rollbacks: tuple[Rollback, ...] = ()
    code_revert: CodeRevert | None = None
    reminders: tuple[Reminder, ...] = ()
    outbox: tuple[Notice, ...] = ()
    open_alerts: tuple[Notice, ...] = ()
    notice_count: int = 0
    paged_rollback_at: datetime | None = None
    aborted_at: datetime | None = None
    abort_confirmed_at: datetime | None = None
    clear_kill_for: str = ""
    aborted_by: str = ""
    baseline: dict[str, Reading] = Field(default_factory=dict)
    sequential_states: dict[str, SequentialState] = Field(default_factory=dict)
    timeline: tuple[Event, ...] = ()
    recorded_until: datetime | None = None
    finished_at: datetime | None = None
    report: str = ""

    @property
    def step(self) -> Step | None:
        """The step the rollout is in; None after the last one."""
        steps = self.plan.steps
        return steps[self.step_index] if self.step_index < len(steps) else None

    @property
    def waiting_since(self) -> datetime:
        """When the step that isn't live yet became the next one."""
        return self.eligible_since or self.started_at

    @property
    def step_under_check(self) -> Step | None:
        """The step whose gates are checked: while the next one waits, the one that is live."""
        return self.step if self.step_started_at is not None else self.exposed_step

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Who has approved the step that waits."""
        return tuple(one.actor for one in self.approvals)

    @property
    def latest_check(self) -> Check | None:
        """The newest check: of the step, or while it waits to start, of the one that is live."""
        return self.check or self.evidence

    @property
    def has_ended(self) -> bool:
        return self.status in (Status.HEALTHY, Status.ABORTED)

    @property
    def exposed_step(self) -> Step | None:
        """The step whose settings are live in the router.

        While the next one waits for approval that is the last one; after a step back, its target.
        """
        return self.plan.step(self.exposed_step_name) if self.exposed_step_name else None

    @property
    def rollback_origin_step(self) -> Step:
        """The step that a rollback goes back from: the live one, else the one about to be."""
        return self.exposed_step or self.step or self.plan.steps[-1]

    def soak_time(self, now: datetime) -> timedelta:
        """Time the step has been watched, pauses not counted."""
        if self.step_started_at is None:
            return timedelta(0)
        return (self.paused_at or now) - self.step_started_at

    def is_overdue(self, now: datetime) -> bool:
        """Whether the step's time is over; a resume after that gives it anew."""
        return self.step is not None and self.soak_time(now) >= self.soak_deadline

    @property
    def soak_deadline(self) -> timedelta:
        """How long the step may be watched before its last check decides."""
        return self.extended_deadline or (self.step.deadline if self.step else timedelta(0))

    @property
    def promotable_at(self) -> datetime | None:
        """Earliest time at which the step may end well."""
        step = self.step
        if step is None or self.step_started_at is None:
            return None
        return self.step_started_at + step.hold
