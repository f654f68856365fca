"""The core runner: a rollout by the pure core alone, on the same readings, without Temporal.

It serves many seeds (``--runs``), for which Temporal would take most of the time.
``tests/integration/rehearsal/test_rehearsal.py`` compares its results with the workflow's.
"""

from datetime import datetime, timedelta

from activities.measuring.blindness import BLIND, blind_finding
from activities.measuring.gate_evaluator import EvaluationContext, GateEvaluator, usable_baseline
from sluice.rehearsal.errors import NotRehearsableError
from sluice.rehearsal.lookahead.lookahead import next_breach
from sluice.rehearsal.lookahead.watch_spec import Breach, WatchSpec
from sluice.rehearsal.runner.adapters import RecordedMetrics
from sluice.rehearsal.runner.auto_approver import MINUTE, ends_rehearsal, next_command
from sluice.rehearsal.ticks import lookahead_span
from sluice.rehearsal.timeline.timeline import Timeline
from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.verdict import Check, Verdict
from sluice.rollout.engine import transitions
from sluice.rollout.engine.decide import decide
from sluice.rollout.engine.evidence_context import build_evidence_context
from sluice.rollout.engine.executor import execute
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.engine.state import Finding, State, Status
from sluice.rollout.engine.world import CheckRequest, CheckResult
from sluice.rollout.plan.checklist import ChecklistItem, ItemResult
from sluice.rollout.plan.schema import Step

DECISIONS_MAX = 100_000
QUERY_SECONDS_MAX = 60.0


class CoreRunner:
    """Runner of one rollout, until only a person could continue."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.now = timeline.begin
        self.state = State(
            rollout_id="core-run", run_id="core-run", plan=timeline.plan, started_at=timeline.begin
        )

    async def run(self) -> State:
        for _ in range(DECISIONS_MAX):
            if ends_rehearsal(self.state):
                return self.state
            if (command := next_command(self.state, self.now)) is not None:
                transitions.apply_command(self.state, self.now, *command)
            await self._execute_next()
        raise NotRehearsableError(f"the rollout did not end within {DECISIONS_MAX} decisions")

    async def _execute_next(self) -> None:
        await execute(self.state, lambda: self.now, decide(self.state, self.now), self)

    async def write(self, write: FlagWrite) -> FlagReceipt:
        """Let the timeline enter the step; the flag itself is not needed."""
        if not write.is_rollback:
            self._timeline.enter_step(self.state.step_index, self.now)
            percentage = write.percentage
            return FlagReceipt(
                percentage=self.state.percentage if percentage is None else percentage
            )
        return FlagReceipt(percentage=write.percentage or 0)

    async def check(self, request: CheckRequest) -> CheckResult:
        """Measure and judge on the recorded metrics."""
        context = EvaluationContext.of_check(request)
        evaluator = self._evaluator(request.at, context)
        verdicts = await evaluator.evaluate(request.gates)
        readings = await evaluator.measure(request.baseline_gates)
        return CheckResult(
            check=Check(id=request.id, at=request.at, step=request.step, verdicts=verdicts),
            baseline=usable_baseline(request.baseline_gates, readings),
            sequential_states=evaluator.sequential_states,
        )

    async def run_checklist(
        self, step: Step, items: tuple[ChecklistItem, ...]
    ) -> tuple[ItemResult, ...]:
        """Pass every item: a rehearsal has no environment to probe."""
        return tuple(
            ItemResult(item=item.name, passed=True, reason="well", at=self.now) for item in items
        )

    async def confirm(self, receipt: FlagReceipt) -> str:
        """Confirm at once: a rehearsal has no router processes."""
        return "0 processes report it"

    async def report(self, status: Status) -> str:
        """Write nothing: the result of the rehearsal is the report."""
        return ""

    def _evaluator(self, at: datetime, context: EvaluationContext) -> GateEvaluator:
        return GateEvaluator(RecordedMetrics(self._timeline), at, context, QUERY_SECONDS_MAX)

    async def wait(self, until: datetime | None, reason: str) -> None:
        """Let time pass until then, or until a red flag fires."""
        step = self.state.exposed_step
        later = until or self.now + MINUTE
        while step is not None and step.red_flags and self.now < later:
            end = min(later, self.now + lookahead_span(self._timeline.plan))
            breach = next_breach(self._timeline, self._watch_spec(step), self.now, end)
            transitions.merge_evidence(self.state, "red_flags", breach.tracks)
            self.now = max(breach.at, self.now + timedelta(seconds=1))
            if breach.names and await self._raise_finding(step, breach):
                return
        self.now = max(self.now, later)

    def _watch_spec(self, step: Step) -> WatchSpec:
        state = self.state
        flags = tuple(gate for gate in step.red_flags if gate.name not in state.silent_findings)
        interval = state.plan.watch_interval.total_seconds()
        evidence_context = build_evidence_context(state, "red_flags", step)
        blind_after = None if BLIND in state.silent_findings else state.plan.blind_limit
        return WatchSpec(
            flags,
            state.plan.metrics,
            state.baseline,
            interval,
            evidence_context,
            state.live.since,
            blind_after,
        )

    async def _raise_finding(self, step: Step, breach: Breach) -> bool:
        plan, evidence = self.state.plan, build_evidence_context(self.state, "red_flags", step)
        context = EvaluationContext(plan.metrics, self.state.baseline, evidence, plan.stale_after)
        names = (*breach.blind_since, *breach.names)
        gates = tuple(gate for gate in step.red_flags if gate.name in names)
        verdicts = await self._evaluator(self.now, context).evaluate(gates)
        finding = self._finding(breach, tuple(zip(gates, verdicts, strict=True)))
        if finding is not None:
            transitions.raise_finding(self.state, self.now, finding)
        return finding is not None

    def _finding(
        self, breach: Breach, gate_verdicts: tuple[tuple[Gate, Verdict], ...]
    ) -> Finding | None:
        name, plan = breach.names[0], self.state.plan
        if name == BLIND:
            blind = [(gate, verdict) for gate, verdict in gate_verdicts if verdict.is_unmeasured]
            limits = plan.blind_limit, plan.blind_severity
            return blind_finding(blind, breach.blind_since, limits, self.now)
        gate, verdict = next(
            gate_verdict for gate_verdict in gate_verdicts if gate_verdict[0].name == name
        )
        if verdict.outcome != "Failed":
            return None
        return Finding(name=name, kind="red_flag", verdict=verdict, gate=gate, seen_at=self.now)
