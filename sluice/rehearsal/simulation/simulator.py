"""The simulator: a random plan and world per seed, run by the pure core with injected failures.

Decisions, transitions, targets, judge and fences are production's; Temporal's part is random. A crash
sends the state through its wire form and repeats the current activity. A write that was preempted,
or whose answer was lost, arrives late. The same seed gives the same trace.
"""

import asyncio
from datetime import datetime, timedelta

from activities.contract.errors import FlagRefusedError
from activities.contract.models import FlagReceipt
from sluice.rehearsal.simulation.generators import chance
from sluice.rehearsal.simulation.invariants import BrokenInvariantError
from sluice.rehearsal.simulation.world import SimulatedWorld, SimulationResult
from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine import escalation, flag_target, transitions
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decide import (
    Decision,
    EnterStep,
    Finish,
    RollBack,
    RunCheck,
    RunChecklist,
    Wait,
    decide,
)
from sluice.rollout.engine.executor import apply_decision
from sluice.rollout.engine.flag_target import DesiredFlag, FlagWrite, next_write
from sluice.rollout.engine.rollback import start_rollback
from sluice.rollout.engine.state import Status
from sluice.rollout.plan.checklist import ItemResult
from sluice.rollout.plan.schema import RolloutPlan

DECISIONS_MAX = 90
INSTANT_DECISIONS_MAX = 40
"""Limit of decisions without a wait between them; more are an endless loop."""
OPERATOR = Command(actor="somebody", reason="drawn")


