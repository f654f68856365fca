"""Thresholds and percentages whose written form does not fit, or could mean something else.

Checked on the file's own text: once read, ``2x``, ``500ms`` and ``+100%`` are plain numbers.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sluice.rollout.analysis.gate import RELATIVE_KINDS, Gate, GateKind
from sluice.rollout.plan.flag_values import parse_percentage
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.units import ThresholdForm, parse_threshold, threshold_form
from sluice.rollout.yaml_document import Problem
from sluice.rollout.yaml_nodes import Location

_PERCENT_UNITS = ("ratio", "score")
_BARE_SECONDS_MAX = 60
"""The most seconds of a threshold without unit: more were perhaps meant as milliseconds."""


def check_thresholds(plan: RolloutPlan, data: Any) -> Iterator[Problem]:  # noqa: ANN401  YAML is anything
    """Yield the problems of every rule's ``threshold`` and ``floor`` as ``data`` writes them."""
    for place, gate in plan.rules():
        metric = plan.metrics.get(gate.metric)
        if metric is None or gate.kind is GateKind.STATISTICAL:
            continue
        if gate.min_events and (metric.unit != "ratio" or gate.direction == "above"):
            yield (
                (*place, "min_events"),
                "counts events among samples: it belongs to a gate of unit: ratio below a threshold",
            )
        elif gate.min_events and metric.samples is None:
            yield (*place, "min_events"), f"needs samples: of the metric {gate.metric!r}"
        for field, problem_of in (("threshold", _threshold_problem), ("floor", _absolute_problem)):
            raw_value = _look_up(data, (*place, field))
            form = threshold_form(raw_value)
            if form and (problem := problem_of(gate, metric.unit, raw_value, form)):
                yield (*place, field), problem


def check_percentages(plan: RolloutPlan, data: Any) -> Iterator[Problem]:  # noqa: ANN401  YAML is anything
    """Yield each percentage below 1 that could be meant as a share: ``0.25`` for a quarter."""
    places: list[Location] = [("steps", index, "percentage") for index in range(len(plan.steps))]
    graceful = plan.rollbacks.graceful
    levels = len(graceful.percentages) if graceful else 0
    places += [("rollbacks", "graceful", "percentages", index) for index in range(levels)]
    for place in places:
        raw_value = _look_up(data, place)
        if raw_value is None and "percentage" in _step(data, place):
            yield (
                place,
                "is null; write a number, or remove the line to leave the users as they are",
            )
        value = (
            parse_percentage(raw_value) if threshold_form(raw_value) is ThresholdForm.NUMBER else 0
        )
        if 0 < value < 1:
            yield (
                place,
                f"{raw_value} is ambiguous; write {value:g}% or, as a share, {100 * value:g}%",
            )


def _threshold_problem(gate: Gate, unit: str, raw_value: object, form: ThresholdForm) -> str:
    if gate.kind in RELATIVE_KINDS:
        return _relative_problem(gate, raw_value, form)
    return _absolute_problem(gate, unit, raw_value, form)


def _relative_problem(gate: Gate, raw_value: object, form: ThresholdForm) -> str:
    if form in (ThresholdForm.CHANGE, ThresholdForm.FACTOR):
        return ""
    value = parse_threshold(raw_value)
    if form is ThresholdForm.DURATION:
        return (
            f"{raw_value!r} is a time, but a {gate.kind} gate takes a change of its reference; "
            "write for example +10% or 2x"
        )
    if value == 0:
        return ""
    meaning = f"{round(100 * value, 6):+g}%"
    fix = f"{meaning} or, as a factor, {raw_value}x" if form is ThresholdForm.NUMBER else meaning
    return f"{raw_value!r} of a {gate.kind} gate is ambiguous: it would change by {meaning}; write {fix}"


def _absolute_problem(gate: Gate, unit: str, raw_value: object, form: ThresholdForm) -> str:
    if form is ThresholdForm.FACTOR:
        return f"{raw_value!r} is relative; set kind: baseline or control, or write a plain value"
    if form is ThresholdForm.CHANGE and not (gate.kind is GateKind.TREND and unit == "ratio"):
        return f"{raw_value!r} is relative; set kind: baseline or control, or leave out the sign"
    if form is ThresholdForm.DURATION and unit != "seconds":
        return f"{raw_value!r} is a time, but the metric's unit is {unit}; write a plain number"
    if form is ThresholdForm.PERCENT and unit not in _PERCENT_UNITS:
        return f"{raw_value!r} is a share, but the metric's unit is {unit}; write a plain number"
    if form is ThresholdForm.NUMBER and unit == "seconds" and _is_long(gate, raw_value):
        return f"{raw_value!r} has no unit; write for example {raw_value}ms or {raw_value}s"
    return ""


def _is_long(gate: Gate, raw_value: object) -> bool:
    return gate.kind is not GateKind.TREND and abs(parse_threshold(raw_value)) > _BARE_SECONDS_MAX


def _step(data: Any, place: Location) -> Any:  # noqa: ANN401  YAML is anything
    """Return the step of a place in one as the file writes it."""
    return _look_up(data, place[:2]) if place[0] == "steps" else ()


def _look_up(data: Any, place: Location) -> object:  # noqa: ANN401  YAML is anything
    """Return the value as written; None where the file leaves it to a default."""
    for part in place:
        if data is None:
            return None
        data = data.get(part) if isinstance(data, Mapping) else data[part]
    return data
