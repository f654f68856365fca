"""The guide's Metrics Impact: each metric before and after.

The difference is of two times, so it shows no effect of the treatment (``control_comparison`` does).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sluice.rollout.analysis.gate import Gate, GateKind
from sluice.rollout.analysis.verdict import Check, Verdict
from sluice.rollout.engine.state import State
from sluice.rollout.plan.schema import Step

ImpactGroup = Literal["Latency", "Accuracy", "User satisfaction", "Other"]

SERIES_SUFFIX = {GateKind.TREND: " per hour", GateKind.STATISTICAL: ", evidence of harm"}
_SATISFACTION = ("reward", "complaint", "satisfaction", "rating")
_ACCURACY = ("accuracy", "correct", "precision", "recall")


@dataclass(frozen=True, kw_only=True)
class MetricImpact:
    """One metric before (recorded baseline) and after (last check that measured it)."""

    group: ImpactGroup
    metric: str
    unit: str
    before: float | None
    after: float | None
    after_step: str = ""

    @property
    def change(self) -> float | None:
        """Relative change, 0.1 is +10 %; None without both values, or when ``before`` is 0."""
        if self.before is None or self.after is None or self.before == 0:
            return None
        return self.after / self.before - 1


def metric_impacts(state: State, checks: Sequence[Check]) -> Iterator[MetricImpact]:
    """Compare each baseline with the metric's last value."""
    after = _last_measured(state, checks)
    for gate in state.plan.baselines:
        before = state.baseline.get(gate.metric)
        step, verdict = after.get(gate.metric, ("", None))
        yield MetricImpact(
            group=impact_group(gate.metric, state.plan.metrics[gate.metric].unit),
            metric=gate.metric,
            unit=state.plan.metrics[gate.metric].unit,
            before=before.value if before else None,
            after=verdict.value if verdict else None,
            after_step=step,
        )


def impact_group(metric: str, unit: str) -> ImpactGroup:
    """Return the metric's line under the guide's Metrics Impact, chosen by name and unit."""
    if any(word in metric for word in _SATISFACTION):
        return "User satisfaction"
    if any(word in metric for word in _ACCURACY):
        return "Accuracy"
    return "Latency" if unit == "seconds" else "Other"


def _last_measured(state: State, checks: Sequence[Check]) -> dict[str, tuple[str, Verdict]]:
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
    return {metric: (step_name, verdict) for metric, (step_name, _, verdict) in last.items()}


def gate_verdicts(step: Step, check: Check) -> Iterator[tuple[Gate, Verdict]]:
    """Yield each verdict of a check with its gate."""
    gates = {gate.name: gate for gate in step.gates}
    for verdict in check.verdicts:
        if verdict.gate in gates:
            yield gates[verdict.gate], verdict
