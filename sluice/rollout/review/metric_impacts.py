"""The guide's Metrics Impact: each metric before and after, and whether the difference is noise."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from sluice.rollout.analysis.gate import Gate, GateKind, Model
from sluice.rollout.analysis.verdict import Check, Verdict
from sluice.rollout.engine.state import State
from sluice.rollout.plan.schema import Step
from sluice.rollout.review.significance import is_significant

ImpactGroup = Literal["Latency", "Accuracy", "User satisfaction", "Other"]

SERIES_SUFFIX = {GateKind.TREND: " per hour", GateKind.STATISTICAL: ", evidence of harm"}
_SATISFACTION = ("reward", "complaint", "satisfaction", "rating")
_ACCURACY = ("accuracy", "correct", "precision", "recall")


class MetricImpact(Model):
    """One metric before (recorded baseline) and after (last check that measured it).

    ``is_significant``: the readings of the two steps differ by more than their noise.
    """

    group: ImpactGroup
    metric: str
    unit: str
    before: float | None
    after: float | None
    after_step: str = ""
    direction: str = "below"
    is_significant: bool = False

    @property
    def change(self) -> float | None:
        """Relative change, 0.1 is +10 %; None without both values, or when ``before`` is 0."""
        if self.before is None or self.after is None or self.before == 0:
            return None
        return self.after / self.before - 1

    @property
    def is_improvement(self) -> bool | None:
        """True for a change to the good side of the metric's gates; None without a change."""
        if not self.change:
            return None
        return (self.change < 0) == (self.direction == "below")


def metric_impacts(state: State, checks: Sequence[Check]) -> Iterator[MetricImpact]:
    """Compare each baseline with the metric's last value."""
    after = _last_measured(state, checks)
    for gate in state.plan.baselines:
        before = state.baseline.get(gate.metric)
        step, last_gate, verdict = after.get(gate.metric, ("", gate, None))
        yield MetricImpact(
            group=impact_group(gate.metric, state.plan.metrics[gate.metric].unit),
            metric=gate.metric,
            unit=state.plan.metrics[gate.metric].unit,
            before=before.value if before else None,
            after=verdict.value if verdict else None,
            after_step=step,
            direction=last_gate.direction,
            is_significant=_is_significant(state, checks, (step, last_gate)),
        )


def _is_significant(state: State, checks: Sequence[Check], after: tuple[str, Gate]) -> bool:
    """Compare the readings of the steps that record the baseline with those of the last step."""
    step, gate = after
    baseline_steps = {plan_step.name for plan_step in state.plan.steps if plan_step.record_baseline}
    before = _readings(state, checks, (baseline_steps, gate))
    return is_significant(before, _readings(state, checks, ({step}, gate)))


def _readings(
    state: State, checks: Sequence[Check], steps_and_gate: tuple[set[str], Gate]
) -> list[float]:
    """Return the values of a metric in these steps, one a window: overlapping ones repeat."""
    steps, target_gate = steps_and_gate
    values: list[float] = []
    last_at: datetime | None = None
    for check in (check for check in checks if check.step in steps):
        for gate, verdict in gate_verdicts(state.plan.step(check.step), check):
            is_wanted = gate.metric == target_gate.metric and gate.kind not in SERIES_SUFFIX
            if not is_wanted or verdict.value is None:
                continue
            if last_at is None or check.at - last_at >= gate.window:
                values.append(verdict.value)
                last_at = check.at
    return values


def impact_group(metric: str, unit: str) -> ImpactGroup:
    """Return the metric's line under the guide's Metrics Impact, chosen by name and unit."""
    if any(word in metric for word in _SATISFACTION):
        return "User satisfaction"
    if any(word in metric for word in _ACCURACY):
        return "Accuracy"
    return "Latency" if unit == "seconds" else "Other"


def _last_measured(state: State, checks: Sequence[Check]) -> dict[str, tuple[str, Gate, Verdict]]:
    """Return each metric's last value after the baseline; the treatment's where it was measured."""
    last: dict[str, tuple[str, Gate, Verdict]] = {}
    for check in checks:
        step = state.plan.step(check.step)
        for gate, verdict in gate_verdicts(step, check):
            if step.record_baseline or gate.kind in SERIES_SUFFIX or verdict.value is None:
                continue
            earlier = last.get(gate.metric)
            if earlier and earlier[1].cohort == "treatment" and gate.cohort != "treatment":
                continue
            last[gate.metric] = (step.name, gate, verdict)
    return last


def gate_verdicts(step: Step, check: Check) -> Iterator[tuple[Gate, Verdict]]:
    """Yield each verdict of a check with its gate."""
    gates = {gate.name: gate for gate in step.gates}
    for verdict in check.verdicts:
        if verdict.gate in gates:
            yield gates[verdict.gate], verdict
