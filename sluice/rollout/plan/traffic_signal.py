"""The signal of a metric as far as expected traffic drives it, and whether its samples are requests.

The router's own metrics are recognized by name, since some of its ratios count other things than
requests. A metric of any other service is what ``infer_signal`` takes it for.
"""

from sluice.rollout.analysis.gate import Metric
from sluice.rollout.analysis.metric_model import SignalKind
from sluice.rollout.analysis.signal_inference import InferredSignal, infer_signal, query_quantile
from sluice.rollout.plan.checks.metric_names import names_router_series
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan

_QUERIES, _REWARDS = "router_queries_total", "router_feedback_reward_count"
_PER_REQUEST = frozenset(
    (SignalKind.ERROR_RATE, SignalKind.SUCCESS_RATE, SignalKind.LATENCY, SignalKind.HIT_RATE)
)
_FORECAST = frozenset(
    (
        SignalKind.ERROR_RATE,
        SignalKind.SUCCESS_RATE,
        SignalKind.LATENCY,
        SignalKind.REWARD,
        SignalKind.REQUESTS,
    )
)


def counts_requests(plan: RolloutPlan, name: str) -> bool:
    """Return True if the metric's samples are requests, so that the traffic says how many come."""
    metric = plan.metrics[name]
    if _is_routers(metric):
        return _QUERIES in (metric.samples or "")
    is_counted = metric.samples is not None
    return is_counted and _infer(plan, name).kind in _PER_REQUEST


def traffic_signal(plan: RolloutPlan, name: str) -> InferredSignal | None:
    """Return the metric's signal; None where the traffic does not say how it varies by chance."""
    metric = plan.metrics[name]
    if _is_routers(metric):
        return _router_signal(metric)
    signal = _infer(plan, name)
    is_mean_time = signal.kind is SignalKind.LATENCY and signal.quantile is None
    return signal if signal.kind in _FORECAST and not is_mean_time else None


def healthy_error_rate(plan: RolloutPlan, name: str, traffic: ExpectedTraffic) -> float:
    """Return the share of failures without a fault: as stated, else as expected, inside its limits."""
    metric = plan.metrics[name]
    if _is_routers(metric):
        return traffic.error_rate
    signal = _infer(plan, name)
    typical = signal.typical
    if typical is not None and signal.kind is SignalKind.SUCCESS_RATE:
        typical = 1 - typical
    is_stated = metric.model is not None and metric.model.typical is not None
    if typical is None or (not is_stated and typical > traffic.error_rate):
        return traffic.error_rate
    return typical


def _is_routers(metric: Metric) -> bool:
    return metric.model is None and names_router_series(metric.query)


def _router_signal(metric: Metric) -> InferredSignal | None:
    samples, quantile = metric.samples or "", query_quantile(metric.query)
    if metric.unit == "per_second" and _QUERIES in metric.query:
        return InferredSignal(SignalKind.REQUESTS, None)
    if _REWARDS in samples:
        return InferredSignal(SignalKind.REWARD, None)
    if _QUERIES not in samples:
        return None
    if metric.unit == "seconds" and quantile:
        return InferredSignal(SignalKind.LATENCY, None, quantile)
    is_error_rate = metric.unit == "ratio" and 'outcome="error"' in metric.query
    return InferredSignal(SignalKind.ERROR_RATE, None) if is_error_rate else None


def _infer(plan: RolloutPlan, name: str) -> InferredSignal:
    gates = [gate for _, gate in plan.rules() if gate.metric == name]
    return infer_signal(name, plan.metrics[name], gates)
