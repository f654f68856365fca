"""Warnings about gates that can't decide, computed from the plan and the expected traffic.

``sluice lint`` prints them. A plan with warnings runs, but it may not decide, or not in time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from sluice.rollout.analysis.gate import Gate, GateKind
from sluice.rollout.analysis.metric_model import SignalKind
from sluice.rollout.analysis.statistic import BoundedMean, MeanValue, UserMeans
from sluice.rollout.plan.alpha_budget import RuleGroup, gate_alpha
from sluice.rollout.plan.checks.expressions import cohort_warning
from sluice.rollout.plan.forecast.forecast import forecast_warnings
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan, Step
from sluice.rollout.plan.traffic_signal import counts_requests, healthy_error_rate, traffic_signal
from sluice.rollout.units import format_duration, format_hours
from sluice.rollout.yaml_document import Problem

FALSE_ALARM_RATE_MIN = 0.05
SMALL_COUNT = 10
_AVERAGED_UNITS = ("ratio", "seconds", "score")
_SINGLE_COHORT_SHARES = (0.0, 1.0)
_HAS_NUMPY = find_spec("numpy") is not None


@dataclass(frozen=True)
class GateContext:
    """One gate in its step, with the share of users who have the treatment, and the traffic."""

    step: Step
    share: float
    gate: Gate
    traffic: ExpectedTraffic | None

    @property
    def query_share(self) -> float:
        """Return the part of all queries that the gate's own reading covers."""
        return {"treatment": self.share, "control": 1 - self.share, "all": 1.0}[self.gate.cohort]

    @property
    def hold_hours(self) -> float:
        return self.step.hold.total_seconds() / 3600


def lint_warnings(plan: RolloutPlan, traffic: ExpectedTraffic | None) -> Iterator[Problem]:
    """Yield every reason for which a valid plan may not decide, with its place.

    ``traffic`` None: only the reasons that do not depend on the traffic.
    """
    yield from _unguarded_steps(plan)
    shares = [percentage / 100 for _, percentage in plan.exposures()]
    for index, (step, share_before) in enumerate(zip(plan.steps, [0.0, *shares], strict=False)):
        if step.delete_flag and share_before < 1:
            yield ("steps", index, "delete_flag"), f"{step.name}: {_exposure_jump(share_before)}"
    named = set()
    for place, gate in plan.rules():
        step = plan.steps[int(place[1])]
        spot = GateContext(step, shares[int(place[1])], gate, traffic)
        for text in _gate_warnings(plan, spot, str(place[2])):
            named.add(place)
            yield place, f"{step.name}/{gate.name}: {text}"
    if traffic is not None:
        # A gate whose reason is named above needs no second warning of its consequence.
        warnings = forecast_warnings(plan, traffic)
        yield from ((place, text) for place, text in warnings if place not in named)
    if traffic is not None and not _HAS_NUMPY:
        yield ("steps",), "the gates' times to detection are not computed: numpy is not installed"


def _unguarded_steps(plan: RolloutPlan) -> Iterator[Problem]:
    """Yield a warning for each step that exposes users while no red flag can act."""
    for index, (step, percentage) in enumerate(plan.exposures()):
        if percentage and all(flag.dry_run for flag in step.red_flags):
            yield (
                ("steps", index),
                f"{step.name}: {percentage:g}% of users are exposed without a red flag that acts: "
                "harm takes effect until the deadline; add red_flags",
            )


def _exposure_jump(share: float) -> str:
    return (
        f"deleting the flag gives the treatment to everybody, but until then only {share:.0%} have it; "
        "put a step at 100 before it"
    )


