"""A metrics port that answers a plan's own expressions from one value per metric, set by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from activities.errors import EffectError
from rollout.blocks import fill
from rollout.gate import COHORT_PATTERN, Cohort, Gate, expression, slope
from rollout.plan import RolloutPlan

Answer = float | EffectError | None
COUNTS = {"events": 4.0, "users": 4.0, "units": 1000.0, "total": 700.0, "squares": 500.0}
"""What both cohorts' counters grow by in every block: alike, so they show nothing."""
ALL, BELOW_EDGE = 1000.0, 990.0
LOOKS = 1e9
"""More than any block asks for: nothing was missed."""
SAMPLES = 10_000.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What an expression of the plan asks for."""

    metric: str
    cohort: Cohort
    what: str


class PlannedMetrics:
    """Answers ``values[metric]``, or ``values["metric@cohort"]`` where there is one.

    ``slopes`` are per hour, 0 where not given. ``down`` is raised by every query while it is set; an
    error among the values, or a None (no data), is that metric's only.
    """

    def __init__(self, plan: RolloutPlan, values: Mapping[str, Answer]) -> None:
        self.values: dict[str, Answer] = dict(values)
        self.slopes: dict[str, float] = {}
        self.samples: float | None = SAMPLES
        self.age_seconds: float | None = 1.0
        self.down: EffectError | None = None
        self._asked = {promql: asked for gate in _rules(plan) for promql, asked in _of(plan, gate)}
        self._counters = {
            fill(selector, cohort): name
            for metric in plan.metrics.values()
            for name, selector in (metric.statistic.counters() if metric.statistic else {}).items()
            for cohort in COHORT_PATTERN
        }

    def query(self, promql: str, at: datetime) -> float | None:
        """See ``activities.ports.Metrics``."""
        if self.down is not None:
            raise self.down
        if promql.startswith("time() - (max(timestamp("):
            return self.age_seconds
        asked = self._asked.get(promql)
        answer = self._answer(asked) if asked else self._counted(promql)
        if isinstance(answer, EffectError):
            raise answer
        return answer

    def _answer(self, asked: Asked) -> Answer:
        if asked.what == "samples":
            return self.samples
        answer = self.values.get(f"{asked.metric}@{asked.cohort}", self.values[asked.metric])
        if asked.what == "slope" and answer is not None and not isinstance(answer, EffectError):
            return self.slopes.get(asked.metric, 0.0)
        return answer

    def _counted(self, promql: str) -> Answer:
        if promql.startswith("sum(resets("):
            return 0.0
        if promql.startswith("count_over_time("):
            return LOOKS
        name = self._counters[promql.removeprefix("sum(").partition(" - ")[0]]
        return COUNTS.get(name, ALL if name == "all" else BELOW_EDGE)


def _rules(plan: RolloutPlan) -> Iterator[Gate]:
    yield from plan.baselines
    for _, gate in plan.rules():
        yield gate


def _of(plan: RolloutPlan, gate: Gate) -> Iterator[tuple[str, Asked]]:
    metric = plan.metrics[gate.metric]
    for cohort in COHORT_PATTERN:
        promql = expression(metric.query, gate, cohort)  # type: ignore[arg-type]  # keys are cohorts
        yield promql, Asked(gate.metric, cohort, "value")  # type: ignore[arg-type]
        yield slope(promql, gate), Asked(gate.metric, cohort, "slope")  # type: ignore[arg-type]
        if metric.samples:
            counting = expression(metric.samples, gate, cohort)  # type: ignore[arg-type]
            yield counting, Asked(gate.metric, cohort, "samples")  # type: ignore[arg-type]
