"""A metrics port that answers a plan's own expressions from one value per metric, set by hand."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from activities.contract.errors import EffectError
from sluice.rollout.analysis.blocks import render_selector
from sluice.rollout.analysis.cohorts import COHORTS, Cohort
from sluice.rollout.analysis.gate import Gate, slope_query
from sluice.rollout.plan.schema import RolloutPlan

MetricValue = float | EffectError | None
BLOCK_INCREASES = {"events": 4.0, "users": 4.0, "units": 1000.0, "total": 700.0, "squares": 500.0}
"""What both cohorts' counters grow by in every block: alike, so they show nothing."""
ALL_COUNT, BELOW_EDGE_COUNT = 1000.0, 990.0
SCRAPES = 1e9
"""More than any block asks for: nothing was missed."""
SAMPLES = 10_000.0
_WINDOW = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class MetricRequest:
    """The gate and kind of an expression of the plan."""

    metric: str
    cohort: Cohort
    quantity: str


class PlanMetrics:
    """Answers ``values[metric]``, or ``values["metric@cohort"]`` where there is one.

    ``slopes`` are per hour, 0 where not given. ``down`` is raised by every query while it is set; an
    error among the values, or a None (no data), is that metric's only.
    """

    def __init__(self, plan: RolloutPlan, values: Mapping[str, MetricValue]) -> None:
        self.values: dict[str, MetricValue] = dict(values)
        self.slopes: dict[str, float] = {}
        self.samples: float | None = SAMPLES
        self.age_seconds: float | None = 1.0
        self.error: EffectError | None = None
        self._requests = {
            _without_windows(promql): asked
            for gate in _plan_gates(plan)
            for promql, asked in _gate_requests(plan, gate)
        }
        self._counters = {
            render_selector(selector, metric.cohorts.pattern(cohort)): name
            for metric in plan.metrics.values()
            for name, selector in (metric.statistic.counters() if metric.statistic else {}).items()
            for cohort in COHORTS
        }

    def query(self, promql: str, at: datetime) -> float | None:
        """See ``activities.contract.ports.MetricsProvider``."""
        if self.error is not None:
            raise self.error
        if promql.startswith("time() - (max(timestamp("):
            return self.age_seconds
        asked = self._requests.get(_without_windows(promql))
        answer = self._value_of(asked) if asked else self._counter_value(promql)
        if isinstance(answer, EffectError):
            raise answer
        return answer

    def _value_of(self, asked: MetricRequest) -> MetricValue:
        if asked.quantity == "samples":
            return self.samples
        answer = self.values.get(f"{asked.metric}@{asked.cohort}", self.values[asked.metric])
        if asked.quantity == "slope" and answer is not None and not isinstance(answer, EffectError):
            return self.slopes.get(asked.metric, 0.0)
        return answer

    def _counter_value(self, promql: str) -> MetricValue:
        if promql.startswith("sum(resets("):
            return 0.0
        if promql.startswith("count_over_time("):
            return SCRAPES
        name = self._counters[promql.removeprefix("sum(").partition(" - ")[0]]
        return BLOCK_INCREASES.get(name, ALL_COUNT if name == "all" else BELOW_EDGE_COUNT)


def _without_windows(promql: str) -> str:
    """Drop the windows: the activities cut them at the time at which the share went live."""
    return _WINDOW.sub("[]", promql)


def _plan_gates(plan: RolloutPlan) -> Iterator[Gate]:
    yield from plan.baselines
    for _, gate in plan.rules():
        yield gate


def _gate_requests(plan: RolloutPlan, gate: Gate) -> Iterator[tuple[str, MetricRequest]]:
    metric = plan.metrics[gate.metric]
    for cohort in COHORTS:
        promql = metric.value_query(gate, cohort)
        yield promql, MetricRequest(gate.metric, cohort, "value")
        yield slope_query(promql, gate), MetricRequest(gate.metric, cohort, "slope")
        if counting := metric.samples_query(gate, cohort):
            yield counting, MetricRequest(gate.metric, cohort, "samples")
