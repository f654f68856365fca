"""The check of a step: measure every gate at the time asked for, judge, and keep the evidence."""

from dataclasses import dataclass

from temporalio import activity

from activities.contract.errors import temporal_errors
from activities.contract.models import CheckRecord, LedgerEntry
from activities.contract.ports import Ledger, MetricsProvider
from activities.contract.timeline_ledger import record_events
from activities.measuring.gate_evaluator import EvaluationContext, GateEvaluator, usable_baseline
from sluice.rollout.analysis.verdict import Check
from sluice.rollout.engine.world import CheckRequest, CheckResult


@dataclass(frozen=True)
class CheckActivities:
    """Checks decide about promotion, so one that isn't in the ledger doesn't count."""

    metrics: MetricsProvider
    ledger: Ledger

    @activity.defn(name="check_gates")
    async def check(self, request: CheckRequest) -> CheckResult:
        """Measure, judge and record. Takes at most 8 s for measuring, whatever Prometheus does.

        A metric that can't be measured gives an Error verdict with its reason, never an exception.
        A retry of a check that was recorded returns what was recorded.

        Raises:
            LedgerUnreachableError: retried.
            ApplicationError: type LedgerRefused, not retried.
        """
        context = EvaluationContext.of_check(request)
        evaluator = GateEvaluator(self.metrics, request.at, context)
        verdicts = await evaluator.evaluate(request.gates)
        readings = await evaluator.measure(request.baseline_gates)
        record = CheckRecord(
            check=Check(id=request.id, at=request.at, step=request.step, verdicts=verdicts),
            baseline=usable_baseline(request.baseline_gates, readings),
            gates=request.gates,
            metrics={name: request.metrics[name] for name in _metric_names(request)},
            sequential_states=evaluator.sequential_states,
        )
        with temporal_errors():
            await record_events(self.ledger, request.rollout_id, request.events)
            entry = await self.ledger.append(_entry(request, record))
        stored_record = CheckRecord.model_validate_json(entry.body)
        return CheckResult(
            check=stored_record.check,
            baseline=stored_record.baseline,
            sequential_states=stored_record.sequential_states,
            digest=entry.digest,
        )


def _metric_names(request: CheckRequest) -> set[str]:
    return {gate.metric for gate in request.gates} & request.metrics.keys()


def _entry(request: CheckRequest, record: CheckRecord) -> LedgerEntry:
    entry = LedgerEntry(
        rollout_id=request.rollout_id,
        key=request.ledger_key,
        kind="check",
        at=request.at,
        body=record.model_dump_json(exclude={"digest"}),
    )
    return entry.linked_to(request.evidence_digest)
