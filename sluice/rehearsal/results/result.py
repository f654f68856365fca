"""The result of a rehearsal: its end, trigger, detection delay and exposure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from sluice.rehearsal.traffic.scenario import Expectation, RehearsalEnding, Scenario
from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.verdict import Check
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import RollbackKind, State, Status
from sluice.rollout.units import Duration, whole_seconds

_SECONDS_SHOWN_BELOW = timedelta(hours=6)


class CompletedRun(Protocol):
    """Port of the timeline of a finished rollout."""

    @property
    def scenario(self) -> Scenario:
        """Return the scenario."""

    @property
    def seed(self) -> int:
        """Return the seed of the traffic."""

    @property
    def begin(self) -> datetime:
        """Return the begin of the rollout."""

    def first_fault_at(self) -> datetime | None:
        """Return the begin of the first fault, or None."""

    def exposure(self, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """Return treatment queries, failures and users between two times."""


class Trigger(Model):
    """The cause of a traffic reduction or of a pause: names of gates or red flags, and their reason."""

    names: tuple[str, ...]
    reason: str
    kind: RollbackKind | Literal["pause"]


class RehearsalResult(Model):
    """The result of one rehearsal. Delay and exposure count from the fault's begin.

    The delay is None without a fault or without a rollback. ``users`` is the number of treated users
    in the busiest hour of the span. ``duration`` is the rollout's own time.
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
        """Return True when traffic was reduced before any fault."""
        early = self.fault_at is None or self.ended_at < self.fault_at
        return self.ending is RehearsalEnding.ROLLED_BACK and early

    def format_time(self, at: datetime) -> str:
        """Format a time such as ``day 9 14:05`` (from day 1); short rollouts with seconds."""
        days = (at.date() - self.started_at.date()).days
        return f"day {days + 1:>2} {at:{'%H:%M:%S' if self.duration < _SECONDS_SHOWN_BELOW else '%H:%M'}}"


def build_result(state: State, run: CompletedRun, now: datetime, runner: str) -> RehearsalResult:
    """Derive the result from the last state; ``runner`` names the executor."""
    rollback = state.rollback
    ended_at = (
        (rollback.completed_at if rollback else None)
        or (state.pause.since if state.pause else None)
        or state.finished_at
        or now
    )
    fault_at = run.first_fault_at()
    common = {
        "scenario": run.scenario.name,
        "seed": run.seed,
        "runner": runner,
        "ending": _ending(state),
        "step": rollback.from_step if rollback else state.step.name if state.step else None,
        "percentage": state.percentage,
        "duration": whole_seconds(ended_at - run.begin),
        "started_at": run.begin,
        "fault_at": fault_at,
        "ended_at": ended_at,
        "timeline": state.timeline,
        "trigger": _trigger(state),
    }
    if fault_at is None or fault_at > ended_at:
        return RehearsalResult.model_validate(common)
    queries, errors, users = run.exposure(fault_at, ended_at)
    delay = whole_seconds(ended_at - fault_at) if common["trigger"] else None
    return RehearsalResult.model_validate(
        {**common, "queries": queries, "errors": errors, "users": users, "detection_delay": delay}
    )


def expectation_mismatch(result: RehearsalResult, expect: Expectation) -> str:
    """Return the difference from the scenario's expectation, or an empty string."""
    if result.ending is not expect.ending:
        return f"ended {result.ending}, expected {expect.ending}"
    if expect.step is not None and result.step != expect.step:
        return f"{result.ending} in {result.step}, expected in {expect.step}"
    names = result.trigger.names if result.trigger else ()
    if expect.triggered_by and not set(names) & set(expect.triggered_by):
        return f"decided by {', '.join(names) or 'nothing'}, expected {' or '.join(expect.triggered_by)}"
    if result.is_false_alarm and expect.ending is RehearsalEnding.ROLLED_BACK:
        return "rolled back before any fault"
    return ""


def _ending(state: State) -> RehearsalEnding:
    if state.status is Status.HEALTHY:
        return RehearsalEnding.HEALTHY
    return RehearsalEnding.PAUSED if state.status is Status.PAUSED else RehearsalEnding.ROLLED_BACK


def _trigger(state: State) -> Trigger | None:
    rollback = state.rollback
    if rollback is None:
        return _pause_trigger(state)
    if rollback.finding is not None:
        names: tuple[str, ...] = (rollback.finding.name,)
        reason = rollback.finding.verdict.reason
        return Trigger(names=names, reason=reason, kind=rollback.kind)
    step = state.plan.step(rollback.from_step)
    gates = {gate.name for gate in (*step.gates, *step.red_flags)}
    # The reason holds each verdict's sentence, which begins with its gate's name.
    names = tuple(
        sorted(n for n in gates if f"{n} " in rollback.reason or f"{n}:" in rollback.reason)
    )
    return Trigger(names=names, reason=rollback.reason, kind=rollback.kind)


def _pause_trigger(state: State) -> Trigger | None:
    """Return the finding that paused the rollout; None for another pause."""
    pause, flags = state.pause, state.red_flags
    if pause is None or not flags.muted or pause.reason != flags.last_reason:
        return None
    return Trigger(names=flags.muted[-1:], reason=pause.reason, kind="pause")


@dataclass(frozen=True)
class RehearsalRun:
    """A finished rehearsal: its result, and all evidence for reports and plots."""

    result: RehearsalResult
    state: State
    checks: tuple[Check, ...]
