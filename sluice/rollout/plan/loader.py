"""Plans as YAML. Every problem has its field and line, all of them at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sluice.rollout.plan.checks.expressions import check_expressions
from sluice.rollout.plan.checks.metric_names import check_metric_names
from sluice.rollout.plan.checks.prerequisites import check_prerequisites
from sluice.rollout.plan.checks.references import check_references
from sluice.rollout.plan.checks.statistical_gates import check_statistical_gates
from sluice.rollout.plan.checks.thresholds import check_percentages, check_thresholds
from sluice.rollout.plan.placeholders import PLACEHOLDER_NAME, overlaps, with_placeholders
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.yaml_document import Problem, field_names, parse, problems_in, read_text
from sluice.rollout.yaml_nodes import Location


def load_plan(path: Path) -> RolloutPlan:
    """Read and validate a plan file.

    Raises:
        PlanError: with one Diagnostic for each problem; a missing file is one of them.
    """
    return parse_plan(read_text(path))


def parse_plan(text: str) -> RolloutPlan:
    """Validate the text of a plan; PlanError as in load_plan."""
    return parse(text, "plan", "name, flag, metrics, steps", _validate)


def _validate(data: Any) -> tuple[RolloutPlan | None, list[Problem]]:  # noqa: ANN401  YAML is anything
    try:
        plan = RolloutPlan.model_validate(data)
    except ValidationError as error:
        problems = problems_in(error, field_names(RolloutPlan))
        return None, problems + _remaining_problems(data, [place for place, _ in problems])
    return plan, list(_run_checks(plan, data))


def _run_checks(plan: RolloutPlan, data: Any) -> Iterator[Problem]:  # noqa: ANN401  YAML is anything
    yield from check_references(plan)
    yield from check_expressions(plan)
    yield from check_thresholds(plan, data)
    yield from check_percentages(plan, data)
    yield from check_prerequisites(plan)
    yield from check_statistical_gates(plan)
    yield from check_metric_names(plan)


def _remaining_problems(data: Any, broken: list[Location]) -> list[Problem]:  # noqa: ANN401  YAML is anything
    """Return the problems in the rest of a plan with broken fields."""
    rest_data = with_placeholders(data, broken)
    try:
        rest = RolloutPlan.model_validate(rest_data)
    except ValidationError:
        return []
    problems = _run_checks(rest, rest_data)
    return [
        (place, text)
        for place, text in problems
        if not overlaps(place, broken) and PLACEHOLDER_NAME not in text
    ]
