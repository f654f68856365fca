"""Plans: every mistake with its field and line, and what a plan must never be."""

from pathlib import Path
from typing import Any

import pytest

from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import load_plan, parse_plan
from sluice.rollout.plan.schema import RolloutPlan

PLANS = Path(__file__).parents[4] / "plans"
VALID_PLAN = """name: p
flag: f
metrics:
  errors: {query: "e{c=~'$cohort'}", samples: n, unit: ratio}
baselines:
  - {metric: errors, cohort: control, threshold: 0, window: 5m}
steps:
  - name: one
    title: One
    stage: 1
    record_baseline: true
    interval: 10m
    hold: 1h
    deadline: 2h
    gates:
      - {metric: errors, threshold: 1%, window: 5m}
  - name: two
    title: Two
    stage: 4
    percentage: 5
    rollback_to: one
    interval: 10m
    hold: 1h
    deadline: 2h
    gates:
      - {metric: errors, kind: baseline, threshold: +10%, window: 5m, min_samples: 10}
"""


def plan_problems(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_plan(text)
    return str(caught.value).splitlines()


def plan_with(old: str, new: str) -> str:
    assert old in VALID_PLAN
    return VALID_PLAN.replace(old, new, 1)


def test_a_good_plan_is_read() -> None:
    """Names default to the metric's, and the steps keep their order."""
    plan = parse_plan(VALID_PLAN)
    assert [step.name for step in plan.steps] == ["one", "two"]
    assert plan.steps[0].gates[0].name == "errors"
    assert plan.step("two").percentage == 5
    with pytest.raises(KeyError):
        plan.step("three")


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("interval: 10m", "interval: 10q", 12, "steps[0].interval: '10q' is not a duration"),
        ("interval: 10m", "interval: 0s", 12, "interval must be at least 1s"),
        ("deadline: 2h", "deadline: 2m", 14, "deadline must not be shorter than hold"),
        ("hold: 1h", "hold: 1h\n    initial_delay: 2h", 14, "initial_delay must not be longer"),
        ("hold: 1h", "hold: 1h\n    hold: 2h", 14, "steps[0].hold: is written twice"),
        ("title: One", "titel: One", 9, "steps[0].titel: is not a known field; do you mean title?"),
        (
            "title: One",
            "title: One\n    flag: f",
            10,
            "steps[0].flag: is not a field of this place",
        ),
        ("title: One", "title: O\x07e", 9, "holds the character U+0007; remove it"),
        ("title: One", f"title: {'x' * 501}", 9, "has 501 characters; shorten it to 500"),
        ("interval: 10m", "interval: 5m5m", 12, "steps[0].interval: '5m5m' is not a duration"),
        ("interval: 10m", "interval: 30m1h", 12, "steps[0].interval: '30m1h' is not a duration"),
        ("interval: 10m", "interval: .inf", 12, "steps[0].interval: inf is not a duration"),
        ("interval: 10m", "interval: 0x19", 12, "'0x19' is not a decimal number"),
        ("threshold: 1%", "threshold: 1%, min_samples: 1e3", 16, "'1e3' is not a whole number"),
        ("threshold: 1%", "threshold: 1%, min_samples: yes", 16, "'yes' is not a whole number"),
        ("threshold: 1%", "threshold: 1%, min_samples: .nan", 16, "nan is not a finite number"),
        ("threshold: 1%", "threshold: 1%, min_samples: -1", 16, "-1 is too small; it must be at"),
        ("threshold: 1%", "threshold: 1%, consecutive: 101", 16, "101 is too large; it must be at"),
        ("threshold: 1%", "threshold: 1%, dry_run: maybe", 16, "'maybe' is neither true nor false"),
        (
            "threshold: 1%",
            "threshold: 1%, direction: up",
            16,
            "'up' is not one of 'below' or 'above'",
        ),
        ("title: One\n", "\n", 8, "steps[0].title: is missing"),
        ("name: two", "name: one", 17, "steps[1].name: 'one' is used twice"),
        ("rollback_to: one", "rollback_to: two", 21, "'two' is not an earlier step"),
        ("    rollback_to: one\n", "", 17, "needs one to go back to"),
        ("percentage: 5", "percentage: 500", 20, "give a number, 0 to 100"),
        ("stage: 4", "stage: 0", 19, "0 is too small; it must be at least 1"),
        (
            "{metric: errors, threshold",
            "{metric: errs, threshold",
            16,
            "'errs' is not under metrics",
        ),
        ("{metric: errors, cohort", "{metric: errs, cohort", 6, "baselines[0].metric: 'errs'"),
        ("threshold: 1%", "threshold: low", 16, "'low' is not a threshold"),
        ("threshold: 1%", "threshold: 1%, dry_run: true", 15, "at least one gate without dry_run"),
        ("threshold: 1%", "threshold: 1%, floor: 5%", 16, "floor belongs to baseline"),
        ("threshold: 1%", "threshold: 1%, kind: baseline", 16, "no earlier step records one"),
        (
            "window: 5m}\n  - name: two",
            "window: 0s}\n  - name: two",
            16,
            "window must be at least 1s",
        ),
        ("kind: baseline", "kind: control, cohort: all", 26, "compares the treatment cohort"),
        ("samples: n, ", "", 26, "no samples query to count with"),
        ("$cohort", "$stage", 4, "may use only $cohort and $window, not $stage"),
        ("record_baseline: true", "record_baseline: false", 26, "no earlier step records one"),
    ],
)
def test_each_mistake_names_field_line_and_fix(old: str, new: str, line: int, what: str) -> None:
    """One line per mistake; what is wrong is found where it is written."""
    found = plan_problems(plan_with(old, new))
    assert any(one.startswith(f"line {line}: ") and what in one for one in found), found


