"""The check of a step: measure every gate at the time asked for, judge, and keep the evidence."""

from dataclasses import dataclass

from temporalio import activity

from activities.errors import temporal_errors
from activities.journal import record_events
from activities.models import CheckRecord, CheckRequest, CheckResult, LedgerEntry
from activities.ports import Ledger, Metrics
from activities.sampling import Known, Sampler
from rollout.gate import Gate
from rollout.reading import Reading
from rollout.verdict import Check


@dataclass(frozen=True)
class MeasureActivities:
    """Checks decide about promotion, so one that isn't in the ledger doesn't count."""

    metrics: Metrics
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
        known = Known(request.metrics, request.baseline, request.exposure, request.stale_after)
        sampler = Sampler(self.metrics, request.at, known)
        verdicts = await sampler.verdicts(request.gates)
        readings = await sampler.readings(request.baselines)
        record = CheckRecord(
            check=Check(id=request.id, at=request.at, step=request.step, verdicts=verdicts),
            baseline=usable_baseline(request.baselines, readings),
            gates=request.gates,
            metrics={name: request.metrics[name] for name in _asked(request)},
            tracks=sampler.tracks,
        )
        with temporal_errors():
            await record_events(self.ledger, request.rollout_id, request.events)
            entry = await self.ledger.append(_entry(request, record))
        kept = CheckRecord.model_validate_json(entry.body)
        return CheckResult(check=kept.check, baseline=kept.baseline, tracks=kept.tracks)


def usable_baseline(gates: tuple[Gate, ...], readings: tuple[Reading, ...]) -> dict[str, Reading]:
    """Keep, by metric, the readings that rest on as many samples as their gates ask for."""
    return {
        gate.metric: reading
        for gate, reading in zip(gates, readings, strict=True)
        if reading.usable and (reading.samples or 0.0) >= gate.min_samples
    }


def _asked(request: CheckRequest) -> set[str]:
    return {gate.metric for gate in request.gates} & request.metrics.keys()


def _entry(request: CheckRequest, record: CheckRecord) -> LedgerEntry:
    return LedgerEntry(
        rollout_id=request.rollout_id,
        # With the time: a check that the rollout dropped and asks for again is another check.
        key=f"check-{request.id}-{request.at.isoformat()}",
        kind="check",
        at=request.at,
        body=record.model_dump_json(),
    )