def _gate_warnings(plan: RolloutPlan, spot: GateContext, group: str) -> Iterator[str]:
    gate = spot.gate
    # A checklist's gate is read before its step.
    if group != "checklist" and gate.window > spot.step.hold:
        yield _window_warning(spot)
    if gate.kind is GateKind.STATISTICAL:
        yield from _power_warnings(plan, spot, "gates" if group == "gates" else "red_flags")
        return
    if warning := cohort_warning(gate, plan.metrics[gate.metric]):
        yield warning
    if gate.kind is GateKind.CONTROL and spot.share in _SINGLE_COHORT_SHARES and not gate.dry_run:
        yield f"there is only one cohort at {spot.share:.0%}: nothing to compare, it will hold"
    yield from _threshold_warnings(plan, gate)
    yield from _sample_warnings(plan, spot)
    yield from _false_alarm_warnings(plan, spot)


def _window_warning(spot: GateContext) -> str:
    """Describe a window that the step is too short for; the treatment's is cut where it went live."""
    cut = spot.gate.cohort == "treatment"
    effect = (
        "it covers the whole step, so late harm shows late"
        if cut
        else ("the reading mixes in what was before the step")
    )
    return (
        f"window {format_duration(spot.gate.window)} is longer than the step's hold "
        f"{format_duration(spot.step.hold)}: {effect}"
    )


def _threshold_warnings(plan: RolloutPlan, gate: Gate) -> Iterator[str]:
    if plan.metrics[gate.metric].unit != "ratio" or gate.kind is not GateKind.ABSOLUTE:
        return
    above = gate.direction == "above"
    if (above and gate.threshold > 1) or (not above and gate.threshold <= 0):
        yield f"no ratio is ever {gate.direction} {gate.threshold:.2%}: the gate can never pass"
    elif (above and gate.threshold <= 0) or (not above and gate.threshold > 1):
        yield f"every ratio is {gate.direction} {gate.threshold:.2%}: the gate can never fail"


def _sample_warnings(plan: RolloutPlan, spot: GateContext) -> Iterator[str]:
    gate, metric = spot.gate, plan.metrics[spot.gate.metric]
    compared = gate.kind in (GateKind.ABSOLUTE, GateKind.BASELINE, GateKind.CONTROL)
    if compared and metric.samples and not gate.min_samples and metric.unit in _AVERAGED_UNITS:
        yield "without min_samples a single request decides; say how many it needs"
    if spot.traffic is None or not counts_requests(plan, gate.metric):
        return
    expected = _queries_per_window(spot, spot.traffic)
    if 0 < expected < gate.min_samples:
        sufficient_window = gate.window * (gate.min_samples / expected)
        yield (
            f"expects {format_small(expected)} queries in {format_duration(gate.window)} "
            f"({spot.query_share:.0%} of {spot.traffic.queries_per_day:,.0f} a day) but needs "
            f"{gate.min_samples:,}: it will hold; a window of "
            f"{format_hours(sufficient_window.total_seconds() / 3600)} has them"
        )


def _false_alarm_warnings(plan: RolloutPlan, spot: GateContext) -> Iterator[str]:
    """Yield a warning when chance alone passes a fixed threshold of the error rate too often."""
    gate, traffic = spot.gate, spot.traffic
    fixed = gate.kind is GateKind.ABSOLUTE and gate.direction == "below"
    signal = traffic_signal(plan, gate.metric)
    if traffic is None or not fixed or signal is None or signal.kind is not SignalKind.ERROR_RATE:
        return
    units = math.floor(_queries_per_window(spot, traffic))
    rate = healthy_error_rate(plan, gate.metric, traffic)
    if units < max(gate.min_samples, 1) or rate >= gate.threshold:
        return
    events = max(math.ceil(gate.threshold * units), gate.min_events)
    chance = probability_at_least(events, units, rate)
    chance **= gate.consecutive
    if chance >= FALSE_ALARM_RATE_MIN:
        yield (
            f"with {units:,} queries in {format_duration(gate.window)}, a healthy error rate of "
            f"{rate:.2%} is not below {gate.threshold:.2%} in {chance:.0%} of looks "
            "by chance; widen the window, or use a statistical gate"
        )


