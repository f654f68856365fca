"""All mistakes of a plan are reported in one go, and each of them once."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import parse_plan

PHASE4 = (Path(__file__).parents[4] / "plans" / "phase4.yaml").read_text()
SCALAR_SPANS = [match.span() for match in re.finditer(r"(?<=: )[^\n{}\[\],#&*]+", PHASE4)]


def plan_problems(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_plan(text)
    return [f"{mistake.field}: {mistake.message}" for mistake in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("threshold: 1s", "threshold: 1parsec", "'1parsec' is not a threshold"),
        ("hold: 1d", "hold: soon", "'soon'"),
        ("record_baseline: true", "record_baseline: perhaps", "record_baseline"),
        ("name: phase4", "name: Phase 4!", "name: "),
        ("deadline: 3d", "deadline: 1d", "deadline must not be shorter than hold"),
        ("unit: per_second", "unit: parsec", "unit"),
        ("threshold: 0, window: 1h", "threshold: 0, window: soon", "'soon'"),
    ],
)
def test_a_broken_field_hides_no_broken_name(old: str, new: str, message: str) -> None:
    """Mistakes between fields are reported although another field is unreadable."""
    text = PHASE4.replace(old, new, 1).replace("rollback_to: ramp-50", "rollback_to: ramp-51")
    found = plan_problems(text)
    assert any(message in one for one in found), found
    assert any("'ramp-51' is not an earlier step" in one for one in found), found


def test_a_problem_in_a_yaml_anchor_is_reported_once() -> None:
    """Aliases repeat what is written once, so it is one mistake."""
    found = plan_problems(
        PHASE4.replace("metric: memory, kind: trend", "metric: memoree, kind: trend", 1)
    )
    assert len(found) == 1
    assert "aliases of it" in found[0]


@pytest.mark.parametrize(
    ("unit", "fix"),
    [("milliseconds", "divide the query by 1000"), ("percent", "divide the query by 100")],
)
def test_a_unit_that_plans_do_not_have_is_answered_with_the_conversion(unit: str, fix: str) -> None:
    """The metric's placeholder is not blamed for what it lacks."""
    (problem,) = plan_problems(PHASE4.replace("unit: per_second", f"unit: {unit}", 1))
    assert fix in problem


def test_only_names_that_the_plan_has_are_suggested() -> None:
    text = PHASE4.replace("threshold: 1s", "threshold: 1parsec").replace(
        "metric: complaints", "metric: complains"
    )
    assert not any("placeholder" in one for one in plan_problems(text))


@settings(max_examples=20, deadline=None)  # a plan of 300 lines takes its time
@given(
    where=st.sampled_from(SCALAR_SPANS), junk=st.sampled_from(["", "-1", "x y", "[1, 2]", "{a: b}"])
)
def test_any_scalar_may_be_broken(where: tuple[int, int], junk: str) -> None:
    """Any file gives a plan or its mistakes, never a traceback."""
    text = f"{PHASE4[: where[0]]}{junk}{PHASE4[where[1] :]}"
    with suppress(PlanError):
        assert parse_plan(text).steps
