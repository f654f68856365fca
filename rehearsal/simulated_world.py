"""The world of a simulated rollout: its store, its readings, its people, and all that goes wrong."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from activities.errors import FlagRefusedError
from activities.memory_flags import MemoryFlags
from activities.models import FlagReceipt, FlagTarget, WatchRequest
from activities.watch import counted
from activities.watch_flag import flag_finding
from rehearsal.drawn import HEALTHS, drawn_plan, likely, read
from rehearsal.drawn_people import drawn_command
from rehearsal.invariants import BrokenInvariantError, Monitor
from rollout import moves
from rollout.commands import Command, Verb
from rollout.decide import (
    Wait,
    decide,
)
from rollout.gate import Gate, GateKind
from rollout.judge import judge
from rollout.permit import refusal
from rollout.plan import RolloutPlan, Step
from rollout.reading import Measured, Reading
from rollout.rolling_back import reverted
from rollout.state import Finding, State
from rollout.verdict import Outcome, Verdict

BEGIN = datetime(2024, 1, 1, 8, tzinfo=UTC)
DECISIONS_MAX = 90
AT_ONCE_MAX = 40
"""Decisions without any waiting between them: more is a loop that would spin for ever."""
PERSON = Command(actor="somebody", reason="drawn")


@dataclass
class Simulated:
    """What became of one seed; ``broken`` names the rule that did not hold."""

    seed: int
    trail: list[str] = field(default_factory=list)
    status: str = ""
    broken: str = ""


class World:
    """A rollout's state and everything around it, drawn from one seed."""

    def __init__(self, seed: int, plan: RolloutPlan | None = None) -> None:
        self.rng = Random(seed)  # noqa: S311  no secret: a seed must give the same again
        self.plan = plan or drawn_plan(self.rng)
        self.now = BEGIN
        self.state = State(rollout_id="r", run_id="run", plan=self.plan, started_at=BEGIN)
        self.monitor = Monitor(self.plan)
        self.flags, self.health = MemoryFlags(), "well"
        self.late: list[FlagTarget] = []
        self.landed = 0
        self.failures: dict[str, int] = {}
        self.differs = 0
        self._flag: tuple[FlagReceipt | None] | None = None
        self.result = Simulated(seed)
        self.trouble = self.rng.choice([0.02, 0.1, 0.3])

    def say(self, text: str) -> None:
        since = self.now - BEGIN
        self.result.trail.append(f"{since}  {self.state.percentage:g} %  {text}")

    def chance(self, scale: float = 1.0) -> bool:
        return self.rng.random() < self.trouble * scale

    async def stored(self) -> float:
        """The percentage that the store holds; 0 without a flag, or of one that was killed."""
        found = await self.flag()
        return 0.0 if found is None or found.killed else found.percentage

    async def flag(self) -> FlagReceipt | None:
        """The flag in the store, read again only when it may have changed."""
        if self._flag is None:
            self._flag = (await self.flags.read(self.plan.environment, self.plan.flag),)
        return self._flag[0]

    async def apply(self, write: FlagTarget) -> FlagReceipt:
        self._flag = None
        return await self.flags.apply(write)

    async def happen(self) -> None:
        """Between two decisions: crashes, late writes, weather, and people."""
        if self.chance(0.3):
            self.crash()
        if self.late and self.chance(2):
            await self.land_late()
        if self.chance(0.7):
            self.health = self.rng.choice([*HEALTHS, *["well"] * 8])
            self.say(f"the world is {self.health}")
        if self.chance(0.15):
            await self.by_hand()
        if self.chance() or (isinstance(decide(self.state, self.now), Wait) and self.chance(3)):
            self.command(*drawn_command(self.rng, self.state))
        self.revert()

    def crash(self) -> None:
        """The worker dies: what is left is what Temporal has, the state on the wire."""
        copy = State.model_validate_json(self.state.model_dump_json())
        if copy != self.state or decide(copy, self.now) != decide(self.state, self.now):
            raise BrokenInvariantError("the state is another after its wire form")
        self.state, self.failures, self.differs = copy, {}, 0
        self.say("the worker dies; another goes on")

    async def land_late(self) -> None:
        """An old attempt's write reaches the store at last: it must not raise anything."""
        write = self.late.pop(self.rng.randrange(len(self.late)))
        before = await self.stored()
        try:
            await self.apply(write)
        except FlagRefusedError:
            self.say(f"write {write.sequence} comes late and is refused")
            return
        after = await self.stored()
        self.say(f"write {write.sequence} comes late: {before:g} to {after:g} %")
        if write.sequence < self.landed and after > before:
            raise BrokenInvariantError(f"a late write raised {before:g} to {after:g} %")

    async def by_hand(self) -> None:
        """Somebody kills the flag, or sets it, at the store."""
        flags, flag = self.flags.environment(self.plan.environment), self.plan.flag
        if flag not in (await flags.document()).flags:
            return
        self._flag = None
        if likely(self.rng, 0.5):
            await flags.kill(flag)
            self.say("a person kills the flag at the store")
        elif not (await flags.get_flag(flag)).killed:
            percentage = self.rng.choice([0, 1, 80])
            self.monitor.tampered = True
            await flags.set_rollout_percentage(flag, percentage)
            self.say(f"a person sets the flag to {percentage} % at the store")

    def command(self, verb: Verb, command: Command) -> None:
        if refused := refusal(self.state, verb, command, self.now):
            self.say(f"{command.actor} says {verb}: refused, {refused[:70]}")
            return
        self.say(f"{command.actor} says {verb}")
        self.monitor.commanded(verb, command)
        moves.taken(self.state, self.now, verb, command)

    def revert(self) -> None:
        code, rollback = self.state.code, self.state.rollback
        if code and code.confirmed_by and not code.outcome and rollback and rollback.done_at:
            outcome = self.rng.choice(["reverted", "conflict", "failed"])
            reverted(self.state, self.now, outcome, "drawn")

    def is_well(self, step: Step) -> bool:
        """The world's truth: every metric that the step's gates ask for is measured, and well."""
        told = HEALTHS[self.health]
        spoilt = {"error", "stale", "samples"} & told.keys()
        return not spoilt and not told.keys() & {gate.metric for gate in step.gates}

    def baseline(self, step: Step) -> dict[str, Reading]:
        if not step.record_baseline:
            return {}
        readings = [self.reading(gate) for gate in self.plan.baselines]
        return {one.metric: one for one in readings if one.usable}

    def reading(self, gate: Gate) -> Reading:
        return read(self.health, Reading(metric=gate.metric, cohort=gate.cohort, at=self.now))

    def judged(self, gate: Gate) -> Verdict:
        assert gate.kind is GateKind.ABSOLUTE  # noqa: S101  drawn plans have no others
        return judge(gate, self.plan.metrics[gate.metric], Measured(reading=self.reading(gate)))

    async def watched(self) -> bool:
        state, step = self.state, self.state.exposed_step
        if step is None or state.finding or state.aborted_by:
            return False
        flags = [gate for gate in step.red_flags if gate.name not in state.noted]
        verdicts = tuple(self.judged(gate) for gate in flags)
        self.failures = counted(self.failures, verdicts)
        found = [
            Finding(name=g.name, kind="red_flag", verdict=v, gate=g, seen_at=self.now)
            for g, v in zip(flags, verdicts, strict=True)
            if v.outcome is Outcome.FAILED and self.failures.get(g.name, 0) >= g.consecutive
        ]
        if (flag := await self.flag_finding(step)) is not None:
            found.append(flag)
        if not found:
            return False
        worst = min(found, key=lambda one: one.verdict.severity)
        self.say(f"red flag {worst.verdict.severity}: {worst.verdict.because}")
        self.monitor.found(worst, state, self.now)
        moves.found(state, self.now, worst)
        self.failures = {}
        return True

    async def flag_finding(self, step: Step) -> Finding | None:
        """As the watch sees the flag: killed at once, a difference when it lasts."""
        index = self.plan.index(step.name)
        ours = any(one.percentage is not None for one in self.plan.steps[: index + 1])
        if not ours or step.delete_flag:
            return None
        stored, wanted = await self.flag(), self.state.percentage
        if stored is not None and not stored.killed and stored.percentage == wanted:
            self.differs = 0
            return None
        request = self.watch_request(step, wanted)
        finding = flag_finding(request, stored, self.now)
        self.differs = self.differs + 1 if finding else 0
        if finding is None or finding.name in self.state.noted:
            return None
        return finding if finding.kind == "killed" or self.differs > 1 else None

    def watch_request(self, step: Step, percentage: float) -> WatchRequest:
        """What the watch of the step is told."""
        return WatchRequest(
            rollout_id=self.state.rollout_id,
            step=step.name,
            environment=self.plan.environment,
            flag=self.plan.flag,
            percentage=percentage,
            interval_seconds=self.plan.watch_interval.total_seconds(),
            metrics=self.plan.metrics,
            red_flags=step.red_flags,
            baseline={},
        )
