"""A plan of any service, on the recorded traffic: each metric becomes the signal that it resembles.

The kind and the typical value are those of ``sluice.rollout.analysis.signal_inference``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sluice.rehearsal.traffic.scenario import FaultKind, Scenario, TrafficModel
from sluice.rehearsal.traffic.scenario_times import fit_scenario
from sluice.rehearsal.traffic.signal_queries import Signal, modeled_metric
from sluice.rehearsal.traffic.synthetic_metrics import series_names
from sluice.rollout.analysis.cohorts import ROUTER_COHORTS
from sluice.rollout.analysis.gate import Metric
from sluice.rollout.analysis.metric_model import SignalKind
from sluice.rollout.analysis.promql import Selector, parse_selectors
from sluice.rollout.analysis.signal_inference import infer_signal
from sluice.rollout.analysis.value_format import format_value
from sluice.rollout.plan.schema import RolloutPlan

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
            typical_text = f", typically {format_value(typical, unit)}" if typical else ""
            yield f"{name} is rehearsed as {signal.kind}{typical_text}"

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
        name: Signal.of(infer_signal(name, metric, [gate for gate in gates if gate.metric == name]))
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
