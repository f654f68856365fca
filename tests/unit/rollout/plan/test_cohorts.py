"""The cohorts of a plan are found by the team's own label and values, in every query."""

import pytest
from pydantic import ValidationError

from sluice.rollout.analysis.blocks import increase_query
from sluice.rollout.analysis.cohorts import CohortMapping
from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.review.explain import summarize_rule

PLAN = """
name: shop
flag: shop
cohorts: {cohorts}
metrics:
  errors:
    query: sum(rate(shop_errors_total{{{matcher}}}[$window]))
    samples: sum(increase(shop_total{{{matcher}}}[$window]))
    unit: ratio
    statistic: {{test: rate, events: 'e{{{counter}}}', units: 'u{{{counter}}}'}}
steps:
  - {{name: dark, title: Nobody, percentage: 0, interval: 1m, hold: 1h, deadline: 2h,
     gates: [{{metric: errors, threshold: 1%, window: 5m, cohort: control, min_samples: 10}}]}}
"""
OWN = "{label: variant, treatment: new, control: old.v1}"


def plan(cohorts: str = OWN, matcher: str = 'variant=~"$cohort"', counter: str = "") -> RolloutPlan:
    text = PLAN.format(cohorts=cohorts, matcher=matcher, counter=counter or matcher)
    return parse_plan(text)


def test_queries_name_the_teams_values() -> None:
    """A dot of a value is not a wildcard."""
    metric = plan().metrics["errors"]
    gate = Gate(metric="errors", threshold=0.01, window="5m")
    assert (
        metric.value_query(gate, "treatment") == 'sum(rate(shop_errors_total{variant=~"new"}[5m]))'
    )
    assert metric.samples_query(gate, "control") == (
        'sum(increase(shop_total{variant=~"old[.]v1"}[5m]))'
    )
    assert 'variant=~".+"' in metric.value_query(gate, "all")
    selector = metric.statistic.counters()["events"]  # type: ignore[union-attr]
    assert 'e{variant=~"new"} -' in increase_query(
        selector, metric.cohorts.pattern("treatment"), gate.window
    )


def test_a_value_may_have_spaces_and_parentheses() -> None:
    made = plan(OWN.replace("new", '"new (beta), v2"')).metrics["errors"]
    gate = Gate(metric="errors", threshold=0.01, window="5m")
    assert 'variant=~"new [(]beta[)], v2"' in made.value_query(gate, "treatment")


def test_a_metric_may_have_a_label_of_its_own_and_the_plan_survives_its_wire_form() -> None:
    first = plan()
    assert RolloutPlan.model_validate_json(first.model_dump_json()) == first
    text = PLAN.format(cohorts=OWN, matcher='v=~"$cohort"', counter='v=~"$cohort"')
    text = text.replace("unit: ratio", "unit: ratio\n    cohorts: {label: v}")
    assert parse_plan(text).metrics["errors"].cohorts == CohortMapping(label="v")


@pytest.mark.parametrize(
    ("cohorts", "matcher", "counter", "problem"),
    [
        (OWN, 'cohort=~"$cohort"', "", "names the label 'variant'"),
        (OWN, 'variant=~"$cohort"', 'cohort=~"$cohort"', "names the label 'variant'"),
        (OWN, 'variant=~"$cohort"', 'variant="$cohort"', "write variant=~"),
        ("{label: variant, treatment: new, control: new}", 'variant=~"$cohort"', "", "both 'new'"),
        ("{label: 0x, treatment: new, control: old}", 'variant=~"$cohort"', "", "label"),
        ("{label: v, treatment: 'a|b', control: old}", 'v=~"$cohort"', "", "treatment"),
    ],
)
def test_a_cohort_that_would_never_be_found_is_a_mistake(
    cohorts: str, matcher: str, counter: str, problem: str
) -> None:
    with pytest.raises(PlanError, match=problem):
        plan(cohorts, matcher, counter)


def test_explanations_name_label_and_value() -> None:
    rule = plan().steps[0].gates[0]
    summary = summarize_rule(rule, plan().metrics["errors"])
    assert "errors (control: variant=old.v1) below 1.00%" in summary.text


def test_a_plan_made_in_code_gives_its_cohorts_to_its_metrics() -> None:
    """A metric that names cohorts of its own keeps them; anything else than a metric is refused."""
    written = plan().model_dump(mode="json", exclude={"metrics"})
    errors = Metric.model_validate(plan().metrics["errors"].model_dump(exclude={"cohorts"}))
    own = errors.model_copy(update={"cohorts": CohortMapping(treatment="mine", control="theirs")})
    own = Metric.model_validate(own.model_dump())
    made = RolloutPlan.model_validate({**written, "metrics": {"errors": errors, "own": own}})
    assert made.metrics["errors"].cohorts == made.cohorts
    assert made.metrics["own"].cohorts.treatment == "mine"
    with pytest.raises(ValidationError):
        RolloutPlan.model_validate({**written, "metrics": {"errors": 1}})
