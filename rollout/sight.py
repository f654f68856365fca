"""What the gates of a plan can and cannot see: computed from the plan and the expected traffic.

``sluice lint`` prints it. A plan with such warnings runs; it just may not decide, or not in time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rollout.exposure import Place, alpha_of
from rollout.gate import Gate, GateKind
from rollout.plan import Expected, RolloutPlan, Step
from rollout.quantity import format_duration
from rollout.statistic import Affected, Mean, Rate, Slow, Tail
from rollout.stats.affected import AffectedTest
from rollout.stats.counts import CountTest
from rollout.stats.means import MeanTest
from rollout.stats.power import (
    Rates,
    Traffic,
    format_hours,
    hours_to_detect,
    hours_to_detect_affected,
    hours_to_detect_mean,
)
from rollout.stats.slow import SlowTest
from rollout.stats.tail import TailTest
from rollout.strict_yaml import Found
from rollout.weigh import NOT_OF_THE_TEST

SLOW_RATE = 0.01
"""The slow requests that a latency gate is asked about: the p99's own."""
ALARMS_WORTH_TELLING = 0.05
FEW = 10
_ASKS_QUERIES = "router_queries_total"
_AVERAGES = ("ratio", "seconds", "score")
_TWO_COHORTS = (0.0, 1.0)


@dataclass(frozen=True)
class Spot:
    """One gate where it stands: its step, the share of users with treatment, and what comes by."""

    step: Step
    share: float
    gate: Gate
    traffic: Expected | None

    @property
    def part(self) -> float:
        """Part of all queries that the gate's own reading rests on."""
        return {"treatment": self.share, "control": 1 - self.share, "all": 1.0}[self.gate.cohort]

    @property
    def hold_hours(self) -> float:
        return self.step.hold.total_seconds() / 3600


def warnings(plan: RolloutPlan, traffic: Expected | None) -> Iterator[Found]:
    """Everything in a valid plan that may keep it from deciding, with its place.

    ``traffic`` None: only what can be told without knowing how much comes by.
    """
    share = 0.0
    shares = []
    for index, step in enumerate(plan.steps):
        if step.delete_flag and share < 1:
            yield ("steps", str(index), "delete_flag"), f"{step.name}: {_leap(share)}"
        share = share if step.percentage is None else step.percentage / 100
        shares.append(1.0 if step.delete_flag else share)
    for place, gate in plan.rules():
        step = plan.steps[int(place[1])]
        spot = Spot(step, shares[int(place[1])], gate, traffic)
        for text in _about(plan, spot, in_gates=place[2] == "gates"):
            yield place, f"{step.name}/{gate.name}: {text}"


def _leap(share: float) -> str:
    return (
        f"deleting the flag gives the treatment to everybody, but until then only {share:.0%} have it; "
        "put a step at 100 before it"
    )


def _about(plan: RolloutPlan, spot: Spot, *, in_gates: bool) -> Iterator[str]:
    gate = spot.gate
    if in_gates and gate.window > spot.step.hold:
        yield (
            f"window {format_duration(gate.window)} is longer than the step's hold "
            f"{format_duration(spot.step.hold)}: the reading mixes in what was before the step"
        )
    if gate.kind is GateKind.STATISTICAL:
        yield from _statistical(plan, spot, "gates" if in_gates else "red_flags")
        return
    yield from _threshold(plan, gate)
    yield from _samples(plan, spot)
    yield from _false_alarms(plan, spot)


def _threshold(plan: RolloutPlan, gate: Gate) -> Iterator[str]:
    if plan.metrics[gate.metric].unit != "ratio" or gate.kind is not GateKind.ABSOLUTE:
        return
    above = gate.direction == "above"
    if (above and gate.threshold > 1) or (not above and gate.threshold <= 0):
        yield f"no ratio is ever {gate.direction} {gate.threshold:.2%}: the gate can never pass"
    elif (above and gate.threshold <= 0) or (not above and gate.threshold > 1):
        yield f"every ratio is {gate.direction} {gate.threshold:.2%}: the gate can never fail"


def _samples(plan: RolloutPlan, spot: Spot) -> Iterator[str]:
    gate, metric = spot.gate, plan.metrics[spot.gate.metric]
    compared = gate.kind in (GateKind.ABSOLUTE, GateKind.BASELINE, GateKind.CONTROL)
    if compared and metric.samples and not gate.min_samples and metric.unit in _AVERAGES:
        yield "without min_samples a single request decides; say how many it needs"
    if spot.traffic is None or _ASKS_QUERIES not in (metric.samples or ""):
        return
    expected = _per_window(spot, spot.traffic)
    if 0 < expected < gate.min_samples:
        enough = gate.window * (gate.min_samples / expected)
        yield (
            f"expects {format_few(expected)} queries in {format_duration(gate.window)} "
            f"({spot.part:.0%} of {spot.traffic.queries_per_day:,.0f} a day) but needs "
            f"{gate.min_samples:,}: it will hold; a window of "
            f"{format_hours(enough.total_seconds() / 3600)} has them"
        )


