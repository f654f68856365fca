"""A statistical gate that could not be judged is refused, with its field and the way out."""

import pytest

from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import parse_plan

PLAN = """
name: shop
flag: shop
metrics:
  errors:
    query: sum(rate(e{cohort=~"$cohort"}[$window]))
    unit: ratio
    statistic: {test: rate, events: 'e{cohort=~"$cohort"}', units: 'n{cohort=~"$cohort"}'}
  failing_users:
    query: sum(rate(f{cohort=~"$cohort"}[$window]))
    unit: ratio
    statistic:
      test: user_hazards
      users: 'u{cohort=~"$cohort",failure="$stratum"}'
      at_risk: 'r{cohort=~"$cohort",failure="$stratum"}'
      strata: ["1", "2"]
  plain: {query: 'sum(rate(p{cohort=~"$cohort"}[$window]))', unit: ratio}
steps:
  - name: ramp
    title: Quarter
    percentage: 25
    interval: 1m
    hold: 1h
    deadline: 2h
    gates:
      - {name: fixed, metric: plain, threshold: 1%, window: 5m}
      - {name: evidence, metric: errors, kind: statistical, window: 5m}
  - name: half
    title: Half
    percentage: 50
    rollback_to: ramp
    interval: 1m
    hold: 1h
    deadline: 2h
    gates: [{name: evidence, metric: errors, kind: statistical, window: 5m}]
"""
SECOND_GATE = "gates: [{name: evidence, metric: errors,"


def test_the_plan_of_these_tests_is_valid() -> None:
    assert parse_plan(PLAN).step("half").gates[0].metric == "errors"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("events: 'e{cohort=~\"$cohort\"}'", "events: 'e{a=\"b\"}'", "must select the cohort"),
        (',failure="$stratum"}\'\n      at', "}'\n      at", "must select the stratum"),
        ("events: 'e{cohort=~\"$cohort\"}'", "events: 'e{cohort=~\"$cohort\"'", "not a PromQL sel"),
        (
            "events: 'e{cohort=~\"$cohort\"}'",
            "events: 'sum(e{cohort=~\"$cohort\"})'",
            "must be one counter with matchers",
        ),
        (SECOND_GATE, "gates: [{name: plain, metric: plain,", "has no statistic: to count with"),
        (
            "metric: errors, kind: statistical, window: 5m}\n  -",
            "metric: errors, kind: statistical, claim: non_inferiority, window: 5m}\n  -",
            "test: mean, bounded_mean or user_means",
        ),
        (SECOND_GATE, "gates: [{name: evidence, metric: failing_users,", "another statistical"),
        ("percentage: 50", "percentage: 100", "has no second cohort at 100 %"),
        (
            "kind: statistical, window: 5m}]",
            "kind: statistical, threshold: 1%, window: 5m}]",
            "has no threshold; remove it",
        ),
        (
            "kind: statistical, window: 5m}]",
            "kind: statistical, cohort: control, window: 5m}]",
            "compares treatment with control; remove cohort",
        ),
        (
            "threshold: 1%, window",
            "threshold: 1%, claim: non_inferiority, window",
            "claim belongs to statistical gates",
        ),
    ],
)
def test_a_gate_that_could_not_be_judged_is_refused(old: str, new: str, words: str) -> None:
    """Each mistake is one line that names the field and the fix."""
    assert old in PLAN
    with pytest.raises(PlanError) as caught:
        parse_plan(PLAN.replace(old, new, 1))
    assert words in str(caught.value)
