"""PromQL over the recorded traffic in place of the metrics of a service of any kind.

The traffic is the router's (``synthetic_metrics``). A metric of another service is replaced by the
router's signal of the same kind, scaled to the metric's typical value, so that faults reach it.
"""

import math
from dataclasses import dataclass

from sluice.rehearsal.traffic.latency_histogram import BUCKET_EDGES
from sluice.rehearsal.traffic.scenario import TrafficModel
from sluice.rollout.analysis.cohorts import ROUTER_COHORTS
from sluice.rollout.analysis.gate import Metric
from sluice.rollout.analysis.metric_model import SignalKind
from sluice.rollout.analysis.signal_inference import InferredSignal
from sluice.rollout.analysis.statistic import (
    AnyStatistic,
    BoundedMean,
    EventRate,
    LatencyTail,
    MeanValue,
    SampleRatio,
    UserHazards,
    UserMeans,
    UserStatistic,
)

_REQUESTS = 'router_queries_total{cohort=~"$cohort"}'
_ERRORS = 'router_queries_total{cohort=~"$cohort",outcome="error"}'
_BUCKETS = 'router_query_duration_seconds_bucket{cohort=~"$cohort",le=~"$le"}'
_USERS = 'router_users_new_total{cohort=~"$cohort"}'
_ERROR_RATE = f"sum(rate({_ERRORS}[$window])) / sum(rate({_REQUESTS}[$window]))"
_LATENCY = "router_query_duration_seconds"
_QUANTILE = (
    f'histogram_quantile(@quantile, sum by (le) (rate({_LATENCY}_bucket{{cohort=~"$cohort"}}'
    "[$window])))"
)
_MEAN = (
    f'sum(rate({_LATENCY}_sum{{cohort=~"$cohort"}}[$window])) / '
    f'sum(rate({_LATENCY}_count{{cohort=~"$cohort"}}[$window]))'
)
_REWARD = 'router_feedback_reward_{}{{cohort=~"$cohort"}}'
_HITS = 'router_cache_requests_total{cohort=~"$cohort",result=~"exact|similar"}'
_LOOKUPS = 'router_cache_requests_total{cohort=~"$cohort"}'
_HEARTBEAT = "router_learner_heartbeat_timestamp_seconds"
_DOWN = 'count(up{job="router"} == 0) or 0 * count(up{job="router"})'

_VALUES = {
    SignalKind.ERROR_RATE: _ERROR_RATE,
    SignalKind.SUCCESS_RATE: _ERROR_RATE,
    SignalKind.REWARD: (
        f"sum(rate({_REWARD.format('sum')}[$window])) / "
        f"sum(rate({_REWARD.format('count')}[$window]))"
    ),
    SignalKind.REQUESTS: f"sum(rate({_REQUESTS}[$window]))",
    SignalKind.USERS: f"sum(increase({_USERS}[$window]))",
    SignalKind.GAUGE: 'max(process_resident_memory_bytes{job="router"})',
    SignalKind.MEMORY: 'max(process_resident_memory_bytes{job="router"})',
    SignalKind.QUEUE: "max(router_feedback_queue_size)",
    SignalKind.HIT_RATE: f"sum(rate({_HITS}[$window])) / sum(rate({_LOOKUPS}[$window]))",
    SignalKind.COMPLAINTS: 'sum(increase(router_complaints_total{cohort=~"$cohort"}[$window]))',
    SignalKind.DEPENDENCY_ERRORS: "sum(increase(router_redis_errors_total[$window]))",
    SignalKind.HEARTBEAT: f"(time() - max({_HEARTBEAT} > 0)) or vector(0)",
    SignalKind.UP: _DOWN,
}
_SAMPLES = {
    SignalKind.REWARD: f"sum(increase({_REWARD.format('count')}[$window]))",
    SignalKind.HIT_RATE: f"sum(increase({_LOOKUPS}[$window]))",
}
_SLOW_STRATA = ("0.211758", "0.41359", "0.807794", "1.57772")
_FAILED_STRATA = ("1", "2", "4", "8")
_SLOW_WORDS = ("slow", "latency", "duration", "edge")
MEMORY_BYTES, QUEUE_LENGTH, HEARTBEAT_SECONDS, MEAN_OVER_MEDIAN = 8e8, 20.0, 2.0, 1.2
_NORMAL_QUANTILES = {0.5: 0.0, 0.75: 0.6745, 0.9: 1.2816, 0.95: 1.6449, 0.99: 2.3263, 0.999: 3.0902}


@dataclass(frozen=True)
class Signal(InferredSignal):
    """A metric's signal on the recorded traffic."""

    @classmethod
    def of(cls, signal: InferredSignal) -> "Signal":
        """Return the inferred signal with what the recorded traffic knows of its kind."""
        return cls(signal.kind, signal.typical, signal.quantile)

    def healthy_value(self, traffic: TrafficModel) -> float:
        """Return the value that the recorded signal has without faults; 0 where it counts events."""
        return {
            SignalKind.ERROR_RATE: traffic.error_rate,
            SignalKind.SUCCESS_RATE: 1 - traffic.error_rate,
            SignalKind.LATENCY: self._healthy_latency(traffic),
            SignalKind.REWARD: traffic.reward_control,
            SignalKind.REQUESTS: traffic.queries_per_second,
            SignalKind.GAUGE: MEMORY_BYTES,
            SignalKind.MEMORY: MEMORY_BYTES,
            SignalKind.QUEUE: QUEUE_LENGTH,
            SignalKind.HIT_RATE: traffic.cache_hit_rate,
            SignalKind.HEARTBEAT: HEARTBEAT_SECONDS,
        }.get(self.kind, 0.0)

    def factor(self, traffic: TrafficModel) -> float:
        """Return the factor from the recorded signal to the metric."""
        healthy = self.healthy_value(traffic)
        if self.typical is None or not healthy:
            return 1.0
        if self.kind is SignalKind.SUCCESS_RATE:
            return (1 - self.typical) / traffic.error_rate
        return self.typical / healthy

    def _healthy_latency(self, traffic: TrafficModel) -> float:
        if self.quantile is None:
            return traffic.latency_p50 * MEAN_OVER_MEDIAN
        nearest = min(_NORMAL_QUANTILES, key=lambda quantile: abs(quantile - (self.quantile or 0)))
        return traffic.latency_p50 * math.exp(traffic.latency_spread * _NORMAL_QUANTILES[nearest])


