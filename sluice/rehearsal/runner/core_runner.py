"""The core runner: a rollout by the pure core alone, on the same readings, without Temporal.

It serves many seeds (``--runs``), for which Temporal would take most of the time.
``tests/integration/rehearsal/test_rehearsal.py`` compares its results with the workflow's.
"""

from datetime import datetime, timedelta

from activities.measuring.gate_evaluator import EvaluationContext, GateEvaluator, usable_baseline
from sluice.rehearsal.errors import NotRehearsableError
from sluice.rehearsal.lookahead.lookahead import next_breach
from sluice.rehearsal.lookahead.watch_spec import WatchSpec
from sluice.rehearsal.runner.adapters import RecordedMetrics
from sluice.rehearsal.runner.auto_approver import MINUTE, needs_real_person, next_command
from sluice.rehearsal.ticks import lookahead_span
from sluice.rehearsal.timeline.timeline import Timeline
from sluice.rollout.analysis.verdict import Check
from sluice.rollout.engine import transitions
from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.decide import (
    EnterStep,
    Finish,
    RollBack,
    RunCheck,
    RunChecklist,
    Wait,
    decide,
)
from sluice.rollout.engine.evidence_context import build_evidence_context, merge_evidence
from sluice.rollout.engine.executor import apply_decision
from sluice.rollout.engine.flag_target import flag_for_rollback, flag_for_step
from sluice.rollout.engine.rollback import start_rollback
from sluice.rollout.engine.state import Finding, State
from sluice.rollout.plan.checklist import ItemResult
from sluice.rollout.plan.schema import Step

DECISIONS_MAX = 100_000
QUERY_SECONDS_MAX = 60.0


class CoreRunner:
    """Runner of one rollout, until only a person could continue."""

    def __init__(self, course: Timeline) -> None:
        self._timeline = course
        self.now = course.begin
        self.state = State(
            rollout_id="core-run", run_id="core-run", plan=course.plan, started_at=course.begin
        )

    async def run(self) -> State:
        for _ in range(DECISIONS_MAX):
            if needs_real_person(self.state):
                return self.state
            if (command := next_command(self.state, self.now)) is not None:
                transitions.apply_command(self.state, self.now, *command)
            await self._execute_next()
        raise NotRehearsableError(f"the rollout did not end within {DECISIONS_MAX} decisions")

    async def _execute_next(self) -> None:
        state, now = self.state, self.now
        decision = decide(state, now)
        if apply_decision(state, now, decision):
            return
        match decision:
            case EnterStep():
                self._enter_step()
            case RunCheck():
                await self._check()
            case RunChecklist(items=items):
                answers = (
                    ItemResult(item=i.name, passed=True, reason="well", at=now) for i in items
                )
                transitions.record_item_results(state, now, tuple(answers))
            case RollBack() as rollback:
                self._roll_back(rollback)
            case Finish(status=status):
                transitions.finish(state, now, status, "")
            case Wait(until=until):
                await self._wait(until)
            case other:
                raise NotRehearsableError(f"--runs does not support {type(other).__name__}")

    def _enter_step(self) -> None:
        step = self.state.plan.steps[self.state.step_index]
        self._timeline.enter_step(self.state.step_index, self.now)
        percentage = flag_for_step(self.state, step).percentage
        kept = self.state.percentage
        transitions.enter_step(self.state, self.now, kept if percentage is None else percentage)

    def _roll_back(self, decision: RollBack) -> None:
        by = Command(actor="sluice", reason=decision.reason)
        rollback = start_rollback(self.state, self.now, decision.kind, by)
        transitions.complete_rollback(
            self.state, self.now, flag_for_rollback(self.state, rollback).percentage or 0
        )

    async def _check(self) -> None:
        state, now, live = self.state, self.now, self.state.step_started_at is not None
        step = state.step_under_check
        assert step is not None  # noqa: S101  decide() asks for a check only where there is one
        sampler = self._gate_evaluator(step, "gates")
        verdicts = await sampler.evaluate(step.gates)
        check = Check(
            id=f"{step.name}/{state.check_count}", at=now, step=step.name, verdicts=verdicts
        )
        if not live:
            transitions.record_waiting_check(state, now, check)
            return
        baselines = state.plan.baselines if step.record_baseline else ()
        readings = await sampler.measure(baselines)
        merge_evidence(state, "gates", sampler.sequential_states)
        transitions.record_check(state, now, check, usable_baseline(baselines, readings))

    def _gate_evaluator(self, step: Step, place: str) -> GateEvaluator:
        plan = self.state.plan
        around = build_evidence_context(
            self.state, "gates" if place == "gates" else "red_flags", step
        )
        known = EvaluationContext(plan.metrics, self.state.baseline, around, plan.stale_after)
        return GateEvaluator(RecordedMetrics(self._timeline), self.now, known, QUERY_SECONDS_MAX)

    async def _wait(self, until: datetime | None) -> None:
        """Advance the time until then, or until a red flag fires."""
        step = self.state.exposed_step
        later = until or self.now + MINUTE
        while step is not None and step.red_flags and self.now < later:
            end = min(later, self.now + lookahead_span(self._timeline.plan))
            breach = next_breach(self._timeline, self._watch_spec(step), self.now, end)
            merge_evidence(self.state, "red_flags", breach.tracks)
            self.now = max(breach.at, self.now + timedelta(seconds=1))
            if breach.names and await self._raise_finding(step, breach.names[0]):
                return
        self.now = max(self.now, later)

    def _watch_spec(self, step: Step) -> WatchSpec:
        state = self.state
        flags = tuple(gate for gate in step.red_flags if gate.name not in state.muted_findings)
        interval = state.plan.watch_interval.total_seconds()
        around = build_evidence_context(state, "red_flags", step)
        return WatchSpec(flags, state.plan.metrics, state.baseline, interval, around)

    async def _raise_finding(self, step: Step, name: str) -> bool:
        gate = next(one for one in step.red_flags if one.name == name)
        (verdict,) = await self._gate_evaluator(step, "red_flags").evaluate((gate,))
        if verdict.outcome != "Failed":
            return False
        finding = Finding(name=name, kind="red_flag", verdict=verdict, gate=gate, seen_at=self.now)
        transitions.raise_finding(self.state, self.now, finding)
        return True
