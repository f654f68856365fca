"""Fit a plan's fixed thresholds to the team's traffic: windows, sample counts, holds. Pure.

A p99 of 20 queries is the slowest of them, and one failure of 20 is 5 %. A window that holds enough
queries, also at night, keeps chance from deciding. Where even the longest useful window is too short,
a red flag becomes a dry run: the statistical red flags beside it take its place.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec

from sluice.rollout.analysis.gate import RELATIVE_KINDS, Gate, GateKind
from sluice.rollout.analysis.metric_model import SignalKind
from sluice.rollout.analysis.signal_inference import InferredSignal
from sluice.rollout.analysis.tracks import FIRST_ATTEMPT_SHARE
from sluice.rollout.plan.alpha_budget import gate_alpha
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan, Step
from sluice.rollout.plan.traffic_signal import counts_requests, healthy_error_rate, traffic_signal
from sluice.rollout.units import format_duration

_WINDOW_MINUTES = (1 / 6, 1 / 2, 1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880)
WINDOWS = tuple(timedelta(minutes=minutes) for minutes in _WINDOW_MINUTES)
RED_FLAG_WINDOW_MAX = timedelta(hours=6)
NIGHT_SHARE = 0.35
"""Traffic at night and at weekends, as a part of the mean."""
P99_SAMPLES_DOUBLED, P99_SAMPLES_ABSOLUTE, P99_SAMPLES_TENTH = 800, 4_000, 20_000
"""Queries for which a log-normal p99 keeps within twice, a quarter above, and a tenth above its mean."""
EVENTS_SPREAD, DEVIATIONS = 4.0, 5.0
"""Failures of one user come together: their count varies four times as much as independent ones."""
REWARDS_GATE, REWARDS_RED_FLAG = 400, 100
"""Rewards whose mean keeps within 0.06, and within 0.12, of the true one."""
_SECONDS_PER_DAY = 86_400
CHECKS_MAX, BLOCKS_MAX = 672, 2_880
"""Checks and blocks of evidence in a whole fitted rollout: as many checks as four weeks have hours."""


@dataclass(frozen=True)
class FittedGate:
    """One change: the gate's place, and the gate before and after."""

    step: str
    before: Gate
    after: Gate

    def text(self) -> str:
        """Say the change in one line."""
        changes = [
            f"{name}: {_format(getattr(self.before, name))} → {_format(getattr(self.after, name))}"
            for name in ("window", "min_samples", "threshold", "consecutive", "dry_run")
            if getattr(self.before, name) != getattr(self.after, name)
        ]
        return f"{self.step}/{self.before.name}: {', '.join(changes)}"


def _format(value: object) -> str:
    return format_duration(value) if isinstance(value, timedelta) else f"{value}"


def fit_plan(plan: RolloutPlan, traffic: ExpectedTraffic) -> tuple[RolloutPlan, list[FittedGate]]:
    """Return the plan with windows, samples and holds that suit the traffic, and its changes."""
    steps: list[Step] = []
    for step, percentage in plan.exposures():
        fitted = {
            group: tuple(
                _fit_gate(plan, gate, (traffic, percentage / 100), is_red_flag=group == "red_flags")
                for gate in getattr(step, group)
            )
            for group in ("gates", "red_flags")
        }
        steps.append(_with_longer_hold(step, fitted["gates"], fitted["red_flags"]))
    steps = _slower(plan.steps, steps)
    changes = [
        change
        for written, fitted_step in zip(plan.steps, steps, strict=True)
        for change in _changes(written, fitted_step)
    ]
    baselines = tuple(_fit_baseline(plan, gate, traffic) for gate in plan.baselines)
    update = {"steps": tuple(steps), "baselines": baselines, "traffic": traffic}
    return plan.model_copy(update=update), changes


def _slower(written: Sequence[Step], fitted: Sequence[Step]) -> list[Step]:
    """Check less often in a rollout that became much longer, and gather evidence in longer blocks."""
    total, before = (sum((step.hold for step in steps), timedelta()) for steps in (fitted, written))
    if total <= 2 * before:
        return list(fitted)
    interval = timedelta(minutes=math.ceil(total / CHECKS_MAX / timedelta(minutes=1)))
    block = next(window for window in (*WINDOWS, total) if window >= total / BLOCKS_MAX)
    return [
        step.model_copy(
            update={
                "interval": max(step.interval, interval),
                "deadline": max(step.deadline, step.hold + step.stable_for + 2 * interval),
                **{name: _in_blocks(getattr(step, name), block) for name in ("gates", "red_flags")},
            }
        )
        for step in fitted
    ]


def _in_blocks(gates: tuple[Gate, ...], block: timedelta) -> tuple[Gate, ...]:
    """Return the gates with statistical ones' blocks at least so long."""
    return tuple(
        gate.model_copy(update={"window": max(gate.window, block)})
        if gate.kind is GateKind.STATISTICAL
        else gate
        for gate in gates
    )


def _changes(written: Step, fitted: Step) -> Iterator[FittedGate]:
    for group in ("gates", "red_flags"):
        for before, after in zip(getattr(written, group), getattr(fitted, group), strict=True):
            if before != after:
                yield FittedGate(written.name, before, after)


def _fit_baseline(plan: RolloutPlan, gate: Gate, traffic: ExpectedTraffic) -> Gate:
    """Record it over a window with as many samples as the strictest relative gate needs."""
    metric = plan.metrics[gate.metric]
    if metric.unit != "seconds" or not counts_requests(plan, gate.metric):
        return gate
    return gate.model_copy(
        update={"window": max(gate.window, _window(P99_SAMPLES_TENTH, traffic, 1.0))}
    )


