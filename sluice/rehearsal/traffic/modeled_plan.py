"""A plan of any service, on the recorded traffic: each metric becomes the signal that it resembles.

``model:`` of a metric names its kind and typical value. What it leaves out is inferred: the kind from
statistic, unit and gates, the typical value from the strictest fixed limit of the gates.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sluice.rehearsal.traffic.scenario import FaultKind, Scenario, TrafficModel
from sluice.rehearsal.traffic.scenario_times import fit_scenario
from sluice.rehearsal.traffic.signal_queries import Signal, modeled_metric
from sluice.rehearsal.traffic.synthetic_metrics import series_names
from sluice.rollout.analysis.cohorts import ROUTER_COHORTS
from sluice.rollout.analysis.gate import Gate, GateKind, Metric
from sluice.rollout.analysis.metric_model import SignalKind
from sluice.rollout.analysis.promql import Selector, parse_selectors
from sluice.rollout.analysis.statistic import (
    BoundedMean,
    EventRate,
    LatencyTail,
    MeanValue,
    UserMeans,
)
from sluice.rollout.analysis.value_format import format_value
from sluice.rollout.plan.schema import RolloutPlan

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
USERS_MIN, USERS_MAX = 20, 20_000
_SECONDS_PER_DAY = 86_400
_EFFECTS = {
    FaultKind.LATENCY: {SignalKind.LATENCY},
    FaultKind.TAIL: {SignalKind.LATENCY},
    FaultKind.ERRORS: {SignalKind.ERROR_RATE, SignalKind.SUCCESS_RATE},
    FaultKind.REWARD: {SignalKind.REWARD},
    FaultKind.QUEUE: {SignalKind.QUEUE},
    FaultKind.MEMORY: {SignalKind.MEMORY, SignalKind.GAUGE},
    FaultKind.LEARNER: {SignalKind.HEARTBEAT},
    FaultKind.CACHE: {SignalKind.HIT_RATE, SignalKind.LATENCY},
    FaultKind.REDIS: {SignalKind.DEPENDENCY_ERRORS},
    FaultKind.COMPLAINTS: {SignalKind.COMPLAINTS},
    FaultKind.CRASH: {SignalKind.UP},
}
"""The signals that a fault changes; a fault that is not listed makes every reading unusable."""


@dataclass(frozen=True)
class ModeledPlan:
    """A plan over recorded series, its traffic, and the signal of each metric that was replaced."""

    plan: RolloutPlan
    traffic: TrafficModel
    signals: dict[str, Signal]

    def describe(self) -> Iterator[str]:
        """Yield the signal of each metric in a line."""
        for name, signal in self.signals.items():
            unit = self.plan.metrics[name].unit
            typical = signal.typical or signal.healthy_value(self.traffic)
            often = f", typically {format_value(typical, unit)}" if typical else ""
            yield f"{name} is rehearsed as {signal.kind}{often}"

    def unseen_faults(self, scenario: Scenario) -> list[str]:
        """Return the kinds of the scenario's faults that no metric of the plan shows."""
        kinds = {signal.kind for signal in self.signals.values()}
        if not self.signals:
            return []
        faults = {fault.kind for fault in scenario.faults if fault.kind in _EFFECTS}
        return sorted(fault for fault in faults if not _EFFECTS[fault] & kinds)


def model_plan(plan: RolloutPlan, traffic: TrafficModel) -> ModeledPlan:
    """Return the plan over recorded series; a plan of the router's own metrics stays as it is."""
    recorded = series_names()
    foreign = {n: m for n, m in plan.metrics.items() if m.model or not _is_recorded(m, recorded)}
    if not foreign:
        return ModeledPlan(plan, traffic, {})
    gates = [gate for _, gate in plan.rules()]
    signals = {
        name: _signal(name, metric, [gate for gate in gates if gate.metric == name])
        for name, metric in foreign.items()
    }
    traffic = _with_error_rate(traffic, signals.values())
    modeled = {n: modeled_metric(m, signals[n], traffic) for n, m in foreign.items()}
    metrics = {**plan.metrics, **modeled}
    update = {"metrics": metrics, "cohorts": ROUTER_COHORTS}
    return ModeledPlan(plan.model_copy(update=update), traffic, signals)


