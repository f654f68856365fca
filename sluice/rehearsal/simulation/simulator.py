"""The simulator: a random plan and world per seed, run by the pure core with injected failures.

Decisions, transitions, targets, judge and fences are production's; Temporal's part is random. A crash
sends the state through its wire form and repeats the current activity. A write that was preempted,
or whose answer was lost, arrives late. The same seed gives the same trace.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NoReturn

from activities.contract.errors import FlagRefusedError
from sluice.rehearsal.simulation.generators import chance, random_command
from sluice.rehearsal.simulation.invariants import BrokenInvariantError
from sluice.rehearsal.simulation.world import SimulatedWorld, SimulationResult
from sluice.rollout.analysis.verdict import Check
from sluice.rollout.engine import transitions
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decide import Decision, RollBack, RunCheck, Wait, decide
from sluice.rollout.engine.executor import execute
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.engine.state import Status
from sluice.rollout.engine.world import CheckRequest, CheckResult, WorldError
from sluice.rollout.plan.checklist import ChecklistItem, ItemResult
from sluice.rollout.plan.schema import RolloutPlan, Step

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
            if number >= DECISIONS_MAX and self.state.abort is None:
                # A person ends it in any state, and again where a reset took the abort back.
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

    async def execute(self, decision: Decision) -> None:
        """Carry one decision out; whether the processes confirm a rollback is drawn."""
        if not isinstance(decision, Wait | RunCheck):
            self.log(f"{type(decision).__name__} {getattr(decision, 'reason', '')}".rstrip())
        with suppress(_DroppedWriteError):
            await execute(self.state, lambda: self.now, decision, self)
        rollback = self.state.rollback if isinstance(decision, RollBack) else None
        if rollback is not None and rollback.completed_at and chance(self.rng, 0.9):
            transitions.confirm_rollback(self.state, self.now, rollback, "drawn")

    async def write(self, write: FlagWrite) -> FlagReceipt:
        """Write the flag; the write may be dropped, and then land late."""
        if self.now < self.writes_refused_until:
            self.now += timedelta(minutes=5)
            self.log(f"the store refuses write {write.sequence}; again")
            raise _DroppedWriteError
        if self.state.abort is None and self.fault_occurs():
            self._drop(write)
        try:
            receipt = await self._apply_twice(write)
        except FlagRefusedError as refused:
            if write.is_rollback:
                raise BrokenInvariantError(f"a rollback is refused for good: {refused}") from None
            raise WorldError(str(refused)) from refused
        self.failure_runs, self.drift_count, self.verdict_times = {}, 0, {}
        return receipt

    def _drop(self, write: FlagWrite) -> NoReturn:
        self.late_writes.append(write)
        if write.is_rollback:  # it is tried until it is done
            self.now += timedelta(seconds=5)
            self.log("the store does not answer; again")
        else:
            self.log(f"write {write.sequence} is dropped for an emergency")
            self.apply_command(Verb.ROLLBACK, OPERATOR.model_copy(update={"emergency": True}))
        raise _DroppedWriteError

    async def _apply_twice(self, write: FlagWrite) -> FlagReceipt:
        """Apply a write; its answer may be lost, and an older attempt of it may land later."""
        before = await self.stored_percentage()
        receipt = await self.apply(write)
        self.last_sequence = max(self.last_sequence, write.sequence)
        if self.fault_occurs():
            self.log(f"the answer to write {write.sequence} is lost; it is repeated")
            receipt = await self.apply(write)
        if self.fault_occurs():
            self.late_writes.append(write)
        after = await self.stored_percentage()
        self.monitor.check_write(self.state, before, after, entering_step=not write.is_rollback)
        return receipt

    async def check(self, request: CheckRequest) -> CheckResult:
        """Measure and judge; or the activity failed for good."""
        step, is_failing = self.plan.step(request.step), self.fault_occurs(0.5)
        if self.state.is_live:
            self.monitor.record_check(step, healthy=not is_failing and self.is_healthy(step))
        if self.fault_occurs(0.2):  # its answer comes when something else is under way
            self.apply_command(*random_command(self.rng, self.state))
        if is_failing:
            self.log(f"the check of {step.name} fails")
            raise WorldError("the worker dies")
        verdicts = tuple(self.judge_gate(gate) for gate in request.gates)
        check = Check(id=request.id, at=request.at, step=request.step, verdicts=verdicts)
        self.log(f"check of {step.name}: {check.outcome} ({self.health})")
        return CheckResult(check=check, baseline=self.baseline_readings(request.baseline_gates))

    async def run_checklist(
        self, step: Step, items: tuple[ChecklistItem, ...]
    ) -> tuple[ItemResult, ...]:
        """Pass every item."""
        return tuple(
            ItemResult(item=item.name, passed=True, reason="well", at=self.now) for item in items
        )

    async def confirm(self, receipt: FlagReceipt) -> str:
        """Confirm at once."""
        return "drawn"

    async def report(self, status: Status) -> str:
        """Write no report."""
        return "report.md"

    async def wait(self, until: datetime | None, reason: str) -> None:
        """Let time pass until then; the watch polls every few minutes, and may end the wait."""
        end = until or self.now + timedelta(minutes=self.rng.randint(5, 90))
        while self.now < end:
            self.now = min(end, self.now + self.plan.watch_interval)
            if await self.poll_watch():
                return
            if self.fault_occurs(0.3):
                return  # an event came first


class _DroppedWriteError(Exception):
    """A write was dropped; it may land late."""


def simulate(seed: int, plan: RolloutPlan | None = None) -> SimulationResult:
    """Simulate one seed to its end."""
    return asyncio.run(Simulation(seed, plan).run())