def modeled_metric(metric: Metric, signal: Signal, traffic: TrafficModel) -> Metric:
    """Return the metric with the recorded signal's queries and counters in place of its own."""
    factor = signal.factor(traffic)
    samples = _SAMPLES.get(signal.kind, f"sum(increase({_REQUESTS}[$window]))")
    return metric.model_copy(
        update={
            "query": _value_query(signal, factor),
            "samples": samples if metric.samples else None,
            "statistic": _modeled_statistic(metric.statistic, signal, factor),
            "cohorts": ROUTER_COHORTS,
        }
    )


def _value_query(signal: Signal, factor: float) -> str:
    if signal.kind is SignalKind.LATENCY:
        quantile = signal.quantile
        value = _MEAN if quantile is None else _QUANTILE.replace("@quantile", f"{quantile:g}")
    else:
        value = _VALUES[signal.kind]
    scaled = value if math.isclose(factor, 1) else f"{factor:.6g} * ({value})"
    if signal.kind is SignalKind.SUCCESS_RATE:
        return f"1 - clamp_max({scaled}, 1)"
    return scaled


def _modeled_statistic(
    statistic: AnyStatistic | None, signal: Signal, factor: float
) -> AnyStatistic | None:
    if isinstance(statistic, EventRate):
        return statistic.model_copy(update={"events": _ERRORS, "units": _REQUESTS})
    if isinstance(statistic, LatencyTail):
        edges = _recorded_edges(statistic, factor)
        return statistic.model_copy(update={"buckets": _BUCKETS, "edges": edges})
    if isinstance(statistic, UserHazards):
        return _modeled_hazards(statistic)
    if isinstance(statistic, SampleRatio):
        return SampleRatio(users=_USERS, counted_since=_counted_since(statistic))
    return statistic and _modeled_mean(statistic, signal)


def _modeled_mean(statistic: BoundedMean | MeanValue | UserMeans, signal: Signal) -> AnyStatistic:
    """Return a test of users' rewards, or of their log times with the guide's margins."""
    is_latency = signal.kind is SignalKind.LATENCY
    kind = "log_time" if is_latency else "reward"
    sums = f'router_users_mean_{kind}_total{{cohort=~"$cohort",since="{_since(statistic)}",sum="$sum"}}'
    if isinstance(statistic, UserMeans):
        recorded = {"sums": sums, "counted_since": _counted_since(statistic)}
        return statistic.model_copy(update=recorded)
    if not is_latency:
        return statistic.model_copy(update=_user_values("reward", statistic))
    return UserMeans(
        sums=sums,
        counted_since=_counted_since(statistic),
        restarts_every=statistic.restarts_every,
        higher_is_better=False,
        margin=0.02,
        tolerance=0.08,
    )


def _user_values(name: str, statistic: UserStatistic) -> dict[str, str | None]:
    prefix, since = f"router_users_{name}", _since(statistic)
    matchers = f'{{cohort=~"$cohort",since="{since}"}}'
    return {
        "units": f"{prefix}_count{matchers}",
        "total": f"{prefix}_sum{matchers}",
        "squares": f"{prefix}_squares_total{matchers}",
        "counted_since": _counted_since(statistic),
    }


def _since(statistic: UserStatistic) -> str:
    """Return the period of the recorded counters: users start at zero in each step, or each hour."""
    return "step" if statistic.restarts_every is None else "hour"


def _counted_since(statistic: UserStatistic) -> str | None:
    return statistic.counted_since and "router_users_counted_since_timestamp_seconds"


def _recorded_edges(statistic: LatencyTail, factor: float) -> tuple[float, ...]:
    """Return the recorded edges that are closest to the statistic's, each once."""
    closest = {
        min(BUCKET_EDGES, key=lambda recorded: abs(math.log(recorded * factor / edge)))
        for edge in statistic.edges
    }
    return tuple(sorted(closest))


def _modeled_hazards(statistic: UserHazards) -> UserHazards:
    is_slow = any(word in statistic.users for word in _SLOW_WORDS)
    name, label = ("slow", "edge") if is_slow else ("failed", "nth")
    matchers = f'{{cohort=~"$cohort",since="{_since(statistic)}",{label}="$stratum"}}'
    return statistic.model_copy(
        update={
            "users": f"router_users_{name}_total{matchers}",
            "at_risk": f"router_users_{name}_at_risk_total{matchers}",
            "strata": _SLOW_STRATA if is_slow else _FAILED_STRATA,
            "groups": (),  # a rehearsal's users have no past
            "counted_since": _counted_since(statistic),
        }
    )
