"""What a rehearsal showed: how it ended, what fired when, how late, and whom it cost what."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sluice.rehearsal.traffic.scenario import Expectation, RehearsalEnding, Scenario
from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.verdict import Check
from sluice.rollout.engine.state import Event, RollbackKind, State, Status
from sluice.rollout.units import Duration

_SECONDS_SHOWN_BELOW = timedelta(hours=6)


class CompletedRun(Protocol):
    """The course of a rollout that is over."""

    @property
    def scenario(self) -> Scenario:
        """What it was rehearsed with."""

    @property
    def seed(self) -> int:
        """Of its traffic."""

    @property
    def begin(self) -> datetime:
        """When it began."""

    def first_fault_at(self) -> datetime | None:
        """When the first fault began, if any did."""

    def exposure(self, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """Treatment queries, failed ones and users between two times."""


class Trigger(Model):
    """What took traffic away: gates or red flags by name, and their sentence with the numbers."""

    names: tuple[str, ...]
    reason: str
    kind: RollbackKind


class RehearsalResult(Model):
    """One rehearsal. Delays count from the fault's begin; exposure is what the treatment served then.

    ``delay`` None: nothing was wrong, or it was never rolled back. ``users`` is how many treated
    users were active in the busiest hour of the span. ``took`` is the rollout's own time.
    """

    scenario: str
    seed: int
    runner: str
    ending: RehearsalEnding
    step: str | None
    percentage: float
    duration: Duration
    started_at: datetime
    fault_at: datetime | None = None
    ended_at: datetime
    trigger: Trigger | None = None
    detection_delay: Duration | None = None
    queries: int = 0
    errors: int = 0
    users: int = 0
    timeline: tuple[Event, ...] = ()

    @property
    def is_false_alarm(self) -> bool:
        """Whether traffic was taken away before anything was wrong."""
        early = self.fault_at is None or self.ended_at < self.fault_at
        return self.ending is RehearsalEnding.ROLLED_BACK and early

    def format_time(self, at: datetime) -> str:
        """A time as people follow it: ``day 9 14:05``, day 1 being the first; short ones by the second."""
        days = (at.date() - self.started_at.date()).days
        return f"day {days + 1:>2} {at:{'%H:%M:%S' if self.duration < _SECONDS_SHOWN_BELOW else '%H:%M'}}"


def build_result(state: State, run: CompletedRun, now: datetime, runner: str) -> RehearsalResult:
    """Read the outcome off the last state; ``by`` names what carried the rollout out."""
    rollback = state.rollback
    ended_at = (
        (rollback.completed_at if rollback else None) or state.paused_at or state.finished_at or now
    )
    fault_at = run.first_fault_at()
    common = {
        "scenario": run.scenario.name,
        "seed": run.seed,
        "runner": runner,
        "ending": _ending(state),
        "step": rollback.from_step if rollback else state.step.name if state.step else None,
        "percentage": state.percentage,
        "duration": _round_to_seconds(ended_at - run.begin),
        "started_at": run.begin,
        "fault_at": fault_at,
        "ended_at": ended_at,
        "timeline": state.timeline,
        "trigger": _trigger(state),
    }
    if fault_at is None or fault_at > ended_at:
        return RehearsalResult.model_validate(common)
    queries, errors, users = run.exposure(fault_at, ended_at)
    delay = _round_to_seconds(ended_at - fault_at) if rollback else None
    return RehearsalResult.model_validate(
        {**common, "queries": queries, "errors": errors, "users": users, "detection_delay": delay}
    )


def expectation_mismatch(result: RehearsalResult, expect: Expectation) -> str:
    """Say how the outcome differs from what the scenario expects; empty when it doesn't."""
    if result.ending is not expect.ending:
        return f"ended {result.ending}, expected {expect.ending}"
    if expect.step is not None and result.step != expect.step:
        return f"{result.ending} in {result.step}, expected in {expect.step}"
    names = result.trigger.names if result.trigger else ()
    if expect.triggered_by and not set(names) & set(expect.triggered_by):
        return f"decided by {', '.join(names) or 'nothing'}, expected {' or '.join(expect.triggered_by)}"
    if result.is_false_alarm and expect.ending is RehearsalEnding.ROLLED_BACK:
        return "rolled back before anything was wrong"
    return ""


def _ending(state: State) -> RehearsalEnding:
    if state.status is Status.HEALTHY:
        return RehearsalEnding.HEALTHY
    return RehearsalEnding.PAUSED if state.status is Status.PAUSED else RehearsalEnding.ROLLED_BACK


def _trigger(state: State) -> Trigger | None:
    rollback = state.rollback
    if rollback is None:
        return None
    if rollback.finding is not None:
        names: tuple[str, ...] = (rollback.finding.name,)
        because = rollback.finding.verdict.reason
        return Trigger(names=names, reason=because, kind=rollback.kind)
    step = state.plan.step(rollback.from_step)
    gates = {gate.name for gate in (*step.gates, *step.red_flags)}
    # "because" holds each verdict's sentence, which begins with its gate's name.
    names = tuple(
        sorted(n for n in gates if f"{n} " in rollback.reason or f"{n}:" in rollback.reason)
    )
    return Trigger(names=names, reason=rollback.reason, kind=rollback.kind)


def _round_to_seconds(span: timedelta) -> timedelta:
    """To the second: the rehearsal's clock is no finer."""
    return timedelta(seconds=round(span.total_seconds()))


@dataclass(frozen=True)
class RehearsalRun:
    """A rehearsal that is over: its outcome, and all the evidence for reports and pictures."""

    result: RehearsalResult
    state: State
    checks: tuple[Check, ...]
