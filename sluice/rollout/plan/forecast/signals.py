"""Healthy readings of a gate, as far as the plan and the traffic tell: how often chance fails it. Pure.

Users differ: some fail more often, some are slower. Of few active users the mix varies from hour to
hour, so a window's events vary more than independent ones would (``sluice.rehearsal.traffic``).
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

from sluice.rollout.analysis.gate import RELATIVE_KINDS, Gate, GateKind, Metric
from sluice.rollout.analysis.metric_model import SignalKind
from sluice.rollout.analysis.signal_inference import InferredSignal
from sluice.rollout.plan.forecast.rhythm import CohortLoad
from sluice.rollout.plan.forecast.scan import (
    count_crossings,
    mean_crossings,
    normal_beyond,
    poisson_at_least,
)
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan
from sluice.rollout.plan.traffic_signal import healthy_error_rate, traffic_signal

ERROR_SPREAD, LATENCY_SPREAD_OF_USERS = 0.53, 0.12
"""Coefficient of variation of users' error rates, and deviation of their log time."""
MEDIAN_SECONDS, LOG_TIME_DEVIATION = 0.2, 0.6
"""The guide's healthy router: P50 about 200 ms, P99 about 800 ms."""
REWARD_DEVIATION, REWARD_TYPICAL = 0.25, 1.2
LATENCY_TYPICAL = 0.75
_ROUTER_TIMES = "router_query_duration_seconds"
_BUCKET_FACTOR, _BUCKET_FIRST = 1.25, 0.001


@dataclass(frozen=True)
class HealthyReading:
    """A gate's healthy readings. ``baseline_queries``: those of a recorded baseline's window."""

    gate: Gate
    comes: CohortLoad
    baseline_queries: float = math.inf

    @cached_property
    def window_hours(self) -> float:
        return self.gate.window.total_seconds() / 3600

    def samples(self, hour: float) -> float:
        """Return the expected samples of the window that ends at ``hour``."""
        return self.comes.queries(hour, self.window_hours)

    def judged_chance(self, hour: float) -> float:
        """Return the chance that the window holds enough samples to be judged."""
        return poisson_at_least(self.gate.min_samples, self.samples(hour))

    def fails(self, hour: float, mix: float, offset: float) -> float:
        """Return the chance that a judged look fails; ``mix`` and ``offset`` in standard deviations."""
        raise NotImplementedError

    def crossings(self, hour: float, mix: float, offset: float) -> float:
        """Return how often an hour a judged reading crosses the limit."""
        raise NotImplementedError

    @property
    def has_reference(self) -> bool:
        """Return True when the limit itself is a reading, so that it varies too."""
        return False

    def counted_samples(self, hour: float) -> float:
        return max(self.samples(hour), self.gate.min_samples, 1.0)


@dataclass(frozen=True)
class ErrorShare(HealthyReading):
    """Failures among queries, of a healthy ``rate``; a gate may limit the share of successes."""

    rate: float = 0.0

    def _events(self, hour: float, mix: float) -> tuple[int, float]:
        counted = self.counted_samples(hour)
        factor = max(0.05, 1 + mix * ERROR_SPREAD / math.sqrt(self.comes.even_users))
        threshold = self.gate.threshold
        allowed = threshold if self.gate.direction == "below" else 1 - threshold
        limit = max(math.ceil(allowed * counted - 1e-9), self.gate.min_events)
        return limit, counted * self.rate * factor

    def fails(self, hour: float, mix: float, offset: float) -> float:
        return poisson_at_least(*self._events(hour, mix))

    def crossings(self, hour: float, mix: float, offset: float) -> float:
        return count_crossings(*self._events(hour, mix), self.window_hours)


@dataclass(frozen=True)
class SlowQuantile(HealthyReading):
    """A quantile of times: it fails when too many queries are slower than the limit."""

    quantile: float = 0.99
    typical: float = 0.8
    has_router_buckets: bool = True

    @property
    def has_reference(self) -> bool:
        """Return True when the limit itself is a reading, so that it varies too."""
        return self._baseline_error > 0

    def _events(self, hour: float, mix: float, offset: float) -> tuple[int, float]:
        counted = self.counted_samples(hour)
        shift = mix * LATENCY_SPREAD_OF_USERS / math.sqrt(self.comes.even_users)
        shift += offset * self._baseline_error
        mean = counted * self._share_beyond(self._limit * math.exp(-shift))
        return math.floor((1 - self.quantile) * counted) + 1, mean

    @cached_property
    def _limit(self) -> float:
        gate = self.gate
        limit = gate.threshold
        if gate.kind in RELATIVE_KINDS:
            limit = self.typical * (1 + gate.threshold)
        return limit if gate.floor is None else max(limit, gate.floor)

    @cached_property
    def _median(self) -> float:
        return self.typical / math.exp(_normal_quantile(self.quantile) * LOG_TIME_DEVIATION)

    @cached_property
    def _baseline_error(self) -> float:
        """Return the deviation of the logarithm of a baseline's quantile."""
        if self.gate.kind not in RELATIVE_KINDS or math.isinf(self.baseline_queries):
            return 0.0
        score = _normal_quantile(self.quantile)
        density = math.exp(-(score**2) / 2) / math.sqrt(2 * math.pi)
        spread = math.sqrt(self.quantile * (1 - self.quantile) / max(self.baseline_queries, 1.0))
        return LOG_TIME_DEVIATION * spread / density

    def _share_beyond(self, limit: float) -> float:
        if not self.has_router_buckets:
            return self._tail(limit)
        step = math.floor(math.log(limit / _BUCKET_FIRST) / math.log(_BUCKET_FACTOR))
        low = _BUCKET_FIRST * _BUCKET_FACTOR**step
        part = (limit - low) / (low * (_BUCKET_FACTOR - 1))
        return (1 - part) * self._tail(low) + part * self._tail(low * _BUCKET_FACTOR)

    def _tail(self, seconds: float) -> float:
        return normal_beyond(math.log(seconds / self._median) / LOG_TIME_DEVIATION)

    def fails(self, hour: float, mix: float, offset: float) -> float:
        return poisson_at_least(*self._events(hour, mix, offset))

    def crossings(self, hour: float, mix: float, offset: float) -> float:
        return count_crossings(*self._events(hour, mix, offset), self.window_hours)