def format_small(count: float) -> str:
    return f"{count:.1f}" if count < SMALL_COUNT else f"{count:,.0f}"


def probability_at_least(events: int, units: int, rate: float) -> float:
    """Return P(Binomial(units, rate) ≥ events)."""
    below = sum(math.exp(_log_binomial(k, units, rate)) for k in range(events))
    return min(max(1 - below, 0.0), 1.0)


def _log_binomial(events: int, units: int, rate: float) -> float:
    log_coefficient = (
        math.lgamma(units + 1) - math.lgamma(events + 1) - math.lgamma(units - events + 1)
    )
    return log_coefficient + events * math.log(rate) + (units - events) * math.log1p(-rate)


def _queries_per_window(spot: GateContext, traffic: ExpectedTraffic) -> float:
    hours = spot.gate.window.total_seconds() / 3600
    return traffic.queries_per_day / 24 * spot.query_share * hours


def _power_warnings(plan: RolloutPlan, spot: GateContext, place: RuleGroup) -> Iterator[str]:
    if spot.share in _SINGLE_COHORT_SHARES:
        yield f"there is only one cohort at {spot.share:.0%}: it can't show anything here"
        return
    if spot.traffic is None or not _HAS_NUMPY:
        return
    alpha = gate_alpha(plan, (place, spot.step.name), spot.gate)
    detection = _time_to_detect(plan, spot, spot.share, alpha)
    if detection is None or detection[1] <= spot.hold_hours:
        return
    change, hours = detection
    takes = f"can't be seen in a year{_margin_cause(plan, spot, alpha)}"
    if hours < math.inf:
        takes = f"needs {format_hours(hours)}"
    yield (
        f"at {spot.share:.0%} and {spot.traffic.queries_per_day:,.0f} requests a day, {change} "
        f"{takes}; the step holds {format_hours(spot.hold_hours)}{_suggestions(plan, spot, hours, alpha)}"
    )


def _margin_cause(plan: RolloutPlan, spot: GateContext, alpha: float) -> str:
    """Return the margin that hides the change, when the test would show it without."""
    metric = plan.metrics[spot.gate.metric]
    is_difference = isinstance(metric.statistic, MeanValue | BoundedMean | UserMeans)
    neutral = 0.0 if is_difference else 1.0
    margin = getattr(metric.statistic, "margin", neutral)
    statistic = metric.statistic and metric.statistic.model_copy(update={"margin": neutral})
    neutral_metric = metric.model_copy(update={"statistic": statistic})
    without = plan.model_copy(
        update={"metrics": {**plan.metrics, spot.gate.metric: neutral_metric}}
    )
    detection = _time_to_detect(without, spot, spot.share, alpha)
    if margin == neutral or detection is None or detection[1] == math.inf:
        return ""
    return (
        f" because margin: {margin:g} of {spot.gate.metric!r} allows it "
        f"(with margin: {neutral:g} it takes {format_hours(detection[1])})"
    )


def _suggestions(plan: RolloutPlan, spot: GateContext, hours: float, alpha: float) -> str:
    """Return the changes that make it visible: a longer hold, or the smallest sufficient share."""
    helps = [f"hold {format_hours(hours)}"] if hours < math.inf else []
    for percent in range(math.ceil(spot.share * 100) + 1, 51):
        detection = _time_to_detect(plan, spot, percent / 100, alpha)
        if detection is not None and detection[1] <= spot.hold_hours:
            helps.append(f"expose {percent} %")
            break
    return f"; {' or '.join(helps)}" if helps else ""


def _time_to_detect(
    plan: RolloutPlan, spot: GateContext, share: float, alpha: float
) -> tuple[str, float] | None:
    from sluice.rollout.plan.detection import time_to_detect  # noqa: PLC0415  needs numpy

    assert spot.traffic is not None  # noqa: S101  the caller looked
    return time_to_detect(plan.metrics[spot.gate.metric].statistic, share, spot.traffic, alpha)
