"""The times of a bundled scenario on a plan of another length."""

from datetime import timedelta

from sluice.rehearsal.traffic.scenario import FaultKind, Scenario, ScenarioFault
from sluice.rollout.plan.schema import RolloutPlan, Step
from sluice.rollout.units import whole_seconds

WINDOWS_MIN = 3
"""A fault lasts at least as many of its step's longest windows, or as long as the scenario says."""
_RATES = (FaultKind.MEMORY, FaultKind.REDIS, FaultKind.COMPLAINTS)
"""Kinds whose size is a rate over time."""


def fit_scenario(scenario: Scenario, plan: RolloutPlan) -> Scenario:
    """Return the scenario with faults placed in the plan's steps, and times in proportion.

    ``written_for`` is the hold of the step that the times were written for; without it they are
    absolute, and the scenario is returned as it is.
    """
    if scenario.written_for is None:
        return scenario
    fitted = tuple(_fit_fault(fault, scenario.written_for, plan) for fault in scenario.faults)
    return scenario.model_copy(update={"faults": fitted})


def _fit_fault(fault: ScenarioFault, written_for: timedelta, plan: RolloutPlan) -> ScenarioFault:
    step = fault.find_step(plan) or _most_exposing_step(plan)
    ratio = step.hold / written_for
    if ratio == 1:
        return fault.model_copy(update={"step": step.name, "percentage": None})
    size = fault.size
    if size is not None and fault.kind in _RATES:
        size /= ratio
    return fault.model_copy(
        update={
            "step": step.name,
            "percentage": None,
            "after": whole_seconds(fault.after * ratio),
            "duration": fault.duration and _visible(fault.duration, ratio, step),
            "ramp_up": whole_seconds(fault.ramp_up * ratio),
            "size": size,
        }
    )


def _visible(duration: timedelta, ratio: float, step: Step) -> timedelta:
    """Return the duration in proportion, long enough that the step's windows show it."""
    windows = [gate.window for gate in (*step.gates, *step.red_flags)]
    visible_min = WINDOWS_MIN * max(windows, default=timedelta(0))
    return max(whole_seconds(duration * ratio), min(duration, visible_min), timedelta(seconds=1))


def _most_exposing_step(plan: RolloutPlan) -> Step:
    return max(plan.steps, key=lambda step: step.percentage or 0)
