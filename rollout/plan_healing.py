"""Stand-ins for the broken parts of a plan, so that the rest can still be cross-checked.

A plan with a wrong threshold *and* a rollback target that does not exist shall hear of both at once.
Nothing healed is ever run: it only lets ``cross_check`` look at what is left.
"""

import copy
from typing import Any

from rollout.strict_yaml import Place

Raw = Any
"""A value as YAML gives it."""

_METRIC = {"query": "1", "samples": "1", "unit": "count"}
_TOP = {"name": "healed", "flag": "healed", "metrics": {"healed": _METRIC}, "steps": []}
_TIMES = {"interval": "1m", "hold": "1m", "deadline": "36500d", "initial_delay": "0s"}
_RULE_LISTS = ("gates", "red_flags")


def healed(data: Raw, broken: list[Place]) -> Raw:
    """Give a copy of ``data`` in which something valid stands at each broken place.

    Where even that can't be found, the copy stays broken; the caller validates it anyway.
    """
    data = copy.deepcopy(data)
    if not isinstance(data, dict):
        return data
    for place in broken:
        _heal(data, place, _gate(data))
    return data


def touches(place: Place, broken: list[Place]) -> bool:
    """Whether what was found at ``place`` may come from a stand-in."""
    return any(place[: len(one)] == one or one[: len(place)] == place for one in broken)


def _gate(data: dict[str, Raw]) -> dict[str, Raw]:
    """Give a valid gate on a metric that the plan has, so that no name is made up."""
    metrics = data.get("metrics")
    metric = next(iter(metrics), "healed") if isinstance(metrics, dict) else "healed"
    return {"metric": metric, "threshold": 0, "window": "1m"}


def _heal(data: dict[str, Raw], place: Place, gate: dict[str, Raw]) -> None:
    match place:
        case ("steps", int(s), str(which), int(g), *_) if which in _RULE_LISTS:
            rules = list(data["steps"][s][which])  # an alias of the list may stand elsewhere
            rules[g] = {**gate, "name": f"healed-{g}"}
            data["steps"][s] = {**data["steps"][s], which: rules}
        case ("steps", int(s), *rest):
            data["steps"][s] = _healed_step(data["steps"], s, rest, gate)
        case ("metrics", str(name), *_):
            data["metrics"][name] = _METRIC
        case ("baselines", int(b), *_):
            data["baselines"][b] = gate
        case (str(field), *_):
            data.pop(field, None)
            data |= {field: _TOP[field]} if field in _TOP else {}


def _healed_step(
    steps: list[Raw], s: int, rest: list[str | int], gate: dict[str, Raw]
) -> dict[str, Raw]:
    step = dict(steps[s]) if isinstance(steps[s], dict) else {}
    field = rest[0] if rest else ""
    if not field:
        step |= _TIMES  # a rule between fields was broken; most are about times
        if all(isinstance(g, dict) and g.get("dry_run") for g in step.get("gates") or ()):
            step["gates"] = [gate]
        return step
    step.pop(str(field), None)
    before = steps[s - 1].get("stage", 1) if s and isinstance(steps[s - 1], dict) else 1
    needed = {"name": f"healed-{s}", "title": "healed", "stage": before, **_TIMES}
    return step | ({field: needed[str(field)]} if field in needed else {})
