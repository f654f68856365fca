"""A rollout walked by the pure core alone: the same decisions on the same readings, no Temporal.

For many seeds (``--runs``): the workflow's commands, retries and histories cost a rehearsal more
than its judgement. ``tests/integration/test_rehearsal.py`` holds both to the same outcome.
"""

from datetime import datetime, timedelta

from activities.measure import usable_baseline
from activities.sampling import Known, Sampler
from rehearsal.ahead import next_breach
from rehearsal.course import Course
from rehearsal.errors import NotRehearsableError
from rehearsal.guarded import Guarded
from rehearsal.pace import horizon
from rehearsal.person import MINUTE, is_over, wanted
from rehearsal.ports import RecordedMetrics
from rollout import moves, waiting
from rollout.checklist import Answer
from rollout.commands import Command
from rollout.decide import (
    CheckNow,
    Enter,
    Finish,
    LookThrough,
    RollBack,
    Wait,
    decide,
)
from rollout.exposure import exposure, keep
from rollout.plan import Step
from rollout.settle import settle
from rollout.state import Finding, State
from rollout.target import to_enter, to_roll_back
from rollout.verdict import Check

STEPS_MAX = 100_000
SECONDS_MAX = 60.0


class Walk:
    """One rollout from its start to where only a person could go on."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self.now = course.begin
        self.state = State(
            rollout_id="walk", run_id="walk", plan=course.plan, started_at=course.begin
        )

    async def to_the_end(self) -> State:
        for _ in range(STEPS_MAX):
            if is_over(self.state):
                return self.state
            if (command := wanted(self.state, self.now)) is not None:
                moves.taken(self.state, self.now, *command)
            await self._do()
        raise NotRehearsableError(f"the rollout did not end within {STEPS_MAX} decisions")

    async def _do(self) -> None:
        state, now = self.state, self.now
        decision = decide(state, now)
        if settle(state, now, decision):
            return
        match decision:
            case Enter():
                self._enter()
            case CheckNow():
                await self._check()
            case LookThrough(items=items):
                answers = (Answer(item=i.name, passed=True, because="well", at=now) for i in items)
                waiting.answered(state, now, tuple(answers))
            case RollBack() as rollback:
                self._roll_back(rollback)
            case Finish(status=status):
                moves.finished(state, now, status, "")
            case Wait(until=until):
                await self._wait(until)
            case other:
                raise NotRehearsableError(f"--runs can't do {type(other).__name__} yet")

    def _enter(self) -> None:
        step = self.state.plan.steps[self.state.step_index]
        self._course.enter(self.state.step_index, self.now)
        percentage = to_enter(self.state, step).percentage
        kept = self.state.percentage
        moves.entered(self.state, self.now, kept if percentage is None else percentage)

    def _roll_back(self, decision: RollBack) -> None:
        by = Command(actor="sluice", reason=decision.because)
        rollback = moves.ask_rollback(self.state, self.now, decision.kind, by)
        moves.rolled_back(self.state, self.now, to_roll_back(self.state, rollback).percentage or 0)

    async def _check(self) -> None:
        state, now, live = self.state, self.now, self.state.step_started_at is not None
        step = state.checked_step
        assert step is not None  # noqa: S101  decide() asks for a check only where there is one
        sampler = self._sampler(step, "gates")
        verdicts = await sampler.verdicts(step.gates)
        check = Check(id=f"{step.name}/{state.checks}", at=now, step=step.name, verdicts=verdicts)
        if not live:
            waiting.looked_again(state, now, check)
            return
        baselines = state.plan.baselines if step.record_baseline else ()
        readings = await sampler.readings(baselines)
        keep(state, "gates", sampler.tracks)
        moves.checked(state, now, check, usable_baseline(baselines, readings))

    def _sampler(self, step: Step, place: str) -> Sampler:
        plan = self.state.plan
        around = exposure(self.state, "gates" if place == "gates" else "red_flags", step)
        known = Known(plan.metrics, self.state.baseline, around, plan.stale_after)
        return Sampler(RecordedMetrics(self._course), self.now, known, SECONDS_MAX)

    async def _wait(self, until: datetime | None) -> None:
        """Let time pass until then, or until a red flag fires."""
        step = self.state.exposed_step
        later = until or self.now + MINUTE
        while step is not None and step.red_flags and self.now < later:
            end = min(later, self.now + horizon(self._course.plan))
            breach = next_breach(self._course, self._guarded(step), self.now, end)
            keep(self.state, "red_flags", breach.tracks)
            self.now = max(breach.at, self.now + timedelta(seconds=1))
            if breach.names and await self._found(step, breach.names[0]):
                return
        self.now = max(self.now, later)

    def _guarded(self, step: Step) -> Guarded:
        state = self.state
        flags = tuple(gate for gate in step.red_flags if gate.name not in state.noted)
        interval = state.plan.watch_interval.total_seconds()
        around = exposure(state, "red_flags", step)
        return Guarded(flags, state.plan.metrics, state.baseline, interval, around)

    async def _found(self, step: Step, name: str) -> bool:
        gate = next(one for one in step.red_flags if one.name == name)
        (verdict,) = await self._sampler(step, "red_flags").verdicts((gate,))
        if verdict.outcome != "Failed":
            return False
        finding = Finding(name=name, kind="red_flag", verdict=verdict, gate=gate, seen_at=self.now)
        moves.found(self.state, self.now, finding)
        return True
