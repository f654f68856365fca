"""Stand-ins for the broken parts of a plan, so that the rest can still be cross-checked.

A wrong threshold *and* a rollback target that does not exist are reported at once. A plan with
placeholders is never run: the checks between fields look at what is left of it.
"""

import copy
from typing import Any

from sluice.rollout.yaml_nodes import Location

YamlValue = Any
"""A value as YAML gives it."""

PLACEHOLDER_NAME = "placeholder-"
_PLACEHOLDER_METRIC = {"query": "1", "samples": "1", "unit": "count"}
_PLACEHOLDER_FIELDS = {
    "name": "placeholder",
    "flag": "placeholder",
    "metrics": {"placeholder": _PLACEHOLDER_METRIC},
    "steps": [],
}
_PLACEHOLDER_TIMES = {"interval": "1m", "hold": "1m", "deadline": "36500d", "initial_delay": "0s"}
_RULE_LISTS = ("gates", "red_flags")


def with_placeholders(data: dict[str, YamlValue], broken: list[Location]) -> dict[str, YamlValue]:
    """Return a copy of ``data`` with a valid placeholder at each broken place.

    A place without a placeholder stays broken; the caller validates the copy anyway.
    """
    data = copy.deepcopy(data)
    for place in broken:
        _replace(data, place, _placeholder_gate(data))
    return data


def overlaps(place: Location, broken: list[Location]) -> bool:
    """Return True if a problem at ``place`` may come from a placeholder."""
    extents = [location[: _extent(location)] for location in broken]
    return any(
        place[: len(extent)] == extent or extent[: len(place)] == place for extent in extents
    )


def _extent(location: Location) -> int:
    """Return how much of the location a placeholder replaces: a whole metric, rule or baseline."""
    match location:
        case ("metrics" | "baselines", _, *_):
            return 2
        case ("steps", _, str(which), _, *_) if which in _RULE_LISTS:
            return 4
    return len(location)


def _placeholder_gate(data: dict[str, YamlValue]) -> dict[str, YamlValue]:
    """Give a valid gate on a metric that the plan has, so that no name is made up."""
    metrics = data.get("metrics")
    metric = next(iter(metrics), "placeholder") if isinstance(metrics, dict) else "placeholder"
    return {"metric": metric, "threshold": 0, "window": "1m"}


def _replace(data: dict[str, YamlValue], place: Location, gate: dict[str, YamlValue]) -> None:
    match place:
        case ("steps", int(s), str(which), int(g), *_) if which in _RULE_LISTS:
            rules = list(data["steps"][s][which])  # an alias of the list may stand elsewhere
            rules[g] = {**gate, "name": f"{PLACEHOLDER_NAME}{g}"}
            data["steps"][s] = {**data["steps"][s], which: rules}
        case ("steps", int(s), *rest):
            data["steps"][s] = _step_with_placeholders(data["steps"], s, rest, gate)
        case ("metrics", str(name), *_):
            data["metrics"][name] = _PLACEHOLDER_METRIC
        case ("baselines", int(b), *_):
            data["baselines"][b] = gate
        case (str(field), *_):
            data.pop(field, None)
            data |= {field: _PLACEHOLDER_FIELDS[field]} if field in _PLACEHOLDER_FIELDS else {}


def _step_with_placeholders(
    steps: list[YamlValue], s: int, rest: list[str | int], gate: dict[str, YamlValue]
) -> dict[str, YamlValue]:
    step = dict(steps[s]) if isinstance(steps[s], dict) else {}
    field = rest[0] if rest else ""
    if not field:
        step |= _PLACEHOLDER_TIMES  # a rule between fields was broken; most are about times
        if all(isinstance(g, dict) and g.get("dry_run") for g in step.get("gates") or ()):
            step["gates"] = [gate]
        return step
    step.pop(str(field), None)
    before = steps[s - 1].get("stage", 1) if s and isinstance(steps[s - 1], dict) else 1
    needed = {
        "name": f"{PLACEHOLDER_NAME}{s}",
        "title": "placeholder",
        "stage": before,
        **_PLACEHOLDER_TIMES,
    }
    return step | ({field: needed[str(field)]} if field in needed else {})
