"""Plans as YAML: every mistake with its field and line, all of them at once."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from rollout.errors import Mistake, PlanError
from rollout.plan import Found, Place, RolloutPlan, cross_check
from rollout.plan_healing import healed, touches
from rollout.plan_names import cross_check_names
from rollout.plan_people import people_check
from rollout.plan_statistics import cross_check_statistics

Lines = dict[Place, int]


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader, but a key written twice is a mistake: YAML would silently keep the last."""


def load_plan(path: Path) -> RolloutPlan:
    """Read and validate a plan file.

    Raises:
        PlanError: with one Mistake for each thing that is wrong; a missing file is one of them.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PlanError((Mistake(None, str(path), f"can't be read: {reason}"),)) from error
    return parse_plan(text)


def parse_plan(text: str) -> RolloutPlan:
    """Validate the text of a plan; PlanError as in load_plan."""
    node = _compose(text)
    lines: Lines = {}
    mistakes: list[Mistake] = []
    if node is not None:
        _walk(node, (), lines, mistakes)
    if not isinstance(node, yaml.MappingNode):
        raise PlanError((Mistake(1, "plan", "must be a mapping with name, flag, metrics, steps"),))
    plan, found = _validate(_UniqueKeyLoader(text).get_single_data())
    mistakes += [Mistake(_line(place, lines), _dotted(place), text) for place, text in found]
    if plan is None or mistakes:
        raise PlanError(_told_once(mistakes))
    return plan


def _told_once(mistakes: list[Mistake]) -> tuple[Mistake, ...]:
    """Sort by line, and tell a mistake in an anchor once, however many aliases repeat it."""
    groups: dict[tuple[int | None, str], list[Mistake]] = {}
    for mistake in mistakes:
        groups.setdefault((mistake.line, mistake.message), []).append(mistake)
    told = (
        first
        if not more
        else replace(first, field=f"{first.field} (and {len(more)} aliases of it)")
        for first, *more in groups.values()
    )
    return tuple(sorted(told, key=lambda mistake: mistake.line or 0))


def located(text: str, found: Iterable[Found]) -> tuple[Mistake, ...]:
    """What was found in the plan that ``text`` holds, with lines, in their order."""
    lines: Lines = {}
    if (node := _compose(text)) is not None:
        _walk(node, (), lines, [])
    told = [Mistake(_line(place, lines), _dotted(place), said) for place, said in found]
    return tuple(sorted(told, key=lambda mistake: mistake.line or 0))


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise PlanError((Mistake(line, "plan", f"is no YAML: {error.problem}"),)) from error
    except yaml.YAMLError as error:
        raise PlanError((Mistake(None, "plan", f"is no YAML: {error}"),)) from error


def _walk(node: yaml.Node, place: Place, lines: Lines, mistakes: list[Mistake]) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, key.value)
            if inner in lines and key.value != "<<":
                line = key.start_mark.line + 1
                mistakes.append(Mistake(line, _dotted(inner), "is written twice; keep one"))
            lines[inner] = key.start_mark.line + 1
            _walk(value, inner, lines, mistakes)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*place, index), lines, mistakes)


def _validate(data: Any) -> tuple[RolloutPlan | None, list[Found]]:  # noqa: ANN401  YAML is anything
    try:
        plan = RolloutPlan.model_validate(data)
    except ValidationError as error:
        found = [(tuple(e["loc"]), _message(e["type"], e["msg"])) for e in error.errors()]
        return None, found + _found_besides(data, [place for place, _ in found])
    return plan, list(_cross_check(plan))


def _cross_check(plan: RolloutPlan) -> Iterator[Found]:
    yield from cross_check(plan)
    yield from people_check(plan)
    yield from cross_check_statistics(plan)
    yield from cross_check_names(plan)


def _found_besides(data: Any, broken: list[Place]) -> list[Found]:  # noqa: ANN401  YAML is anything
    """Cross-check what is left of a plan with broken fields."""
    try:
        rest = RolloutPlan.model_validate(healed(data, broken))
    except ValidationError:
        return []
    return [(place, text) for place, text in _cross_check(rest) if not touches(place, broken)]


def _message(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return "is not a known field; check the spelling"
    return message.removeprefix("Value error, ")


def _line(place: Place, lines: Lines) -> int | None:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place)


def _dotted(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "plan"
