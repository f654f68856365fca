"""From gates to verdicts at one moment: each expression is asked for once, all within a limit."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from activities.asking import Asking
from activities.blocks import measure_block
from activities.errors import EffectError
from activities.ports import Metrics
from rollout.blocks import due
from rollout.gate import Cohort, Gate, GateKind, Metric, expression, slope
from rollout.judge import judge
from rollout.promql import age
from rollout.reading import STALE_AFTER, Measured, Reading
from rollout.track import Block, Exposure, Track
from rollout.verdict import Outcome, Verdict
from rollout.weigh import weigh

SECONDS_MAX = 8.0


@dataclass(frozen=True)
class Known:
    """What gates refer to: the plan's metrics and the recorded baseline, both by metric name.

    ``exposure`` is for statistical gates. Samples older than ``stale_after`` are no data.
    """

    metrics: Mapping[str, Metric]
    baseline: Mapping[str, Reading]
    exposure: Exposure | None = None
    stale_after: timedelta = STALE_AFTER


class Sampler:
    """Every reading of one moment ``at``. What can't be measured becomes ``Reading.error``.

    Queries run side by side (``Asking``). ``tracks`` holds what statistical gates know afterwards.
    """

    def __init__(
        self, metrics: Metrics, at: datetime, known: Known, seconds_max: float = SECONDS_MAX
    ) -> None:
        self._at = at
        self._known = known
        self._asking = Asking(metrics, seconds_max)
        self.tracks: dict[str, Track] = {}

    async def verdicts(self, gates: Iterable[Gate]) -> tuple[Verdict, ...]:
        """Measure and judge every gate; never raises for a bad metric.

        Statistical gates come last: their many counts must not delay an emergency's few queries.
        """
        wanted = tuple(gates)
        found: dict[str, Verdict] = {}
        for last in (False, True):
            part = [gate for gate in wanted if (gate.kind is GateKind.STATISTICAL) is last]
            judged = await asyncio.gather(*(self._verdict(gate) for gate in part))
            found.update(zip((gate.name for gate in part), judged, strict=True))
        return tuple(found[gate.name] for gate in wanted)

    async def readings(self, gates: Iterable[Gate]) -> tuple[Reading, ...]:
        """Measure every gate's own reading, without judging it."""
        return tuple(await asyncio.gather(*(self._reading(gate, gate.cohort) for gate in gates)))

    async def _verdict(self, gate: Gate) -> Verdict:
        metric = self._known.metrics.get(gate.metric)
        if gate.kind is GateKind.STATISTICAL:
            return await self._weighed(gate, metric)
        reading, reference = await asyncio.gather(
            self._reading(gate, gate.cohort), self._reference(gate)
        )
        if metric is None:
            return _error(gate, reading.error)
        return judge(gate, metric, Measured(reading=reading, reference=reference))

    async def _weighed(self, gate: Gate, metric: Metric | None) -> Verdict:
        exposure = self._known.exposure
        if metric is None or metric.statistic is None:
            return _error(gate, f"metric {gate.metric!r} has no statistic")
        if exposure is None or gate.name not in exposure.alphas:
            return _error(gate, "the rollout has no part of α for it")
        measured = await asyncio.gather(
            *(
                measure_block(
                    self._asking,
                    metric.statistic,
                    Block(since=since, until=until, share=exposure.share),
                    self._known.stale_after,
                )
                for since, until in due(gate, exposure, self._at)
            )
        )
        verdict, self.tracks[gate.name] = weigh(gate, metric, exposure, measured)
        return verdict

    async def _reference(self, gate: Gate) -> Reading | None:
        if gate.kind is GateKind.BASELINE:
            return self._known.baseline.get(gate.metric)
        if gate.kind is GateKind.CONTROL:
            return await self._reading(gate, "control")
        return None

    async def _reading(self, gate: Gate, cohort: Cohort) -> Reading:
        reading = Reading(metric=gate.metric, cohort=cohort, at=self._at)
        try:
            return reading.model_copy(update=await self._measure(gate, cohort))
        except EffectError as problem:
            return reading.model_copy(update={"error": str(problem)})
        except (KeyError, ValueError) as problem:
            error = f"metric {gate.metric!r} can't be asked for: {problem}"
            return reading.model_copy(update={"error": error})

    async def _measure(self, gate: Gate, cohort: Cohort) -> dict[str, float | bool | None]:
        metric = self._known.metrics[gate.metric]
        promql = expression(metric.query, gate, cohort)
        counting = expression(metric.samples, gate, cohort) if metric.samples else None
        value, samples, freshness = await asyncio.gather(
            self._value(slope(promql, gate) if gate.kind is GateKind.TREND else promql),
            self._value(counting),
            self._freshness(promql),
        )
        # No series that counts samples means that nothing was counted.
        return {"value": value, "samples": (samples or 0.0) if counting else None, **freshness}

    async def _freshness(self, promql: str) -> dict[str, float | bool | None]:
        """How old the newest sample behind the expression is, and whether that is too old."""
        asked = age(promql)
        if asked is None:
            return {}
        seconds = await self._value(asked)
        stale = seconds is None or seconds > self._known.stale_after.total_seconds()
        return {"age_seconds": seconds, "stale": stale}

    async def _value(self, promql: str | None) -> float | None:
        return await self._asking.value(promql, self._at) if promql else None


def _error(gate: Gate, because: str) -> Verdict:
    return Verdict(
        gate=gate.name,
        outcome=Outcome.ERROR,
        because=f"{gate.name}: {because}",
        dry_run=gate.dry_run,
        severity=gate.severity,
    )