def _window(samples: int, traffic: ExpectedTraffic, part: float) -> timedelta:
    """Return the shortest window in which a ``part`` of all queries has so many samples at night."""
    per_second = traffic.queries_per_day / _SECONDS_PER_DAY
    seconds = samples / (per_second * max(part, 1e-9) * NIGHT_SHARE)
    return next((window for window in WINDOWS if window.total_seconds() >= seconds), WINDOWS[-1])


def _fit_gate(
    plan: RolloutPlan, gate: Gate, comes: tuple[ExpectedTraffic, float], *, is_red_flag: bool
) -> Gate:
    metric, (traffic, share) = plan.metrics[gate.metric], comes
    if gate.claim == "non_inferiority":
        return _fit_success_criterion(plan, gate, comes)
    per_second = traffic.queries_per_day / _SECONDS_PER_DAY
    part = {"treatment": share, "control": 1 - share, "all": 1.0}[gate.cohort]
    if metric.unit == "per_second" and gate.direction == "above" and gate.cohort == "control":
        lowest = round(0.1 * per_second, 3)
        return gate.model_copy(update={"threshold": min(gate.threshold, lowest)})
    needed = samples_needed(plan, gate, traffic)
    if _is_reward(plan, gate) and metric.samples and gate.kind is GateKind.ABSOLUTE:
        needed, part = (
            REWARDS_RED_FLAG if is_red_flag else REWARDS_GATE,
            part * traffic.feedback_share,
        )
    if not needed or not part:
        return gate
    smallest = min(part, 1 - part) if gate.kind is GateKind.CONTROL else part
    window = max(gate.window, _window(needed, traffic, smallest))
    if is_red_flag and window > RED_FLAG_WINDOW_MAX:
        return gate.model_copy(update={"dry_run": True})
    expected = per_second * smallest * window.total_seconds() * NIGHT_SHARE
    samples = max(gate.min_samples, min(needed, math.floor(expected)))
    consecutive = gate.consecutive if window == gate.window else 1
    return gate.model_copy(
        update={"window": window, "min_samples": samples, "consecutive": consecutive}
    )


def _fit_success_criterion(
    plan: RolloutPlan, gate: Gate, comes: tuple[ExpectedTraffic, float]
) -> Gate:
    """Make it a dry run where a treatment as good as control could not show it in the step's hold."""
    traffic, share = comes
    if find_spec("numpy") is None or not 0 < share < 1:
        return gate
    from sluice.rollout.plan.detection import hours_to_show_non_inferiority  # noqa: PLC0415  numpy

    steps = [step for step in plan.steps if gate in step.gates]
    alpha = min(gate_alpha(plan, ("gates", step.name), gate) for step in steps)
    statistic = plan.metrics[gate.metric].statistic
    hours = hours_to_show_non_inferiority(statistic, share, traffic, alpha * FIRST_ATTEMPT_SHARE)
    holds = [step.hold - step.stable_for for step in steps]
    is_late = any(hours > hold.total_seconds() / 3600 for hold in holds)
    return gate.model_copy(update={"dry_run": True}) if is_late else gate


def _is_reward(plan: RolloutPlan, gate: Gate) -> bool:
    signal = traffic_signal(plan, gate.metric)
    return signal is not None and signal.kind is SignalKind.REWARD


def samples_needed(plan: RolloutPlan, gate: Gate, traffic: ExpectedTraffic) -> int:
    """Return how many queries keep chance from deciding the gate; 0 where none are counted."""
    metric = plan.metrics[gate.metric]
    if gate.kind in (GateKind.STATISTICAL, GateKind.TREND, GateKind.PRESENCE):
        return 0
    if not counts_requests(plan, gate.metric):
        return 0
    if metric.unit == "seconds":
        if gate.kind in RELATIVE_KINDS:
            return P99_SAMPLES_DOUBLED if gate.threshold >= 1 else P99_SAMPLES_TENTH
        return P99_SAMPLES_ABSOLUTE
    rate, allowed = healthy_error_rate(plan, gate.metric, traffic), _failures_allowed(plan, gate)
    if allowed is None or allowed <= rate:
        return 0
    return math.ceil(DEVIATIONS**2 * EVENTS_SPREAD * rate / (allowed - rate) ** 2)


def _failures_allowed(plan: RolloutPlan, gate: Gate) -> float | None:
    """Return the share of failures at which the gate fails; None for a metric of another kind."""
    signal = traffic_signal(plan, gate.metric)
    match signal:
        case InferredSignal(kind=SignalKind.ERROR_RATE) if gate.direction == "below":
            return gate.threshold
        case InferredSignal(kind=SignalKind.SUCCESS_RATE) if gate.direction == "above":
            return 1 - gate.threshold
    return None


def _with_longer_hold(step: Step, gates: tuple[Gate, ...], red_flags: tuple[Gate, ...]) -> Step:
    """Hold at least as long as the longest window that decides, and until checks were stable after it."""
    longest = max((gate.window for gate in gates if not gate.dry_run), default=timedelta(0))
    hold = max(step.hold, min(longest, WINDOWS[-1]) + step.stable_for)
    deadline = step.deadline + (hold - step.hold)
    update = {"gates": gates, "red_flags": red_flags, "hold": hold, "deadline": deadline}
    return step.model_copy(update=update)
