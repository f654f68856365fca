"""docs/plans.md has every field of every part of a plan, and none that there isn't."""

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from sluice.rollout.plan.checklist import ChecklistItem
from sluice.rollout.plan.freeze_windows import DailyHours, DateRange
from sluice.rollout.plan.schema import RolloutPlan

PAGE = Path(__file__).parents[2] / "docs" / "plans.md"
TEXT_MODELS = (DailyHours, DateRange)
"""Written as one text each, not as fields."""


def models_of(
    of: type[BaseModel], by_name: dict[str, type[BaseModel]]
) -> dict[str, type[BaseModel]]:
    """Every model that a plan is made of, by name."""
    by_name[of.__name__] = of
    for field in of.model_fields.values():
        for one in _models_in(field.annotation):
            if one.__name__ not in by_name and one not in TEXT_MODELS:
                models_of(one, by_name)
    return by_name


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401  any annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def sections() -> dict[str, list[str]]:
    """Return the fields of each section's tables, by the section's first word."""
    parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        re.split(r"\W", part)[0]: re.findall(r"^\| `(\w+)` \|", _fields(part), re.MULTILINE)
        for part in parts
    }


def _fields(part: str) -> str:
    """Return the section's table of fields; other tables explain one field's values."""
    return "".join(re.findall(r"^\| field .*?(?:\n\n|\Z)", part, re.MULTILINE | re.DOTALL))


def test_every_field_of_a_plan_is_documented() -> None:
    """A field that nobody can read about might as well not exist."""
    documented = sections()
    for name, model in models_of(RolloutPlan, {}).items():
        assert sorted(documented.get(name, [])) == sorted(model.model_fields), name


def test_nothing_is_documented_that_there_is_not() -> None:
    """A section of a model that is gone misleads."""
    assert sorted(sections().keys() - models_of(RolloutPlan, {}).keys()) == []


def test_every_kind_of_check_is_documented() -> None:
    """The second table of the checklist's section."""
    kinds = get_args(typing.get_type_hints(ChecklistItem)["check"])
    page = PAGE.read_text(encoding="utf-8")
    table = page.partition("| `check` | done when |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(kinds)
