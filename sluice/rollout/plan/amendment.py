"""The differences between the plan of a running rollout and an amended one, with those to refuse.

A change is safe when it leaves alone what has happened: the exposure that is live, the steps that
were entered, and the evidence that was gathered. Everything else may change at any time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.plan.alpha_budget import RuleGroup, alpha_claims, gate_alpha
from sluice.rollout.plan.schema import RolloutPlan

EXPOSURE_FIELDS = ("percentage", "whitelist", "phases", "delete_flag", "record_baseline")
EVIDENCE_FIELDS = ("kind", "metric", "window", "claim", "weight")
DESCRIPTIVE_FIELDS = ("description", "model")
ABSENT = "absent"
Path = tuple[str, ...]


@dataclass(frozen=True)
class RolloutPosition:
    """The progress that an amendment must not rewrite.

    ``live`` is the index of the step whose settings are live (-1: none), ``entered`` of the last step
    that was entered. ``evidence`` has the tracks of statistical gates, ``has_baseline`` that the
    baseline is recorded.
    """

    live: int = -1
    entered: int = -1
    evidence: Mapping[str, SequentialState] | None = None
    has_baseline: bool = False


@dataclass(frozen=True)
class PlanChange:
    """One change. ``refusal`` is empty when it can be made now; else the reason and the way to do it."""

    path: Path
    before: str
    after: str
    refusal: str = ""

    @property
    def text(self) -> str:
        return f"{'.'.join(self.path)}: {self.before} → {self.after}"


def compare_plans(
    running: RolloutPlan, amended: RolloutPlan, position: RolloutPosition
) -> list[PlanChange]:
    """Return every difference, in the order of the plan; none when the plans are equal."""
    changes = [
        PlanChange(path, before, after, _refusal(path, running, position))
        for path, before, after in _differences((), _tree(running), _tree(amended))
    ]
    return [
        *_order_changes(running, amended, position),
        *changes,
        *_alpha_changes(running, amended, position),
    ]


def _tree(plan: RolloutPlan) -> dict[str, Any]:
    tree: dict[str, Any] = _by_name(plan.model_dump(mode="json"))
    return tree


def _by_name(value: Any) -> Any:  # noqa: ANN401  JSON is anything
    """Replace each list of named values by a mapping."""
    if isinstance(value, dict):
        return {key: _by_name(inner) for key, inner in value.items()}
    if (
        isinstance(value, list)
        and value
        and all(isinstance(v, dict) and v.get("name") for v in value)
    ):
        return {v["name"]: _by_name(v) for v in value}
    return value


def _differences(path: Path, before: Any, after: Any) -> Iterator[tuple[Path, str, str]]:  # noqa: ANN401
    if before == after:
        return
    if not (isinstance(before, dict) and isinstance(after, dict)):
        yield path, _format(before), _format(after)
        return
    for key in dict.fromkeys((*before, *after)):
        place = (*path, str(key))
        if key in before and key in after:
            yield from _differences(place, before[key], after[key])
        else:
            yield place, *((ABSENT, "added") if key in after else ("present", "removed"))


def _format(value: Any) -> str:  # noqa: ANN401
    return "none" if value is None or value == [] else str(value)


def _order_changes(
    running: RolloutPlan, amended: RolloutPlan, position: RolloutPosition
) -> Iterator[PlanChange]:
    """Yield the change of the steps that were entered: their names and their order are history."""
    entered_count = position.entered + 1
    before = [step.name for step in running.steps]
    after = [step.name for step in amended.steps]
    if before[:entered_count] != after[:entered_count]:
        refusal = "these steps were entered; keep them in this order and change the later ones"
        yield PlanChange(
            ("steps",), ", ".join(before[:entered_count]), ", ".join(after[:entered_count]), refusal
        )
    elif before != after and sorted(before) == sorted(after):
        yield PlanChange(("steps",), ", ".join(before), ", ".join(after))


def _refusal(path: Path, running: RolloutPlan, position: RolloutPosition) -> str:
    match path:
        case ("flag" | "environment", *_):
            return "a rollout belongs to one flag; end it with `sluice abort` and start another"
        case ("baselines", *_) if position.has_baseline:
            return "the baseline is recorded; a new rollout records another"
        case ("cohorts", *_):
            return _metrics_refusal(tuple(running.metrics), running, position)
        case ("metrics", str(name), *field):
            is_text = bool(field) and field[0] in DESCRIPTIVE_FIELDS
            return "" if is_text else _metrics_refusal((name,), running, position)
        case ("steps", str(step), *rest):
            return _step_refusal(step, rest, running, position)
    return ""


def _metrics_refusal(
    names: tuple[str, ...], running: RolloutPlan, position: RolloutPosition
) -> str:
    """Refuse to change a metric whose readings decided in a step that was entered."""
    for place, gate in running.rules():
        if int(place[1]) <= position.entered and gate.metric in names:
            return (
                f"{gate.metric} carries evidence from step {running.steps[int(place[1])].name}; add a "
                "metric of another name and let the gates of later steps use it"
            )
    return ""


def _step_refusal(
    name: str, rest: list[str], running: RolloutPlan, position: RolloutPosition
) -> str:
    index = next((i for i, step in enumerate(running.steps) if step.name == name), None)
    if index is None or index > position.entered or not rest:
        return ""
    if rest[0] in EXPOSURE_FIELDS and index <= position.live:
        return (
            f"{rest[0]} of {name} is live or was; `sluice rollback --to STEP` lowers the share, "
            "`sluice promote` goes on to a later step, which may be changed here"
        )
    match rest:
        case [("gates" | "red_flags") as group, str(gate), *fields]:
            return _rule_refusal(f"{group}/{gate}", fields, position)
    return ""


def _rule_refusal(key: str, fields: list[str], position: RolloutPosition) -> str:
    track = (position.evidence or {}).get(key)
    changes_evidence = not fields or fields[0] in EVIDENCE_FIELDS
    if track is None or not track.blocks or not changes_evidence:
        return ""
    return f"{key} carries evidence; leave it, and add a rule of another name beside it"


def _alpha_changes(
    running: RolloutPlan, amended: RolloutPlan, position: RolloutPosition
) -> Iterator[PlanChange]:
    """Yield each part of α that would change although evidence was weighed at it."""
    parts = dict(_alpha_parts(amended))
    for key, part in _alpha_parts(running):
        track = (position.evidence or {}).get(key)
        if track is not None and track.blocks and key in parts and parts[key] != part:
            refusal = (
                "its evidence was weighed at the part of α that it has; keep alpha, and the "
                "statistical gates and their weights, or start a new rollout"
            )
            yield PlanChange(("alpha", key), f"{part:.3g}", f"{parts[key]:.3g}", refusal)


def _alpha_parts(plan: RolloutPlan) -> Iterator[tuple[str, float]]:
    for key, gate in alpha_claims(plan):
        group: RuleGroup = "gates" if key.startswith("gates/") else "red_flags"
        yield key, gate_alpha(plan, (group, plan.steps[-1].name), gate)