def _false_alarms(plan: RolloutPlan, spot: Spot) -> Iterator[str]:
    """How often a fixed threshold of the error rate is passed by chance alone."""
    gate, traffic = spot.gate, spot.traffic
    fixed = gate.kind is GateKind.ABSOLUTE and gate.direction == "below"
    if traffic is None or not fixed or 'outcome="error"' not in plan.metrics[gate.metric].query:
        return
    units = math.floor(_per_window(spot, traffic))
    if units < max(gate.min_samples, 1) or traffic.error_rate >= gate.threshold:
        return
    chance = chance_at_least(math.ceil(gate.threshold * units), units, traffic.error_rate)
    chance **= gate.consecutive
    if chance >= ALARMS_WORTH_TELLING:
        yield (
            f"with {units:,} queries in {format_duration(gate.window)}, a healthy error rate of "
            f"{traffic.error_rate:.2%} is not below {gate.threshold:.2%} in {chance:.0%} of looks "
            "by chance; widen the window, or use a statistical gate"
        )


def format_few(count: float) -> str:
    return f"{count:.1f}" if count < FEW else f"{count:,.0f}"


def chance_at_least(events: int, units: int, rate: float) -> float:
    """P(Binomial(units, rate) ≥ events)."""
    below = sum(math.exp(_log_binomial(k, units, rate)) for k in range(events))
    return min(max(1 - below, 0.0), 1.0)


def _log_binomial(events: int, units: int, rate: float) -> float:
    ways = math.lgamma(units + 1) - math.lgamma(events + 1) - math.lgamma(units - events + 1)
    return ways + events * math.log(rate) + (units - events) * math.log1p(-rate)


def _per_window(spot: Spot, traffic: Expected) -> float:
    hours = spot.gate.window.total_seconds() / 3600
    return traffic.queries_per_day / 24 * spot.part * hours


def _statistical(plan: RolloutPlan, spot: Spot, place: Place) -> Iterator[str]:
    if spot.share in _TWO_COHORTS:
        yield f"there is no second cohort at {spot.share:.0%}: it says nothing here"
        return
    if spot.traffic is None:
        return
    alpha = alpha_of(plan, place, spot.gate)
    found = _needed(plan, spot, spot.traffic, alpha)
    if found is None or found[1] <= spot.hold_hours:
        return
    change, hours = found
    takes = f"needs {format_hours(hours)}" if hours < math.inf else "can't be seen in a year"
    yield (
        f"at {spot.share:.0%} and {spot.traffic.queries_per_day:,.0f} requests a day, {change} "
        f"{takes}; the step holds {format_hours(spot.hold_hours)}{_help(plan, spot, hours, alpha)}"
    )


def _help(plan: RolloutPlan, spot: Spot, hours: float, alpha: float) -> str:
    """What would make it visible: a longer hold, or the smallest share that shows it in time."""
    assert spot.traffic is not None  # noqa: S101  the caller looked
    helps = [f"hold {format_hours(hours)}"] if hours < math.inf else []
    for percent in range(math.ceil(spot.share * 100) + 1, 51):
        wider = Spot(spot.step, percent / 100, spot.gate, spot.traffic)
        found = _needed(plan, wider, spot.traffic, alpha)
        if found is not None and found[1] <= spot.hold_hours:
            helps.append(f"expose {percent} %")
            break
    return f"; {' or '.join(helps)}" if helps else ""


def _needed(
    plan: RolloutPlan, spot: Spot, traffic: Expected, alpha: float
) -> tuple[str, float] | None:
    """The change that the gate is asked about, and the hours it needs; None when not known."""
    comes = Traffic(per_hour=traffic.queries_per_day / 24, share=spot.share)
    people = comes.model_copy(update={"users": traffic.users or math.inf})
    doubled = Rates(control=traffic.error_rate, treatment=min(2 * traffic.error_rate, 0.99))
    match plan.metrics[spot.gate.metric].statistic:
        case Rate() as rate:
            test = CountTest(margin=rate.margin)
            hours = hours_to_detect(test, comes, doubled, alpha)
            return f"a doubling of a {traffic.error_rate:.2%} error rate", hours
        case Tail() as tail:
            edge = TailTest(edges=tail.edges, margin=tail.margin).at(tail.edges[-1])
            slow = Rates(control=SLOW_RATE, treatment=3 * SLOW_RATE)
            hours = hours_to_detect(edge, comes, slow, alpha / len(tail.edges))
            return "three times as many of the slowest 1 %", hours
        case Mean() as mean:
            lost = MeanTest(**mean.model_dump(exclude=NOT_OF_THE_TEST))
            rates = {"per_hour": comes.per_hour * traffic.feedback_share}
            rated = (people if mean.of_users else comes).model_copy(update=rates)
            worse_by = mean.margin + mean.tolerance
            change = f"a mean worse by {worse_by:g}"
            return change, hours_to_detect_mean(lost, rated, worse_by, alpha)
        case Affected() as affected:
            users = AffectedTest(margin=affected.margin)
            hours = hours_to_detect_affected(users, people, doubled, alpha)
            return f"a doubling of a {traffic.error_rate:.2%} error rate", hours
        case Slow() as waits:
            first = SlowTest(edges=waits.edges, margin=waits.margin).at(waits.edges[-1])
            slow = Rates(control=SLOW_RATE, treatment=3 * SLOW_RATE)
            hours = hours_to_detect_affected(first, people, slow, alpha / len(waits.edges))
            return "three times as many of the slowest 1 %", hours
        case _:
            return None
