"""Values that no plan means, and plans whose red flags can't act: each is one line of lint."""

import pytest

from sluice.rollout.plan.lint import lint_warnings
from sluice.rollout.plan.loader import parse_plan
from tests.unit.rollout.plan.test_misleading_plans import PLAN, RAMP, problems


@pytest.mark.parametrize(
    "percentage",
    ["2_5", '"2_5"', "'\u0662\u0665'", "'\uff12\uff15'", "1_000", "", "0x19", "1e400", "yes"],
)
def test_a_percentage_has_one_spelling(percentage: str) -> None:
    """``float()`` reads underscores and the digits of every script; an empty value was "as before"."""
    line, *others = problems(PLAN.replace(RAMP, f"percentage: {percentage}"))
    assert line.startswith("line 24: steps[1].percentage"), line
    assert others == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title: Ramp", "title: ' '", "is empty"),
        ("[alice]", "[' alice']", "begins or ends with a space"),
        ("[alice]", '["a\\u202eb"]', "control character U+202E"),
        ("name: dark", "name: 123", "must be text"),
        ("name: dark", f"name: {'a' * 101}", "shorten it to 100"),
        ("rollback_to: dark", "rollback_to:", "has no value"),
        ("interval: 10m", "interval: 1_0m", "not a duration"),
    ],
)
def test_a_broken_value_is_one_problem(old: str, new: str, words: str) -> None:
    """A placeholder for it caused others: ``earlier ones: placeholder-0``."""
    (line,) = problems(PLAN.replace(old, new, 1))
    assert words in line


@pytest.mark.parametrize(
    ("gate", "effect"),
    [
        ("{metric: errors, threshold: 5%, window: 3d}", "late harm shows late"),
        ("{metric: queue, cohort: all, threshold: 5, window: 3d}", "before the step"),
    ],
)
def test_a_red_flag_whose_window_the_step_never_fills_is_reported(gate: str, effect: str) -> None:
    plan = parse_plan(f"{PLAN}    red_flags: [{gate}]\n")
    texts = [text for place, text in lint_warnings(plan, None) if "red_flags" in place]
    assert any("longer than the step's hold 2d" in text and effect in text for text in texts)


@pytest.mark.parametrize(
    "flags", ["[]", "[{metric: errors, threshold: 5%, window: 5m, dry_run: true}]"]
)
def test_users_without_a_red_flag_are_reported(flags: str) -> None:
    plan = parse_plan(f"{PLAN}    red_flags: {flags}\n")
    assert any("25% of users are exposed without" in text for _, text in lint_warnings(plan, None))
