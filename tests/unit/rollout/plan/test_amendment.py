"""An amended plan changes what is to come, and rewrites nothing that has happened."""

from collections.abc import Callable

import pytest

from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.plan.amendment import PlanChange, RolloutPosition, compare_plans
from sluice.rollout.plan.loader import parse_plan

TEXT = """
name: shop
flag: shop
metrics:
  errors: &errors
    query: sum(rate(e{cohort=~"$cohort"}[$window]))
    samples: sum(increase(n{cohort=~"$cohort"}[$window]))
    unit: ratio
    statistic: {test: rate, events: 'e{cohort=~"$cohort"}', units: 'n{cohort=~"$cohort"}'}
  later: *errors
steps:
  - &dark {name: dark, title: Nobody, percentage: 0, interval: 1m, hold: 1h, deadline: 2h,
     gates: [{metric: errors, threshold: 1%, window: 5m, cohort: control, min_samples: 10}]}
  - name: ramp-5
    title: Five
    percentage: 5
    rollback_to: dark
    interval: 1m
    hold: 6h
    deadline: 1d
    gates: &gates
      - {metric: errors, threshold: 1%, window: 5m, min_samples: 10}
      - {name: evidence, metric: errors, kind: statistical, window: 5m}
    red_flags: [{name: spike, metric: errors, threshold: 5%, window: 5m, min_samples: 10}]
  - name: ramp-50
    title: Half
    percentage: 50
    rollback_to: ramp-5
    interval: 1m
    hold: 12h
    deadline: 2d
    gates: [{metric: later, threshold: 1%, window: 5m, min_samples: 10}]
"""
EVIDENCE = {"gates/evidence": SequentialState(blocks=3)}
AT_FIVE = RolloutPosition(live=1, entered=1, evidence=EVIDENCE)
Edit = Callable[[str], str]


def changed(*pairs: tuple[str, str], position: RolloutPosition = AT_FIVE) -> list[PlanChange]:
    """Compare the plan with one in which each text is replaced by another, where it is first."""
    text = TEXT
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after, 1)
    return compare_plans(parse_plan(TEXT), parse_plan(text), position)


SAFE = {
    "threshold of the live step": ("threshold: 5%", "threshold: 8%"),
    "window of a plain gate": ("threshold: 5%, window: 5m", "threshold: 5%, window: 10m"),
    "hold of the live step": ("hold: 6h", "hold: 9h"),
    "percentage of a later step": ("percentage: 50", "percentage: 30"),
    "a metric of later steps": (
        "later: *errors",
        "later: {query: sum(up), samples: sum(up), unit: ratio}",
    ),
    "a person": ("    title: Five", "    title: Five\n    approval: {eligible_approvers: [ann]}"),
    "a further red flag": (
        "red_flags: [",
        "red_flags: [{metric: errors, threshold: 9%, window: 5m}, ",
    ),
    "escalation": ("flag: shop", "flag: shop\nescalation: {p1_rolls_back_after: 2h}"),
}


@pytest.mark.parametrize("edit", SAFE.values(), ids=SAFE)
def test_what_is_to_come_may_change(edit: tuple[str, str]) -> None:
    changes = changed(edit)
    assert changes
    assert [change.refusal for change in changes if change.refusal] == []


REFUSED = {
    "live percentage": (("percentage: 5\n", "percentage: 8\n"), "rollback --to"),
    "flag": (("flag: shop", "flag: other"), "sluice abort"),
    "metric with evidence": (("sum(rate(e{", "sum(rate(x{"), "another name"),
    "window of evidence": (("statistical, window: 5m", "statistical, window: 9m"), "another name"),
    "evidence removed": (
        ("      - {name: evidence, metric: errors, kind: statistical, window: 5m}\n", ""),
        "carries evidence",
    ),
    "alpha": (("flag: shop", "flag: shop\nalpha: 1%"), "new rollout"),
    "name of a step that was entered": (("name: dark", "name: start"), "were entered"),
}


@pytest.mark.parametrize(("edit", "way"), REFUSED.values(), ids=REFUSED)
def test_what_has_happened_stays(edit: tuple[str, str], way: str) -> None:
    """A refusal names what to do instead."""
    pairs = [edit]
    if edit[0] == "name: dark":
        pairs.append(("rollback_to: dark", "rollback_to: start"))
    assert any(way in change.refusal for change in changed(*pairs))


def test_another_statistical_gate_would_split_alpha_again() -> None:
    gate = "{name: new, metric: later, kind: statistical, window: 5m}"
    edit = ("gates: [{metric: later", f"gates: [{gate}, {{metric: later")
    assert any(change.path[0] == "alpha" and change.refusal for change in changed(edit))
    before_evidence = RolloutPosition(live=0, entered=0)
    assert not any(change.refusal for change in changed(edit, position=before_evidence))


def test_later_steps_may_be_added_removed_and_replaced() -> None:
    more = TEXT + TEXT[TEXT.index("  - name: ramp-50") :].replace("ramp-50", "all").replace(
        "percentage: 50", "percentage: 100"
    )
    fewer = TEXT[: TEXT.index("  - name: ramp-50")].replace("later: *errors", "spare: *errors")
    for text in (more, fewer):
        changes = compare_plans(parse_plan(TEXT), parse_plan(text), AT_FIVE)
        assert changes
        assert not any(change.refusal for change in changes)


def test_an_equal_plan_has_no_changes() -> None:
    assert compare_plans(parse_plan(TEXT), parse_plan(TEXT), AT_FIVE) == []


def test_a_recorded_baseline_and_the_cohorts_of_evidence_stay() -> None:
    text = TEXT.replace(
        "steps:", "baselines: [{metric: later, cohort: control, threshold: 0, window: 5m}]\nsteps:"
    )
    recorded = RolloutPosition(live=1, entered=1, evidence=EVIDENCE, has_baseline=True)
    amended = compare_plans(parse_plan(TEXT), parse_plan(text), recorded)
    assert any("the baseline is recorded" in change.refusal for change in amended)
    renamed = TEXT.replace("flag: shop", "flag: shop\ncohorts: {treatment: new, control: old}")
    changes = compare_plans(parse_plan(TEXT), parse_plan(renamed), AT_FIVE)
    assert any(change.path[0] == "cohorts" and change.refusal for change in changes)


def test_a_change_is_shown_with_its_path_and_both_values() -> None:
    (change,) = changed(("hold: 6h", "hold: 9h"))
    assert change.text == "steps.ramp-5.hold: 6h → 9h"


def test_later_steps_may_change_their_order() -> None:
    third = TEXT[TEXT.index("  - name: ramp-50") :].replace("ramp-50", "ramp-51")
    before = TEXT + third
    after = TEXT[: TEXT.index("  - name: ramp-50")] + third.replace("ramp-5\n", "ramp-5\n")
    after += TEXT[TEXT.index("  - name: ramp-50") :]
    changes = compare_plans(parse_plan(before), parse_plan(after), AT_FIVE)
    (order,) = [change for change in changes if change.path == ("steps",)]
    assert (order.after, order.refusal) == ("dark, ramp-5, ramp-51, ramp-50", "")
