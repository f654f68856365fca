"""The kind of signal that a metric of any service is, and its healthy value, inferred from the plan.

``model:`` of a metric names its kind and typical value. What it leaves out is inferred: the kind from
statistic, unit and gates, the typical value from the strictest fixed limit of the gates. Rehearsals
and the forecast of ``sluice lint`` agree on it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sluice.rollout.analysis.gate import Gate, GateKind, Metric
from sluice.rollout.analysis.metric_model import SignalKind
from sluice.rollout.analysis.statistic import (
    BoundedMean,
    EventRate,
    LatencyTail,
    MeanValue,
    UserMeans,
)

_PART_OF_LIMIT = {
    SignalKind.ERROR_RATE: 0.3,
    SignalKind.LATENCY: 0.75,
    SignalKind.QUEUE: 0.2,
    SignalKind.HEARTBEAT: 0.1,
}
"""The typical value as a part of an upper limit; half of it for other kinds."""
_MULTIPLE_OF_LIMIT = {SignalKind.REQUESTS: 3.0, SignalKind.HIT_RATE: 1.1}
"""The typical value as a multiple of a lower limit; a fifth above it for other kinds."""
_KIND_BY_UNIT = {
    "seconds": SignalKind.LATENCY,
    "score": SignalKind.REWARD,
    "bytes": SignalKind.MEMORY,
    "per_second": SignalKind.REQUESTS,
}
SUCCESS_RATE_MIN = 0.9
"""A ratio that must stay above this counts successes."""


@dataclass(frozen=True)
class InferredSignal:
    """A metric's signal. ``typical`` None: nothing says it. ``quantile`` None: a latency's mean."""

    kind: SignalKind
    typical: float | None
    quantile: float | None = None


def infer_signal(name: str, metric: Metric, gates: Sequence[Gate]) -> InferredSignal:
    """Return the signal of a metric; ``gates``: those of the plan that read it."""
    kind = metric.model.kind if metric.model else _infer_kind(name, metric, gates)
    typical = metric.model.typical if metric.model else None
    quantile = None
    if kind is SignalKind.LATENCY:
        quantile = query_quantile(metric.query) or _name_quantile(name)
    return InferredSignal(kind, typical or _infer_typical(kind, gates), quantile)


def query_quantile(query: str) -> float | None:
    """Return the quantile that the query computes or selects; None without one."""
    match = re.search(r"quantile\s*\(\s*(0?\.\d+)|quantile=~?\"(0?\.\d+)\"", query)
    return float(match[1] or match[2]) if match else None


def _name_quantile(name: str) -> float | None:
    match = re.search(r"p(\d{2,3})\b", name.replace("_", " "))
    return float(f"0.{match[1]}") if match else None


def _infer_kind(name: str, metric: Metric, gates: Sequence[Gate]) -> SignalKind:
    """Infer the kind from the statistic, else from the unit and the gates."""
    if (kind := _kind_of_statistic(metric)) is not None:
        return kind
    if re.search(r"\bup\b", metric.query):
        return SignalKind.UP
    if metric.unit == "ratio":
        return _infer_ratio(gates)
    if metric.unit == "seconds" and any(gate.kind is GateKind.PRESENCE for gate in gates):
        return SignalKind.HEARTBEAT
    return _KIND_BY_UNIT.get(metric.unit) or _infer_count(name, metric)


def _kind_of_statistic(metric: Metric) -> SignalKind | None:
    match metric.statistic:
        case EventRate() if metric.unit == "ratio":
            return SignalKind.ERROR_RATE
        case LatencyTail():
            return SignalKind.LATENCY
        case (
            BoundedMean(higher_is_better=higher)
            | MeanValue(higher_is_better=higher)
            | UserMeans(higher_is_better=higher)
        ):
            return SignalKind.REWARD if higher else SignalKind.LATENCY
    return None


def _infer_ratio(gates: Sequence[Gate]) -> SignalKind:
    lowest = [gate.threshold for gate in gates if gate.direction == "above" and _is_fixed(gate)]
    if not lowest:
        return SignalKind.ERROR_RATE
    return SignalKind.SUCCESS_RATE if max(lowest) >= SUCCESS_RATE_MIN else SignalKind.HIT_RATE


def _infer_count(name: str, metric: Metric) -> SignalKind:
    if metric.statistic is not None:
        return SignalKind.USERS
    text = f"{name} {metric.query}".lower()
    if any(word in text for word in ("queue", "backlog", "lag", "pending")):
        return SignalKind.QUEUE
    if "complain" in text:
        return SignalKind.COMPLAINTS
    is_counter = any(word in text for word in ("increase(", "rate(", "changes("))
    return SignalKind.DEPENDENCY_ERRORS if is_counter else SignalKind.GAUGE


def _is_fixed(gate: Gate) -> bool:
    return gate.kind in (GateKind.ABSOLUTE, GateKind.PRESENCE) and not gate.dry_run


def _infer_typical(kind: SignalKind, gates: Iterable[Gate]) -> float | None:
    """Return a healthy value inside the strictest fixed limit; None without such a limit."""
    limits = [(gate.direction, gate.threshold) for gate in gates if _is_fixed(gate)]
    upper = min((limit for side, limit in limits if side == "below" and limit > 0), default=None)
    lower = max((limit for side, limit in limits if side == "above" and limit > 0), default=None)
    if kind is SignalKind.SUCCESS_RATE:
        return None if lower is None else 1 - _PART_OF_LIMIT[SignalKind.ERROR_RATE] * (1 - lower)
    if upper is not None:
        return _PART_OF_LIMIT.get(kind, 0.5) * upper
    return None if lower is None else _MULTIPLE_OF_LIMIT.get(kind, 1.2) * lower