@dataclass(frozen=True)
class MeanReward(HealthyReading):
    """A mean of rewards, which feedback brings for a part of the queries."""

    typical: float = 0.6

    def _deviations(self, hour: float) -> float:
        error = REWARD_DEVIATION / math.sqrt(self.counted_samples(hour))
        distance = self.typical - self.gate.threshold
        return (distance if self.gate.direction == "above" else -distance) / error

    def fails(self, hour: float, mix: float, offset: float) -> float:
        return normal_beyond(self._deviations(hour))

    def crossings(self, hour: float, mix: float, offset: float) -> float:
        return mean_crossings(self._deviations(hour), self.window_hours)


@dataclass(frozen=True)
class QueryRate(HealthyReading):
    """Queries a second: their rhythm alone can fail it, every night."""

    def fails(self, hour: float, mix: float, offset: float) -> float:
        mean = self.samples(hour)
        limit = self.gate.threshold * self.gate.window.total_seconds()
        above = poisson_at_least(math.ceil(limit), mean)
        return 1 - above if self.gate.direction == "above" else above

    def crossings(self, hour: float, mix: float, offset: float) -> float:
        failing = self.fails(hour, mix, offset)
        return math.inf if failing > 0.5 else failing / self.window_hours  # noqa: PLR2004


def healthy_signal(
    plan: RolloutPlan, gate: Gate, traffic: ExpectedTraffic, share: float
) -> HealthyReading | None:
    """Return a gate's healthy readings; None where the traffic says nothing about them."""
    part = {"treatment": share, "control": 1 - share, "all": 1.0}[gate.cohort]
    if part <= 0 or gate.kind in (GateKind.STATISTICAL, GateKind.TREND, GateKind.PRESENCE):
        return None
    signal, comes = traffic_signal(plan, gate.metric), CohortLoad(traffic, part)
    match signal:
        case InferredSignal(kind=SignalKind.REQUESTS):
            return QueryRate(gate, comes)
        case InferredSignal(kind=SignalKind.REWARD) if gate.kind is GateKind.ABSOLUTE:
            return _mean_reward(plan, gate, traffic, part)
        case InferredSignal(kind=SignalKind.LATENCY, quantile=float(quantile)):
            reference = _reference_queries(plan, gate, traffic, share)
            typical, is_routers = _typical_seconds(gate, plan.metrics[gate.metric], quantile)
            return SlowQuantile(gate, comes, reference, quantile, typical, is_routers)
        case InferredSignal(kind=SignalKind.ERROR_RATE | SignalKind.SUCCESS_RATE as kind):
            side = "below" if kind is SignalKind.ERROR_RATE else "above"
            rate = healthy_error_rate(plan, gate.metric, traffic)
            is_fixed = gate.kind is GateKind.ABSOLUTE and gate.direction == side
            return ErrorShare(gate, comes, rate=rate) if is_fixed else None
    return None


def _mean_reward(
    plan: RolloutPlan, gate: Gate, traffic: ExpectedTraffic, part: float
) -> MeanReward:
    rated = traffic.model_copy(
        update={"queries_per_day": traffic.queries_per_day * traffic.feedback_share}
    )
    return MeanReward(gate, CohortLoad(rated, part), typical=_typical_reward(plan, gate))


def _reference_queries(
    plan: RolloutPlan, gate: Gate, traffic: ExpectedTraffic, share: float
) -> float:
    """Return the queries behind the value that a relative gate compares with."""
    per_hour = traffic.queries_per_day / 24
    if gate.kind is GateKind.CONTROL:
        return per_hour * (1 - share) * gate.window.total_seconds() / 3600
    recorded = (one for one in plan.baselines if one.metric == gate.metric)
    window = next((one.window.total_seconds() / 3600 for one in recorded), math.inf)
    return per_hour * window if gate.kind is GateKind.BASELINE else math.inf


def _typical_seconds(gate: Gate, metric: Metric, quantile: float) -> tuple[float, bool]:
    """Return the healthy quantile, and True when it comes from the router's buckets."""
    if _ROUTER_TIMES in metric.query:
        score = _normal_quantile(quantile)
        return MEDIAN_SECONDS * math.exp(score * LOG_TIME_DEVIATION), True
    stated = metric.model.typical if metric.model is not None else None
    absolute = LATENCY_TYPICAL * gate.threshold if gate.kind is GateKind.ABSOLUTE else 1.0
    return stated or absolute, False


def _typical_reward(plan: RolloutPlan, gate: Gate) -> float:
    """Return the healthy mean: above the strictest limit of the step by as much as rehearsals assume."""
    step = next(step for step in plan.steps if gate in (*step.gates, *step.red_flags))
    limits = [
        other.threshold
        for other in (*step.gates, *step.red_flags)
        if other.metric == gate.metric and other.kind is GateKind.ABSOLUTE
    ]
    return min(1.0, REWARD_TYPICAL * max(limits))


@lru_cache(64)
def _normal_quantile(share: float) -> float:
    """Return the normal distribution's quantile, by bisection."""
    low, high = -9.0, 9.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if normal_beyond(middle) > 1 - share else (low, middle)
    return low
