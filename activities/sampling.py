"""From gates to verdicts at one moment: each expression is asked for once, all within a limit."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from activities.errors import EffectError, MetricsUnreachableError
from activities.ports import Metrics
from rollout.gate import Cohort, Gate, GateKind, Metric, expression, slope
from rollout.judge import judge
from rollout.reading import Measured, Reading
from rollout.verdict import Outcome, Verdict

SECONDS_MAX = 8.0


@dataclass(frozen=True)
class Known:
    """What gates refer to: the plan's metrics and the recorded baseline, both by metric name."""

    metrics: Mapping[str, Metric]
    baseline: Mapping[str, Reading]


class Sampler:
    """Every reading of one moment ``at``. What can't be measured becomes ``Reading.error``.

    Queries run side by side on threads, so a slow one delays none of the others, and all of them
    end ``seconds_max`` after the sampler was made. Made inside a running event loop.
    """

    def __init__(
        self, metrics: Metrics, at: datetime, known: Known, seconds_max: float = SECONDS_MAX
    ) -> None:
        self._metrics = metrics
        self._at = at
        self._known = known
        self._seconds_max = seconds_max
        self._deadline = asyncio.get_running_loop().time() + seconds_max
        self._asked: dict[str, asyncio.Task[float | None]] = {}

    async def verdicts(self, gates: Iterable[Gate]) -> tuple[Verdict, ...]:
        """Measure and judge every gate; never raises for a bad metric."""
        return tuple(await asyncio.gather(*(self._verdict(gate) for gate in gates)))

    async def readings(self, gates: Iterable[Gate]) -> tuple[Reading, ...]:
        """Measure every gate's own reading, without judging it."""
        return tuple(await asyncio.gather(*(self._reading(gate, gate.cohort) for gate in gates)))

    async def _verdict(self, gate: Gate) -> Verdict:
        reading, reference = await asyncio.gather(
            self._reading(gate, gate.cohort), self._reference(gate)
        )
        metric = self._known.metrics.get(gate.metric)
        if metric is None:
            return Verdict(
                gate=gate.name,
                outcome=Outcome.ERROR,
                because=f"{gate.name}: {reading.error}",
                dry_run=gate.dry_run,
                severity=gate.severity,
            )
        return judge(gate, metric, Measured(reading=reading, reference=reference))

    async def _reference(self, gate: Gate) -> Reading | None:
        if gate.kind is GateKind.BASELINE:
            return self._known.baseline.get(gate.metric)
        if gate.kind is GateKind.CONTROL:
            return await self._reading(gate, "control")
        return None

    async def _reading(self, gate: Gate, cohort: Cohort) -> Reading:
        value, samples, error = None, None, ""
        try:
            value, samples = await self._measure(gate, cohort)
        except EffectError as problem:
            error = str(problem)
        except (KeyError, ValueError) as problem:
            error = f"metric {gate.metric!r} can't be asked for: {problem}"
        return Reading(
            metric=gate.metric,
            cohort=cohort,
            at=self._at,
            value=value,
            samples=samples,
            error=error,
        )

    async def _measure(self, gate: Gate, cohort: Cohort) -> tuple[float | None, float | None]:
        metric = self._known.metrics[gate.metric]
        promql = expression(metric.query, gate, cohort)
        if gate.kind is GateKind.TREND:
            promql = slope(promql, gate)
        if metric.samples is None:
            return await self._value(promql), None
        value, samples = await asyncio.gather(
            self._value(promql), self._value(expression(metric.samples, gate, cohort))
        )
        # No series that counts samples means that nothing was counted.
        return value, samples or 0.0

    async def _value(self, promql: str) -> float | None:
        if promql not in self._asked:
            self._asked[promql] = asyncio.create_task(self._ask(promql))
        return await self._asked[promql]

    async def _ask(self, promql: str) -> float | None:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await asyncio.to_thread(self._metrics.query, promql, self._at)
        except TimeoutError:
            raise MetricsUnreachableError(
                f"measuring took longer than {self._seconds_max:g} s"
            ) from None
