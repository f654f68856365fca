"""The world of a simulated rollout: store, readings, people and failures."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from activities.contract.errors import FlagRefusedError
from activities.contract.models import WatchRequest
from activities.doubles.flags import MemoryFlags
from activities.measuring.blindness import BLIND, blind_finding, update_verdict_times
from activities.measuring.flag_drift import flag_finding
from sluice.rehearsal.simulation.generators import (
    HEALTH_STATES,
    chance,
    random_command,
    random_plan,
    simulate_reading,
)
from sluice.rehearsal.simulation.invariants import BrokenInvariantError, InvariantMonitor
from sluice.rehearsal.simulation.second_plan import SecondPlan
from sluice.rollout.analysis.failure_runs import FailureRun, is_lasting, update_failure_runs
from sluice.rollout.analysis.gate import Gate, GateKind
from sluice.rollout.analysis.judge import judge
from sluice.rollout.analysis.reading import GateReadings, Reading
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine import transitions
from sluice.rollout.engine.admission import rejection_reason
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decide import Wait, decide
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.engine.state import Finding, State
from sluice.rollout.engine.transitions.rollbacks import RevertOutcome, record_revert
from sluice.rollout.plan.schema import RolloutPlan, Step

BEGIN = datetime(2024, 1, 1, 8, tzinfo=UTC)


@dataclass
class SimulationResult:
    """The result of one seed; ``violation`` names the violated invariant."""

    seed: int
    trace: list[str] = field(default_factory=list)
    status: str = ""
    violation: str = ""


class SimulatedWorld:
    """A rollout's state and its random environment, from one seed."""

    def __init__(self, seed: int, plan: RolloutPlan | None = None) -> None:
        self.rng = Random(seed)  # noqa: S311  no secret: a seed must give the same again
        self.plan = plan or random_plan(self.rng)
        self.now = BEGIN
        self.state = State(rollout_id="r", run_id="run", plan=self.plan, started_at=BEGIN)
        self.monitor = InvariantMonitor(self.plan)
        self.flags, self.health = MemoryFlags(), "well"
        self.late_writes: list[FlagWrite] = []
        self.last_sequence = 0
        self.failure_runs: dict[str, FailureRun] = {}
        self.drift_count = 0
        self.verdict_times: dict[str, datetime] = {}
        self.writes_refused_until = BEGIN
        self._past_states: list[str] = []
        self._second_plan = SecondPlan(self.flags, self.plan)
        self._cached_flag: tuple[FlagReceipt | None] | None = None
        self.result = SimulationResult(seed)
        self.fault_rate = self.rng.choice([0.02, 0.1, 0.3])

    def log(self, text: str) -> None:
        since = self.now - BEGIN
        self.result.trace.append(f"{since}  {self.state.percentage:g} %  {text}")

    def fault_occurs(self, scale: float = 1.0) -> bool:
        return self.rng.random() < self.fault_rate * scale

    async def stored_percentage(self) -> float:
        """Return the stored percentage; 0 for a missing or killed flag."""
        stored = await self.read_flag()
        return 0.0 if stored is None or stored.killed else stored.percentage

    async def read_flag(self) -> FlagReceipt | None:
        """Return the stored flag, read again only after a change."""
        if self._cached_flag is None:
            self._cached_flag = (await self.flags.read(self.plan.environment, self.plan.flag),)
        return self._cached_flag[0]

    async def apply(self, write: FlagWrite) -> FlagReceipt:
        self._cached_flag = None
        return await self.flags.apply(write)

    async def inject_event(self) -> None:
        """Inject crashes, late writes, health changes and commands between two decisions."""
        if self.fault_occurs(0.3):
            self.crash_worker()
        if self.late_writes and self.now >= self.writes_refused_until and self.fault_occurs(2):
            await self.deliver_late_write()
        if self.fault_occurs(0.7):
            self.health = self.rng.choice([*HEALTH_STATES, *["well"] * 8])
            self.log(f"the world is {self.health}")
        if self.fault_occurs(0.15):
            await self.manual_flag_write()
        await self.inject_outage()
        if self.fault_occurs() or (
            isinstance(decide(self.state, self.now), Wait) and self.fault_occurs(3)
        ):
            self.apply_command(*random_command(self.rng, self.state))
        self.finish_revert()

    async def inject_outage(self) -> None:
        """Inject what is rare: a reset, a store that refuses writes, a second plan."""
        if self.fault_occurs(0.1):
            self._past_states.append(self.state.model_dump_json())
        elif self._past_states and self.fault_occurs(0.1):
            self.reset_workflow()
        if self.fault_occurs(0.1):
            self.writes_refused_until = self.now + timedelta(minutes=self.rng.randint(1, 60))
            self.monitor.writes_refused_until = self.writes_refused_until
            self.log(f"the store refuses writes until {self.writes_refused_until:%H:%M}")
        if self.fault_occurs(0.1):
            self.log(await self._second_plan.switch())

    def reset_workflow(self) -> None:
        """Reset the workflow to an earlier state; the store keeps what the lost future wrote."""
        self.state = State.model_validate_json(self.rng.choice(self._past_states))
        self.failure_runs, self.drift_count, self.verdict_times = {}, 0, {}
        self.monitor.record_reset(self.now)
        self.log(f"the workflow is reset to write {self.state.sequence}")

    def crash_worker(self) -> None:
        """Crash the worker: only the state in its wire form remains."""
        copy = State.model_validate_json(self.state.model_dump_json())
        if copy != self.state or decide(copy, self.now) != decide(self.state, self.now):
            raise BrokenInvariantError("the state changed through its wire form")
        self.state, self.failure_runs, self.drift_count = copy, {}, 0
        self.verdict_times = {}
        self.log("the worker dies; another continues")

    async def deliver_late_write(self) -> None:
        """Deliver an old attempt's write, which must not raise traffic."""
        write = self.late_writes.pop(self.rng.randrange(len(self.late_writes)))
        before = await self.stored_percentage()
        try:
            await self.apply(write)
        except FlagRefusedError:
            self.log(f"write {write.sequence} comes late and is refused")
            return
        after = await self.stored_percentage()
        self.log(f"write {write.sequence} comes late: {before:g} to {after:g} %")
        if write.sequence < self.last_sequence and after > before:
            raise BrokenInvariantError(f"a late write raised {before:g} to {after:g} %")

    async def manual_flag_write(self) -> None:
        """Kill or set the flag in the store, by hand."""
        flags, flag = self.flags.environment(self.plan.environment), self.plan.flag
        if self.now < self.writes_refused_until or flag not in (await flags.document()).flags:
            return
        self._cached_flag = None
        if chance(self.rng, 0.5):
            await flags.kill(flag)
            self.log("a person kills the flag at the store")
        elif not (await flags.get_flag(flag)).killed:
            percentage = self.rng.choice([0, 1, 80])
            self.monitor.tampered = True
            await flags.set_rollout_percentage(flag, percentage)
            self.log(f"a person sets the flag to {percentage} % at the store")

    def apply_command(self, verb: Verb, command: Command) -> None:
        if refused := rejection_reason(self.state, verb, command, self.now):
            self.log(f"{command.actor} says {verb}: refused, {refused[:70]}")
            return
        self.log(f"{command.actor} says {verb}")
        self.monitor.record_command(verb, command)
        transitions.apply_command(self.state, self.now, verb, command)

    def finish_revert(self) -> None:
        code, rollback = self.state.code_revert, self.state.rollback
        if code and code.confirmed_by and not code.outcome and rollback and rollback.completed_at:
            outcomes: list[RevertOutcome] = ["reverted", "conflict", "failed"]
            outcome = self.rng.choice(outcomes)
            record_revert(self.state, self.now, outcome, "drawn")

    def is_healthy(self, step: Step) -> bool:
        """Return True when every metric of the step's gates is measured and healthy."""
        fields = HEALTH_STATES[self.health]
        spoilt = {"error", "stale", "samples"} & fields.keys()
        return not spoilt and not fields.keys() & {gate.metric for gate in step.gates}

    def baseline_readings(self, gates: tuple[Gate, ...]) -> dict[str, Reading]:
        """Read the metrics of a baseline; what cannot be used is left out."""
        readings = [self.read_gate(gate) for gate in gates]
        return {reading.metric: reading for reading in readings if reading.is_usable}

    def read_gate(self, gate: Gate) -> Reading:
        return simulate_reading(
            self.health, Reading(metric=gate.metric, cohort=gate.cohort, at=self.now)
        )

    def judge_gate(self, gate: Gate) -> Verdict:
        assert gate.kind is GateKind.ABSOLUTE  # noqa: S101  drawn plans have no others
        return judge(
            gate, self.plan.metrics[gate.metric], GateReadings(reading=self.read_gate(gate))
        )

    async def poll_watch(self) -> bool:
        state, step = self.state, self.state.exposed_step
        if step is None or state.red_flags.finding or state.abort:
            return False
        flags = [gate for gate in step.red_flags if gate.name not in state.silent_findings]
        verdicts = tuple(self.judge_gate(gate) for gate in flags)
        self.failure_runs = update_failure_runs(
            self.failure_runs, zip(flags, verdicts, strict=True), self.now
        )
        findings = [
            Finding(name=g.name, kind="red_flag", verdict=v, gate=g, seen_at=self.now)
            for g, v in zip(flags, verdicts, strict=True)
            if v.outcome is Outcome.FAILED and is_lasting(g, self.failure_runs)
        ]
        findings += [
            finding
            for finding in (await self.flag_finding(step), self.blind(flags, verdicts))
            if finding
        ]
        if not findings:
            return False
        worst = min(findings, key=lambda finding: finding.verdict.severity)
        self.log(f"red flag {worst.verdict.severity}: {worst.verdict.reason}")
        self.monitor.record_finding(worst, state, self.now)
        transitions.raise_finding(state, self.now, worst)
        self.failure_runs = {}
        return True

    def blind(self, flags: list[Gate], verdicts: tuple[Verdict, ...]) -> Finding | None:
        """Return the finding of red flags that have had no verdict for too long."""
        self.verdict_times = update_verdict_times(self.verdict_times, verdicts, self.now)
        if BLIND in self.state.silent_findings:
            return None
        limits = self.plan.blind_limit, self.plan.blind_severity
        pairs = zip(flags, verdicts, strict=True)
        return blind_finding(pairs, self.verdict_times, limits, self.now)

    async def flag_finding(self, step: Step) -> Finding | None:
        """Return the watch's finding on the flag: a kill at once, a drift when it lasts."""
        index = self.plan.index(step.name)
        owns_flag = any(
            plan_step.percentage is not None for plan_step in self.plan.steps[: index + 1]
        )
        if not owns_flag or step.delete_flag:
            return None
        stored, expected_percentage = await self.read_flag(), self.state.percentage
        is_ahead = stored is not None and stored.sequence > self.state.sequence
        is_same = (
            stored is not None and not stored.killed and stored.percentage == expected_percentage
        )
        if is_same and not is_ahead:
            self.drift_count = 0
            return None
        request = self.watch_request(step, expected_percentage)
        finding = flag_finding(request, stored, self.now)
        self.drift_count = self.drift_count + 1 if finding else 0
        if finding is None or finding.name in self.state.silent_findings:
            return None
        return finding if finding.kind == "killed" or self.drift_count > 1 else None

    def watch_request(self, step: Step, percentage: float) -> WatchRequest:
        """Build the input of the step's watch."""
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
            run_id=self.state.run_id,
            sequence=self.state.sequence,
        )
