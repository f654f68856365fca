"""One seed: a drawn plan in a drawn world, carried out by the pure core, with all that can go wrong.

The decisions, moves, targets, judge and fences are production's; what Temporal adds is drawn. A crash
takes the state through its wire form and repeats the activity in hand. A write that was dropped for
something more urgent, or whose answer was lost, lands late. The same seed gives the same trail.
"""

import asyncio
from datetime import datetime, timedelta

from activities.errors import FlagRefusedError
from activities.models import FlagReceipt, FlagTarget, fenced
from rehearsal.drawn import likely
from rehearsal.invariants import BrokenInvariantError
from rehearsal.simulated_world import Simulated, World
from rollout import escalation, moves, target, waiting
from rollout.checklist import Answer
from rollout.commands import Command, Verb
from rollout.decide import (
    CheckNow,
    Decision,
    Enter,
    Finish,
    LookThrough,
    RollBack,
    Wait,
    decide,
)
from rollout.gate import Gate
from rollout.plan import RolloutPlan
from rollout.settle import settle
from rollout.state import Status
from rollout.target import Target
from rollout.verdict import Check, Outcome, Verdict

DECISIONS_MAX = 90
AT_ONCE_MAX = 40
"""Decisions without any waiting between them: more is a loop that would spin for ever."""
PERSON = Command(actor="somebody", reason="drawn")


class Simulation(World):
    """One rollout in its world, carried out decision by decision."""

    async def run(self) -> Simulated:
        """Carry it to its end; a broken rule ends it too, and is told in the result."""
        try:
            await self._to_the_end()
            self.monitor.ended(self.state, await self.stored())
        except BrokenInvariantError as broken:
            self.result.broken = str(broken)
            self.say(f"BROKEN: {broken}")
        self.result.status = str(self.state.status)
        return self.result

    async def _to_the_end(self) -> None:
        at_once = 0
        for number in range(2 * DECISIONS_MAX):
            if self.state.ended:
                return
            if number == DECISIONS_MAX:  # whatever it is in: a person ends it
                self.command(Verb.ABORT, PERSON)
            await self.happen()
            decision = decide(self.state, self.now)
            before = self.now
            await self.do(decision)
            self.monitor.looked(self.state, await self.stored(), self.now)
            at_once = at_once + 1 if self.now == before else 0
            if at_once > AT_ONCE_MAX:
                raise BrokenInvariantError(f"it spins: {decision}")
        raise BrokenInvariantError(
            f"an aborted rollout did not end within {DECISIONS_MAX} decisions"
        )

    async def do(self, decision: Decision) -> None:  # noqa: C901  one line for each decision
        state, now = self.state, self.now
        if not isinstance(decision, Wait | CheckNow):
            self.say(f"{type(decision).__name__} {getattr(decision, 'because', '')}".rstrip())
        if settle(state, now, decision):
            return
        match decision:
            case Enter():
                await self.enter()
            case CheckNow():
                self.check()
            case LookThrough(items=items):
                told = (Answer(item=i.name, passed=True, because="well", at=now) for i in items)
                waiting.answered(state, now, tuple(told))
            case RollBack():
                await self.roll_back(decision)
            case Finish(status=status):
                await self.finish(status)
            case Wait(until=until):
                await self.wait(until)

    def fenced(self, wanted: Target, reason: str) -> FlagTarget:
        return fenced(self.state, wanted, "sluice", reason)

    async def write(self, write: FlagTarget, *, raising: bool) -> FlagReceipt:
        """One write; its answer may be lost, and an older attempt of it may land later."""
        before = await self.stored()
        receipt = await self.apply(write)
        self.landed = write.sequence
        if self.chance():
            self.say(f"the answer to write {write.sequence} is lost; it is repeated")
            receipt = await self.apply(write)
        if self.chance():
            self.late.append(write)
        self.monitor.wrote(self.state, before, await self.stored(), raising=raising)
        return receipt

    async def enter(self) -> None:
        step = self.state.step
        assert step is not None  # noqa: S101  decide() enters only steps
        write = self.fenced(target.to_enter(self.state, step), step.title)
        if self.chance():  # something urgent comes first: the write is dropped, and may land late
            self.late.append(write)
            self.say(f"write {write.sequence} is dropped for an emergency")
            self.command(Verb.ROLLBACK, PERSON.model_copy(update={"emergency": True}))
            return
        try:
            receipt = await self.write(write, raising=True)
        except FlagRefusedError as refused:
            moves.paused(self.state, self.now, f"can't start {step.title}: {refused}")
            return
        moves.entered(self.state, self.now, receipt.percentage)
        self.failures, self.differs = {}, 0

    async def roll_back(self, decision: RollBack) -> None:
        state, by = self.state, Command(actor="sluice", reason=decision.because)
        asked = state.rollback
        if asked is None or asked.done_at is not None:
            asked = moves.ask_rollback(state, self.now, decision.kind, by)
        write = self.fenced(target.to_roll_back(state, asked), decision.because)
        if self.chance():  # the store is out of reach: it is tried until it is done
            self.now += timedelta(seconds=5)
            self.late.append(write)
            self.say("the store does not answer; again")
            return
        try:
            receipt = await self.write(write, raising=False)
        except FlagRefusedError as refused:
            raise BrokenInvariantError(f"a rollback is refused for good: {refused}") from refused
        moves.rolled_back(state, self.now, receipt.percentage, receipt.version)
        self.failures, self.differs = {}, 0
        if likely(self.rng, 0.9):
            moves.confirmed(state, self.now, "drawn")

    async def finish(self, status: Status) -> None:
        if status is Status.ABORTED:
            write = self.fenced(target.to_zero(self.state, kill=False), "aborted")
            self.state.percentage = (await self.write(write, raising=False)).percentage
            escalation.zero_confirmed(self.state, self.now, "drawn")
        moves.finished(self.state, self.now, status, "report.md")

    def check(self) -> None:
        """Measure and judge; or the activity failed, or was repeated by another worker."""
        state, live = self.state, self.state.step_started_at is not None
        step = state.checked_step
        assert step is not None  # noqa: S101  decide() checks only what is live
        failed = self.chance(0.5)
        verdicts = tuple(_unmeasured(gate) if failed else self.judged(gate) for gate in step.gates)
        check = Check(
            id=f"{step.name}/{state.checks}", at=self.now, step=step.name, verdicts=verdicts
        )
        self.say(f"check of {step.name}: {check.outcome} ({self.health})")
        if not live:
            waiting.looked_again(state, self.now, check)
            return
        self.monitor.checked(step, well=not failed and self.is_well(step))
        moves.checked(state, self.now, check, self.baseline(step) if not failed else {})

    async def wait(self, until: datetime | None) -> None:
        """Let time pass until then; every few minutes the watch looks, and may come back."""
        end = until or self.now + timedelta(minutes=self.rng.randint(5, 90))
        while self.now < end:
            self.now = min(end, self.now + self.plan.watch_interval)
            if await self.watched():
                return
            if self.chance(0.3):
                return  # something happens meanwhile


def _unmeasured(gate: Gate) -> Verdict:
    because = f"{gate.name}: the check could not be made"
    return Verdict(gate=gate.name, outcome=Outcome.ERROR, because=because, severity=gate.severity)


def simulate(seed: int, plan: RolloutPlan | None = None) -> Simulated:
    """Simulate one seed from beginning to end."""
    return asyncio.run(Simulation(seed, plan).run())