class Simulation(SimulatedWorld):
    """Simulation of one rollout, decision by decision."""

    async def run(self) -> SimulationResult:
        """Run it to its end; a violation ends it too, and is in the result."""
        try:
            await self._run_to_end()
            self.monitor.check_end(self.state, await self.stored_percentage())
        except BrokenInvariantError as broken:
            self.result.violation = str(broken)
            self.log(f"BROKEN: {broken}")
        self.result.status = str(self.state.status)
        return self.result

    async def _run_to_end(self) -> None:
        at_once = 0
        for number in range(2 * DECISIONS_MAX):
            if self.state.has_ended:
                return
            if number == DECISIONS_MAX:  # a person ends it in any state
                self.apply_command(Verb.ABORT, OPERATOR)
            await self.inject_event()
            decision = decide(self.state, self.now)
            before = self.now
            await self.execute(decision)
            self.monitor.check_store(self.state, await self.stored_percentage(), self.now)
            at_once = at_once + 1 if self.now == before else 0
            if at_once > INSTANT_DECISIONS_MAX:
                raise BrokenInvariantError(f"it spins: {decision}")
        raise BrokenInvariantError(
            f"an aborted rollout did not end within {DECISIONS_MAX} decisions"
        )

    async def execute(self, decision: Decision) -> None:  # noqa: C901  one line for each decision
        state, now = self.state, self.now
        if not isinstance(decision, Wait | RunCheck):
            self.log(f"{type(decision).__name__} {getattr(decision, 'reason', '')}".rstrip())
        if apply_decision(state, now, decision):
            return
        match decision:
            case EnterStep():
                await self.enter_step()
            case RunCheck():
                self.run_check()
            case RunChecklist(items=items):
                reading_fields = (
                    ItemResult(item=i.name, passed=True, reason="well", at=now) for i in items
                )
                transitions.record_item_results(state, now, tuple(reading_fields))
            case RollBack():
                await self.roll_back(decision)
            case Finish(status=status):
                await self.finish(status)
            case Wait(until=until):
                await self.wait(until)

    def next_write(self, wanted: DesiredFlag, reason: str) -> FlagWrite:
        return next_write(self.state, wanted, "sluice", reason)

    async def write_flag(self, write: FlagWrite, *, entering_step: bool) -> FlagReceipt:
        """Write the flag; the answer may be lost, and an older attempt may arrive later."""
        before = await self.stored_percentage()
        receipt = await self.apply(write)
        self.landed = write.sequence
        if self.fault_occurs():
            self.log(f"the answer to write {write.sequence} is lost; it is repeated")
            receipt = await self.apply(write)
        if self.fault_occurs():
            self.late_writes.append(write)
        self.monitor.check_write(
            self.state, before, await self.stored_percentage(), entering_step=entering_step
        )
        return receipt

    async def enter_step(self) -> None:
        step = self.state.step
        assert step is not None  # noqa: S101  decide() enters only steps
        write = self.next_write(flag_target.flag_for_step(self.state, step), step.title)
        if self.fault_occurs():  # a preempted write, which may arrive late
            self.late_writes.append(write)
            self.log(f"write {write.sequence} is dropped for an emergency")
            self.apply_command(Verb.ROLLBACK, OPERATOR.model_copy(update={"emergency": True}))
            return
        try:
            receipt = await self.write_flag(write, entering_step=True)
        except FlagRefusedError as refused:
            transitions.pause(self.state, self.now, f"cannot start {step.title}: {refused}")
            return
        transitions.enter_step(self.state, self.now, receipt.percentage)
        self.failure_counts, self.differs = {}, 0

    async def roll_back(self, decision: RollBack) -> None:
        state, by = self.state, Command(actor="sluice", reason=decision.reason)
        asked = state.rollback
        if asked is None or asked.completed_at is not None:
            asked = start_rollback(state, self.now, decision.kind, by)
        write = self.next_write(flag_target.flag_for_rollback(state, asked), decision.reason)
        if self.fault_occurs():  # the store is unreachable: retry until it answers
            self.now += timedelta(seconds=5)
            self.late_writes.append(write)
            self.log("the store does not answer; again")
            return
        try:
            receipt = await self.write_flag(write, entering_step=False)
        except FlagRefusedError as refused:
            raise BrokenInvariantError(f"a rollback is refused permanently: {refused}") from refused
        transitions.complete_rollback(state, self.now, receipt.percentage, receipt.version)
        self.failure_counts, self.differs = {}, 0
        if chance(self.rng, 0.9):
            transitions.confirm_rollback(state, self.now, "drawn")

    async def finish(self, status: Status) -> None:
        if status is Status.ABORTED:
            write = self.next_write(flag_target.flag_at_zero(self.state, kill=False), "aborted")
            self.state.percentage = (await self.write_flag(write, entering_step=False)).percentage
            escalation.confirm_abort(self.state, self.now, "drawn")
        transitions.finish(self.state, self.now, status, "report.md")

    def run_check(self) -> None:
        """Measure and judge; the activity may fail, or run again on another worker."""
        state, live = self.state, self.state.step_started_at is not None
        step = state.step_under_check
        assert step is not None  # noqa: S101  decide() checks only what is live
        failed = self.fault_occurs(0.5)
        verdicts = tuple(
            _error_verdict(gate) if failed else self.judge_gate(gate) for gate in step.gates
        )
        check = Check(
            id=f"{step.name}/{state.check_count}", at=self.now, step=step.name, verdicts=verdicts
        )
        self.log(f"check of {step.name}: {check.outcome} ({self.health})")
        if not live:
            transitions.record_waiting_check(state, self.now, check)
            return
        self.monitor.record_check(step, healthy=not failed and self.is_healthy(step))
        transitions.record_check(
            state, self.now, check, self.baseline_readings(step) if not failed else {}
        )

    async def wait(self, until: datetime | None) -> None:
        """Advance the time; the watch polls every few minutes and may return a finding."""
        end = until or self.now + timedelta(minutes=self.rng.randint(5, 90))
        while self.now < end:
            self.now = min(end, self.now + self.plan.watch_interval)
            if await self.poll_watch():
                return
            if self.fault_occurs(0.3):
                return  # an event came first


def _error_verdict(gate: Gate) -> Verdict:
    because = f"{gate.name}: the check could not be made"
    return Verdict(gate=gate.name, outcome=Outcome.ERROR, reason=because, severity=gate.severity)


def simulate(seed: int, plan: RolloutPlan | None = None) -> SimulationResult:
    """Simulate one seed to its end."""
    return asyncio.run(Simulation(seed, plan).run())
