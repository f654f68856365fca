"""Edits of a plan's rules, as people write them: ``ramp-25.latency_p99.threshold=0.8``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import ValidationError

from sluice.rollout.analysis.gate import Gate, GateKind
from sluice.rollout.errors import OverrideError
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.units import format_duration
from sluice.rollout.yaml_document import problems_in

REPLAYABLE_FIELDS = (
    "threshold", "direction", "floor", "min_samples", "on_no_data", "on_inconclusive",
    "consecutive", "dry_run", "severity",
)  # fmt: skip
"""Fields that change only what is made of a reading."""
UNREPLAYABLE_FIELDS = {
    "window": "readings over another window were never taken",
    "metric": "another metric was never measured",
    "cohort": "another cohort was never measured",
    "kind": "what it would be compared with was never measured",
    "claim": "the evidence was gathered for the other claim",
    "weight": "the evidence was weighed at another part of α",
}
_STATISTICAL_FIELDS = ("dry_run", "severity", "consecutive")


@dataclass(frozen=True)
class Override:
    """One field of one rule; ``value`` is still text."""

    step: str
    gate: str
    field: str
    value: str

    @property
    def text(self) -> str:
        return f"{self.step}.{self.gate}.{self.field}={self.value}"


@dataclass(frozen=True)
class RuleRef:
    """A rule as it was judged by, in a step; ``place`` as in the plan."""

    step: str
    group: str
    gate: Gate


def parse_override(text: str, rules: Sequence[RuleRef]) -> Override:
    """Read one edit of the recorded ``rules``.

    Raises:
        OverrideError: it names a step, gate or field that isn't there (and lists what is), or a field
            that recorded readings can't be judged by again (and says why).
    """
    place, equals, value = text.partition("=")
    path, dot, field = place.strip().rpartition(".")
    if not equals or not dot:
        raise OverrideError(
            f"--set {text!r}: write STEP.GATE.FIELD=VALUE, for example {_example_override(rules)}"
        )
    step = max((r.step for r in rules if path.startswith(f"{r.step}.")), key=len, default="")
    if not step:
        raise OverrideError(
            f"--set {text!r}: no such step; recorded are {_join_names(r.step for r in rules)}"
        )
    gate = path.removeprefix(f"{step}.")
    matching_rules = [rule for rule in rules if (rule.step, rule.gate.name) == (step, gate)]
    if not matching_rules:
        has = _join_names(rule.gate.name for rule in rules if rule.step == step)
        raise OverrideError(f"--set {text!r}: {step} has no gate {gate!r}; it has {has}")
    _check_field(text, field, matching_rules)
    edit = Override(step, gate, field, value.strip())
    for rule in matching_rules:
        with_overrides(rule.gate, [edit])
    return edit


def with_overrides(gate: Gate, overrides: Iterable[Override]) -> Gate:
    """Return the gate with these edits.

    Raises:
        OverrideError: a value that its field can't have.
    """
    changes = {edit.field: edit.value for edit in overrides}
    try:
        return Gate.model_validate({**gate.model_dump(), **changes}) if changes else gate
    except ValidationError as error:
        details = "; ".join(
            f"{'.'.join(map(str, place)) or 'gate'}: {problem}"
            for place, problem in problems_in(error)
        )
        raise OverrideError(f"--set {gate.name}: {details}") from error


def override_plan(plan: RolloutPlan, overrides: Sequence[Override]) -> RolloutPlan:
    """Return the plan with these edits; raise OverrideError as ``with_overrides``."""
    steps = []
    for step in plan.steps:
        step_overrides = [edit for edit in overrides if edit.step == step.name]
        rules = {
            group: tuple(
                with_overrides(gate, [edit for edit in step_overrides if edit.gate == gate.name])
                for gate in getattr(step, group)
            )
            for group in ("gates", "red_flags")
        }
        steps.append(step.model_copy(update=rules))
    return plan.model_copy(update={"steps": tuple(steps)})


def _check_field(text: str, field: str, matching_rules: Sequence[RuleRef]) -> None:
    if field in UNREPLAYABLE_FIELDS:
        recorded_value = getattr(matching_rules[0].gate, field)
        recorded = (
            format_duration(recorded_value)
            if isinstance(recorded_value, timedelta)
            else recorded_value
        )
        raise OverrideError(
            f"--set {text!r}: {field} can't be judged again: {UNREPLAYABLE_FIELDS[field]} "
            f"(recorded: {recorded}). `sluice backtest` measures it again"
        )
    if field not in REPLAYABLE_FIELDS:
        raise OverrideError(
            f"--set {text!r}: no field {field!r}; there are {', '.join(REPLAYABLE_FIELDS)}"
        )
    if matching_rules[0].gate.kind is GateKind.STATISTICAL and field not in _STATISTICAL_FIELDS:
        raise OverrideError(
            f"--set {text!r}: a statistical gate has no {field} to judge by again; "
            f"it has {', '.join(_STATISTICAL_FIELDS)}"
        )


def _join_names(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "none"


def _example_override(rules: Sequence[RuleRef]) -> str:
    if not rules:
        return "ramp-25.latency_p99.threshold=0.8"
    return f"{rules[0].step}.{rules[0].gate.name}.threshold={rules[0].gate.threshold:g}"
