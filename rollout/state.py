"""The one state of a rollout: carried whole through continue-as-new, returned whole by queries."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rollout.approval import Given, Seen
from rollout.checklist import Answer, Attestation
from rollout.gate import Gate, Model
from rollout.notice import Notice
from rollout.plan import RolloutPlan, Step
from rollout.reading import Reading
from rollout.track import Track
from rollout.verdict import Check, Verdict

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


KILLING = (RollbackKind.EMERGENCY, RollbackKind.CODE)
"""Rollbacks that set the kill latch: nobody raises the flag before a person's retry."""


class Finding(Model):
    """What the red-flag watch came back with, and when it was first seen to be so."""

    name: str
    kind: Literal["red_flag", "killed", "flag_differs"]
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
    because: str
    actor: str
    asked_at: datetime
    finding: Finding | None = None
    done_at: datetime | None = None
    confirmed_at: datetime | None = None
    confirmation: str = ""
    version: int = 0
    percentage: float | None = None
    ahead: tuple[float, ...] = ()
    next_at: datetime | None = None


class CodeRevert(Model):
    """A code rollback's second half. ``outcome`` empty: not tried yet, or being tried."""

    asked_at: datetime
    asked_by: str
    reason: str = ""
    confirmed_by: str = ""
    ended_at: datetime | None = None
    outcome: Literal["", "reverted", "conflict", "failed"] = ""
    text: str = ""


class Reminder(Model):
    """A P2 finding that somebody should have looked into by ``due_at``."""

    name: str
    because: str
    due_at: datetime


class State(BaseModel):
    """Everything the rollout knows. Only ``rollout.moves`` changes it."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    rollout_id: str
    run_id: str
    plan: RolloutPlan
    started_at: datetime
    status: Status = Status.PROGRESSING
    step_index: int = 0
    sequence: int = 0
    live_step: str = ""
    percentage: float = 0.0
    exposed_since: datetime | None = None
    step_started_at: datetime | None = None
    overdue_after: timedelta | None = None
    stable_since: datetime | None = None
    next_check_at: datetime | None = None
    check: Check | None = None
    failures: dict[str, int] = Field(default_factory=dict)
    checks: int = 0
    ready_at: datetime | None = None
    approvals: tuple[Given, ...] = ()
    evidence: Check | None = None
    seen: tuple[Seen, ...] = ()
    red_flag: str = ""
    red_flag_at: datetime | None = None
    attested: dict[str, Attestation] = Field(default_factory=dict)
    answers: dict[str, Answer] = Field(default_factory=dict)
    ended_well: dict[str, str] = Field(default_factory=dict)
    passed_by: str = ""
    promoted_by: str = ""
    paused_at: datetime | None = None
    paused_because: str = ""
    acts_at: datetime | None = None
    finding: Finding | None = None
    noted: tuple[str, ...] = ()
    rollback: Rollback | None = None
    rollbacks: tuple[Rollback, ...] = ()
    code: CodeRevert | None = None
    reminders: tuple[Reminder, ...] = ()
    outbox: tuple[Notice, ...] = ()
    alarms: tuple[Notice, ...] = ()
    notices: int = 0
    paged_for: datetime | None = None
    aborted_at: datetime | None = None
    zero_confirmed_at: datetime | None = None
    unkill_by: str = ""
    aborted_by: str = ""
    baseline: dict[str, Reading] = Field(default_factory=dict)
    tracks: dict[str, Track] = Field(default_factory=dict)
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
    def waits_since(self) -> datetime:
        """When the step that isn't live yet became the next one."""
        return self.ready_at or self.started_at

    @property
    def checked_step(self) -> Step | None:
        """The step whose gates are checked: while the next one waits, the one that is live."""
        return self.step if self.step_started_at is not None else self.exposed_step

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Who has approved the step that waits."""
        return tuple(one.actor for one in self.approvals)

    @property
    def shown_check(self) -> Check | None:
        """The newest check: of the step, or while it waits to start, of the one that is live."""
        return self.check or self.evidence

    @property
    def ended(self) -> bool:
        return self.status in (Status.HEALTHY, Status.ABORTED)

    @property
    def exposed_step(self) -> Step | None:
        """The step whose settings are live in the router.

        While the next one waits for approval that is the last one; after a step back, its target.
        """
        return self.plan.step(self.live_step) if self.live_step else None

    @property
    def answerable_step(self) -> Step:
        """The step that a rollback goes back from: the live one, else the one about to be."""
        return self.exposed_step or self.step or self.plan.steps[-1]

    def held_for(self, now: datetime) -> timedelta:
        """Time the step has been watched, pauses not counted."""
        if self.step_started_at is None:
            return timedelta(0)
        return (self.paused_at or now) - self.step_started_at

    def is_overdue(self, now: datetime) -> bool:
        """Whether the step's time is over; a resume after that gives it anew."""
        return self.step is not None and self.held_for(now) >= self.time_given

    @property
    def time_given(self) -> timedelta:
        """How long the step may be watched before its last check decides."""
        return self.overdue_after or (self.step.deadline if self.step else timedelta(0))

    @property
    def promotable_at(self) -> datetime | None:
        """Earliest time at which the step may end well."""
        step = self.step
        if step is None or self.step_started_at is None:
            return None
        return self.step_started_at + step.hold
