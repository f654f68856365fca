"""What a rehearsal showed: how it ended, what fired when, how late, and whom it cost what."""

from datetime import datetime, timedelta
from typing import Protocol

from rehearsal.scenario import Ending, Expectation, Scenario
from rollout.gate import Model
from rollout.quantity import Duration
from rollout.state import Event, RollbackKind, State, Status

_SHORT = timedelta(hours=6)


class Ran(Protocol):
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

    def fault_begins(self) -> datetime | None:
        """When the first fault began, if any did."""

    def exposure(self, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """Treatment queries, failed ones and users between two times."""


class Fired(Model):
    """What took traffic away: gates or red flags by name, and their sentence with the numbers."""

    names: tuple[str, ...]
    because: str
    kind: RollbackKind


class Outcome(Model):
    """One rehearsal. Delays count from the fault's begin; exposure is what the treatment served then.

    ``delay`` None: nothing was wrong, or it was never rolled back. ``users`` is how many treated
    users were active in the busiest hour of the span. ``took`` is the rollout's own time.
    """

    scenario: str
    seed: int
    by: str
    end: Ending
    step: str | None
    percentage: float
    took: Duration
    began_at: datetime
    fault_at: datetime | None = None
    ended_at: datetime
    fired: Fired | None = None
    delay: Duration | None = None
    queries: int = 0
    errors: int = 0
    users: int = 0
    timeline: tuple[Event, ...] = ()

    @property
    def false_alarm(self) -> bool:
        """Whether traffic was taken away before anything was wrong."""
        early = self.fault_at is None or self.ended_at < self.fault_at
        return self.end is Ending.ROLLED_BACK and early

    def clock(self, at: datetime) -> str:
        """A time as people follow it: ``day 9 14:05``, day 1 being the first; short ones by the second."""
        days = (at.date() - self.began_at.date()).days
        return f"day {days + 1:>2} {at:{'%H:%M:%S' if self.took < _SHORT else '%H:%M'}}"


def outcome_of(state: State, course: Ran, now: datetime, by: str) -> Outcome:
    """Read the outcome off the last state; ``by`` names what carried the rollout out."""
    rollback = state.rollback
    ended_at = (
        (rollback.done_at if rollback else None) or state.paused_at or state.finished_at or now
    )
    fault_at = course.fault_begins()
    common = {
        "scenario": course.scenario.name,
        "seed": course.seed,
        "by": by,
        "end": _ending(state),
        "step": rollback.from_step if rollback else state.step.name if state.step else None,
        "percentage": state.percentage,
        "took": _whole(ended_at - course.begin),
        "began_at": course.begin,
        "fault_at": fault_at,
        "ended_at": ended_at,
        "timeline": state.timeline,
        "fired": _fired(state),
    }
    if fault_at is None or fault_at > ended_at:
        return Outcome.model_validate(common)
    queries, errors, users = course.exposure(fault_at, ended_at)
    delay = _whole(ended_at - fault_at) if rollback else None
    return Outcome.model_validate(
        {**common, "queries": queries, "errors": errors, "users": users, "delay": delay}
    )


def disappointment(outcome: Outcome, expect: Expectation) -> str:
    """Say how the outcome differs from what the scenario expects; empty when it doesn't."""
    if outcome.end is not expect.end:
        return f"ended {outcome.end}, expected {expect.end}"
    if expect.step is not None and outcome.step != expect.step:
        return f"{outcome.end} in {outcome.step}, expected in {expect.step}"
    names = outcome.fired.names if outcome.fired else ()
    if expect.by and not set(names) & set(expect.by):
        return f"decided by {', '.join(names) or 'nothing'}, expected {' or '.join(expect.by)}"
    if outcome.false_alarm and expect.end is Ending.ROLLED_BACK:
        return "rolled back before anything was wrong"
    return ""


def _ending(state: State) -> Ending:
    if state.status is Status.HEALTHY:
        return Ending.HEALTHY
    return Ending.PAUSED if state.status is Status.PAUSED else Ending.ROLLED_BACK


def _fired(state: State) -> Fired | None:
    rollback = state.rollback
    if rollback is None:
        return None
    if rollback.finding is not None:
        names: tuple[str, ...] = (rollback.finding.name,)
        because = rollback.finding.verdict.because
        return Fired(names=names, because=because, kind=rollback.kind)
    step = state.plan.step(rollback.from_step)
    gates = {gate.name for gate in (*step.gates, *step.red_flags)}
    # "because" holds each verdict's sentence, which begins with its gate's name.
    names = tuple(
        sorted(n for n in gates if f"{n} " in rollback.because or f"{n}:" in rollback.because)
    )
    return Fired(names=names, because=rollback.because, kind=rollback.kind)


def _whole(span: timedelta) -> timedelta:
    """To the second: the rehearsal's clock is no finer."""
    return timedelta(seconds=round(span.total_seconds()))
