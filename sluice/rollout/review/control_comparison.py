"""The treatment beside the control of the same hours: what a post-mortem may call better or worse.

A metric differs from its baseline for many reasons: the week, the season, another release. Only an
interval against the concurrent control, valid at every look, shows what the treatment did.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.value_format import format_effect
from sluice.rollout.analysis.verdict import Effect
from sluice.rollout.engine.state import State
from sluice.rollout.plan.alpha_budget import RuleGroup, gate_alpha, statistical_gates


@dataclass(frozen=True, kw_only=True)
class ControlComparison:
    """The last that a statistical gate knew of the treatment's effect, in ``step``."""

    metric: str
    gate: str
    step: str
    effect: Effect
    higher_is_better: bool = False

    @property
    def is_improvement(self) -> bool | None:
        """True or False where the interval leaves out "no difference"; None while it holds it."""
        unchanged, low, high = self.effect.unchanged, self.effect.low, self.effect.high
        if low is not None and low > unchanged:
            return self.higher_is_better
        if high is not None and high < unchanged:
            return not self.higher_is_better
        return None

    @property
    def text(self) -> str:
        """The effect with its interval, and where it was measured."""
        return f"{format_effect(self.effect)} in {self.step}"


def control_comparisons(state: State) -> Iterator[ControlComparison]:
    """Yield the newest comparison of each statistical gate, in the plan's order."""
    for group in get_args(RuleGroup):
        for gate in _gates_once(state, group):
            track = state.sequential_states.get(f"{group}/{gate.name}")
            if track is None or track.until is None:
                continue
            from sluice.rollout.analysis.sequential_gate import shown_effect  # noqa: PLC0415  numpy: slow

            metric, step_name = state.plan.metrics[gate.metric], _step_at(state, track.until)
            alpha = gate_alpha(state.plan, (group, step_name), gate)
            effect = shown_effect(gate, metric, track, alpha)
            if effect is not None and effect.estimate is not None:
                yield ControlComparison(
                    metric=gate.metric,
                    gate=gate.name,
                    step=step_name,
                    effect=effect,
                    higher_is_better=getattr(metric.statistic, "higher_is_better", False),
                )


def _gates_once(state: State, group: RuleGroup) -> list[Gate]:
    """Return the plan's statistical gates of a group; one in several steps is one gate."""
    gates = (gate for step in state.plan.steps for gate in statistical_gates(getattr(step, group)))
    return list({gate.name: gate for gate in gates}.values())


def _step_at(state: State, at: datetime) -> str:
    """Return the step that was live shortly before ``at``."""
    entered = [event for event in state.timeline if event.kind == "step" and event.at < at]
    return (entered[-1].step if entered else None) or state.plan.steps[state.step_index].name
