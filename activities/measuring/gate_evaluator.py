"""Verdicts of gates at one moment: each expression is queried once, all within a limit."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from activities.contract.errors import EffectError
from activities.contract.ports import MetricsProvider
from activities.measuring.block_measurement import measure_block
from activities.measuring.cohort_presence import (
    VANISHED_SAMPLES_MIN,
    CohortSamples,
    counting_gate,
)
from activities.measuring.live_window import LiveWindow, time_live
from activities.measuring.query_batch import QueryBatch
from sluice.rollout.analysis.blocks import due_blocks
from sluice.rollout.analysis.cohorts import Cohort
from sluice.rollout.analysis.gate import Gate, GateKind, Metric, slope_query
from sluice.rollout.analysis.judge import judge
from sluice.rollout.analysis.promql import sample_age_query
from sluice.rollout.analysis.reading import STALE_AFTER, GateReadings, Reading
from sluice.rollout.analysis.sequential_gate import judge_blocks
from sluice.rollout.analysis.sequential_state import Block, EvidenceContext, SequentialState
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine.world import CheckRequest
from sluice.rollout.units import format_duration

MEASURE_SECONDS_MAX = 8.0
BOTH_COHORTS: tuple[Cohort, ...] = ("treatment", "control")


@dataclass(frozen=True)
class EvaluationContext:
    """The plan's metrics and the recorded baseline, both by metric name, and the step's exposure.

    ``evidence_context`` is for statistical gates. Samples older than ``stale_after`` count as no data.
    Readings of the treatment reach no further back than ``live_since``. ``share``: the treatment's
    share of users (0 to 1), from which the other cohort's samples are expected.
    """

    metrics: Mapping[str, Metric]
    baseline: Mapping[str, Reading]
    evidence_context: EvidenceContext | None = None
    stale_after: timedelta = STALE_AFTER
    live_since: datetime | None = None
    share: float | None = None

    @classmethod
    def of_check(cls, request: CheckRequest) -> "EvaluationContext":
        """Return the context of one check."""
        return cls(
            request.metrics,
            request.baseline,
            request.evidence_context,
            request.stale_after,
            request.live_since,
        )


class GateEvaluator:
    """Every reading of one moment ``at``. What can't be measured becomes ``Reading.error``.

    Queries run side by side (``QueryBatch``). ``sequential_states`` holds the
    evidence of statistical gates after they were judged.
    """

    def __init__(
        self,
        metrics: MetricsProvider,
        at: datetime,
        context: EvaluationContext,
        seconds_max: float = MEASURE_SECONDS_MAX,
    ) -> None:
        self._at = at
        self._context = context
        self._queries = QueryBatch(metrics, seconds_max)
        self.sequential_states: dict[str, SequentialState] = {}

    async def evaluate(self, gates: Iterable[Gate]) -> tuple[Verdict, ...]:
        """Measure and judge every gate; never raises for a bad metric.

        Statistical gates come last: their many counts must not delay an emergency's few queries.
        """
        all_gates = tuple(gates)
        verdicts: dict[str, Verdict] = {}
        for last in (False, True):
            part = [gate for gate in all_gates if (gate.kind is GateKind.STATISTICAL) is last]
            part_verdicts = await asyncio.gather(*(self._evaluate_gate(gate) for gate in part))
            verdicts.update(zip((gate.name for gate in part), part_verdicts, strict=True))
        return tuple(verdicts[gate.name] for gate in all_gates)

    async def measure(self, gates: Iterable[Gate]) -> tuple[Reading, ...]:
        """Measure every gate's own reading, without judging it."""
        return tuple(await asyncio.gather(*(self._read(gate, gate.cohort) for gate in gates)))

    async def count_cohorts(self, gates: Iterable[Gate]) -> CohortSamples | None:
        """Count both cohorts' samples; None when no gate counts them, or without an answer."""
        share = self._context.share
        gate = counting_gate(gates, self._context.metrics)
        if gate is None or not share or share >= 1:
            return None
        metric = self._context.metrics[gate.metric]
        try:
            treatment, control = await asyncio.gather(
                *(self._query(metric.samples_query(gate, cohort)) for cohort in BOTH_COHORTS)
            )
        except EffectError:
            return None
        return CohortSamples(treatment or 0.0, control or 0.0, share, gate.window)

    async def _evaluate_gate(self, gate: Gate) -> Verdict:
        metric = self._context.metrics.get(gate.metric)
        if gate.kind is GateKind.STATISTICAL:
            return await self._evaluate_statistical_gate(gate, metric)
        if metric is None:
            return _error_verdict(gate, (await self._read(gate, gate.cohort)).error)
        live = LiveWindow(gate, metric, time_live(self._context.live_since, self._at))
        return live.hold_early_failure(await self._judge_gate(live.cut(), metric))

    async def _judge_gate(self, gate: Gate, metric: Metric) -> Verdict:
        reading, reference = await asyncio.gather(
            self._read(gate, gate.cohort), self._read_reference(gate)
        )
        if (
            reading.samples == 0
            and not reading.stale
            and (vanished_reason := await self._vanished_reason(gate, metric))
        ):
            reading = reading.model_copy(update={"error": vanished_reason})
        return judge(gate, metric, GateReadings(reading=reading, reference=reference))

    async def _vanished_reason(self, gate: Gate, metric: Metric) -> str:
        """Return the reason to call the treatment cohort vanished, or an empty text."""
        share = self._context.share
        if gate.cohort != "treatment" or metric.samples is None or not share or share >= 1:
            return ""
        control = await self._query(metric.samples_query(gate, "control"))
        expected = (control or 0.0) * share / (1 - share)
        if expected < VANISHED_SAMPLES_MIN:
            return ""
        window = format_duration(gate.window)
        return (
            f"the treatment cohort has vanished: 0 of about {expected:,.0f} expected samples in "
            f"{window}, while control has {control:,.0f}"
        )

    async def _evaluate_statistical_gate(self, gate: Gate, metric: Metric | None) -> Verdict:
        exposure = self._context.evidence_context
        if metric is None or metric.statistic is None:
            return _error_verdict(gate, f"metric {gate.metric!r} has no statistic")
        if exposure is None or gate.name not in exposure.alphas:
            return _error_verdict(gate, "the rollout has no part of α for it")
        measured = await asyncio.gather(
            *(
                measure_block(
                    self._queries,
                    metric,
                    Block(since=since, until=until, share=exposure.share),
                    (exposure.since, self._context.stale_after),
                )
                for since, until in due_blocks(gate, exposure, self._at)
            )
        )
        verdict, self.sequential_states[gate.name] = judge_blocks(gate, metric, exposure, measured)
        return verdict

    async def _read_reference(self, gate: Gate) -> Reading | None:
        if gate.kind is GateKind.BASELINE:
            return self._context.baseline.get(gate.metric)
        if gate.kind is GateKind.CONTROL:
            return await self._read(gate, "control")
        return None

    async def _read(self, gate: Gate, cohort: Cohort) -> Reading:
        reading = Reading(metric=gate.metric, cohort=cohort, at=self._at)
        try:
            return reading.model_copy(update=await self._query_reading(gate, cohort))
        except EffectError as problem:
            return reading.model_copy(update={"error": str(problem)})
        except (KeyError, ValueError) as problem:
            error = f"metric {gate.metric!r} can't be asked for: {problem}"
            return reading.model_copy(update={"error": error})

    async def _query_reading(self, gate: Gate, cohort: Cohort) -> dict[str, float | bool | None]:
        metric = self._context.metrics[gate.metric]
        promql = metric.value_query(gate, cohort)
        counting = metric.samples_query(gate, cohort)
        age_query = sample_age_query(promql)
        value_query = slope_query(promql, gate) if gate.kind is GateKind.TREND else promql
        queries = [value_query, *(query for query in (counting, age_query) if query)]
        answers = iter(await self._queries.query_many(queries, self._at))
        readings: dict[str, float | bool | None] = {"value": next(answers)}
        if counting:  # no series that counts samples means that nothing was counted
            samples = next(answers)
            readings |= {"samples": samples or 0.0, "samples_missing": samples is None}
        if age_query:
            seconds = next(answers)
            stale = seconds is None or seconds > self._context.stale_after.total_seconds()
            readings |= {"age_seconds": seconds, "stale": stale}
        return readings

    async def _query(self, promql: str | None) -> float | None:
        return await self._queries.query(promql, self._at) if promql else None


def _error_verdict(gate: Gate, reason: str) -> Verdict:
    return Verdict(
        gate=gate.name,
        outcome=Outcome.ERROR,
        reason=f"{gate.name}: {reason}",
        dry_run=gate.dry_run,
        severity=gate.severity,
        is_unmeasured=True,
    )


def usable_baseline(gates: tuple[Gate, ...], readings: tuple[Reading, ...]) -> dict[str, Reading]:
    """Keep, by metric, the readings that rest on as many samples as their gates ask for."""
    return {
        gate.metric: reading
        for gate, reading in zip(gates, readings, strict=True)
        if reading.is_usable and (reading.samples or 0.0) >= gate.min_samples
    }