def test_all_mistakes_come_at_once() -> None:
    """Nobody wants to fix a plan one error at a time."""
    text = plan_with("interval: 10m", "interval: x").replace("stage: 4", "stage: 9")
    assert len(plan_problems(text)) == 2


def test_percentages_and_stages_only_rise() -> None:
    """A plan whose percentage falls is a mistake; going down is what rollbacks are for."""
    third = VALID_PLAN.split("  - name: two")[1].replace("errors, kind: baseline", "errors")
    more = VALID_PLAN + "  - name: three" + third.replace("percentage: 5", "percentage: 1")
    assert any("falls from 5 to 1" in one for one in plan_problems(more))
    back = VALID_PLAN + "  - name: three" + third.replace("stage: 4", "stage: 2")
    assert any("stage 2 comes after stage 4" in one for one in plan_problems(back))


def test_gates_of_a_step_have_names_of_their_own() -> None:
    """Counters of failures in a row go by gate name."""
    twice = plan_with(
        "      - {metric: errors, threshold: 1%, window: 5m}\n",
        "      - {metric: errors, threshold: 1%, window: 5m}\n" * 2,
    )
    assert any("'errors' is used twice" in one for one in plan_problems(twice))


def test_a_baseline_gate_needs_a_recorded_metric() -> None:
    """A comparison with nothing would hold without end."""
    text = VALID_PLAN.replace(
        "baselines:\n  - {metric: errors, cohort: control, threshold: 0, window: 5m}\n", ""
    )
    assert any("has no recorded baseline" in one for one in plan_problems(text))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "must be a mapping"),
        ("- 1", "must be a mapping"),
        ("a: [", "is not YAML"),
        ("a: \x00", "holds the character U+0000; remove it"),
        (VALID_PLAN.partition("steps:")[0] + "steps: []\n", "must hold at least one step"),
    ],
)
def test_a_file_that_is_not_a_plan_is_rejected(text: str, what: str) -> None:
    """No traceback, whatever the file holds."""
    assert what in plan_problems(text)[0]


def test_a_missing_file_is_a_mistake_too(tmp_path: Path) -> None:
    """The path is named."""
    with pytest.raises(PlanError, match=r"nothing\.yaml"):
        load_plan(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_plans_load_and_survive_the_data_converter(path: Path) -> None:
    """A plan survives Temporal's payloads unchanged."""
    plan = load_plan(path)
    assert RolloutPlan.model_validate_json(plan.model_dump_json()) == plan


def test_the_demo_is_the_guides_plan_in_minutes() -> None:
    """Same steps, same gates, same red flags, same rollback targets: only times and sizes differ."""

    def shape(plan: RolloutPlan) -> list[Any]:
        return [
            (
                step.name,
                step.percentage,
                step.whitelist,
                step.rollback_to,
                step.audience,
                [(item.name, item.title, item.check, item.names) for item in step.checklist],
                [(g.name, g.metric, g.kind, g.direction, g.severity) for g in step.gates],
                [(g.name, g.metric, g.kind, g.direction, g.severity) for g in step.red_flags],
            )
            for step in plan.steps
        ]

    assert shape(load_plan(PLANS / "demo.yaml")) == shape(load_plan(PLANS / "phase4.yaml"))