def expected_traffic(plan: RolloutPlan, traffic: TrafficModel) -> TrafficModel:
    """Return the traffic that the plan's ``traffic:`` names, or the given one without it."""
    if plan.traffic is None:
        return traffic
    users = plan.traffic.users or traffic.users
    return traffic.model_copy(
        update={
            "queries_per_second": plan.traffic.queries_per_day / _SECONDS_PER_DAY,
            "users": round(min(max(users, USERS_MIN), USERS_MAX)),
            "feedback_share": plan.traffic.feedback_share,
        }
    )


def _is_recorded(metric: Metric, recorded: frozenset[str]) -> bool:
    if metric.cohorts != ROUTER_COHORTS:
        return False
    text = metric.query.replace("$cohort", "x").replace("$window", "5m")
    return all(
        _is_recorded_series(selector, recorded) for selector in parse_selectors(text).selectors
    )


def _is_recorded_series(selector: Selector, recorded: frozenset[str]) -> bool:
    jobs = [matcher.value for matcher in selector.matchers if matcher.label == "job"]
    return selector.metric in recorded and all("router" in job for job in jobs)


def _signal(name: str, metric: Metric, gates: list[Gate]) -> Signal:
    kind = metric.model.kind if metric.model else _infer_kind(name, metric, gates)
    typical = metric.model.typical if metric.model else None
    quantile = _quantile(name, metric.query) if kind is SignalKind.LATENCY else None
    return Signal(kind, typical or _infer_typical(kind, gates), quantile)


def _infer_kind(name: str, metric: Metric, gates: list[Gate]) -> SignalKind:
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


def _infer_ratio(gates: list[Gate]) -> SignalKind:
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


def _quantile(name: str, query: str) -> float | None:
    """Return the quantile that the query computes, or the metric's name says; None for a mean."""
    if match := re.search(r"quantile\s*\(\s*(0?\.\d+)|quantile=~?\"(0?\.\d+)\"", query):
        return float(match[1] or match[2])
    if match := re.search(r"p(\d{2,3})\b", name.replace("_", " ")):
        return float(f"0.{match[1]}")
    return None


def _with_error_rate(traffic: TrafficModel, signals: Iterable[Signal]) -> TrafficModel:
    """Return the traffic with the smallest typical share of failures."""
    shares = [share for signal in signals if (share := _failing_share(signal)) is not None]
    return traffic.model_copy(update={"error_rate": min(shares)}) if shares else traffic


def _failing_share(signal: Signal) -> float | None:
    if signal.typical is None:
        return None
    shares = {
        SignalKind.ERROR_RATE: signal.typical,
        SignalKind.SUCCESS_RATE: 1 - signal.typical,
    }
    return shares.get(signal.kind)


def model_rehearsal(
    plan: RolloutPlan, scenarios: Sequence[Scenario]
) -> tuple[ModeledPlan, list[Scenario]]:
    """Return the plan over recorded series, and the scenarios with its times and its traffic.

    A scenario that names its own traffic keeps it, but for the share of failures.
    """
    modeled = model_plan(plan, _own_traffic(plan, scenarios[0]))
    fitted = [fit_scenario(scenario, plan) for scenario in scenarios]
    if not modeled.signals:
        return modeled, fitted
    rate = modeled.traffic.error_rate
    with_traffic = [
        scenario.model_copy(
            update={"traffic": _own_traffic(plan, scenario).model_copy(update={"error_rate": rate})}
        )
        for scenario in fitted
    ]
    return modeled, with_traffic


def _own_traffic(plan: RolloutPlan, scenario: Scenario) -> TrafficModel:
    has_traffic = "traffic" in scenario.model_fields_set
    return scenario.traffic if has_traffic else expected_traffic(plan, scenario.traffic)
