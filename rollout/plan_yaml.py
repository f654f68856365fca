"""Plans as YAML: every mistake with its field and line, all of them at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rollout.plan import RolloutPlan, cross_check
from rollout.plan_healing import healed, touches
from rollout.plan_names import cross_check_names
from rollout.plan_people import people_check
from rollout.plan_statistics import cross_check_statistics
from rollout.strict_yaml import Found, Place, found_in, parse, read_text


def load_plan(path: Path) -> RolloutPlan:
    """Read and validate a plan file.

    Raises:
        PlanError: with one Mistake for each thing that is wrong; a missing file is one of them.
    """
    return parse_plan(read_text(path))


def parse_plan(text: str) -> RolloutPlan:
    """Validate the text of a plan; PlanError as in load_plan."""
    return parse(text, "plan", "name, flag, metrics, steps", _validate)


def _validate(data: Any) -> tuple[RolloutPlan | None, list[Found]]:  # noqa: ANN401  YAML is anything
    try:
        plan = RolloutPlan.model_validate(data)
    except ValidationError as error:
        found = found_in(error)
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
