"""One registry of names: router, plans, dashboards and alert rules agree with it."""

from pathlib import Path

import pytest

from sluice.rollout.analysis.promql import parse_selectors, sample_age_query
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.metric_catalog import ROUTER_SERIES, SCRAPE_LABELS, WORKER_SERIES
from tests.unit.ops.test_grafana import alert_expressions, exported_series, panel_expressions

PLANS = Path(__file__).parents[4] / "plans"


def test_the_registry_is_what_a_router_exports() -> None:
    assert {name: frozenset(labels) for name, labels in ROUTER_SERIES.items()} == exported_series()


@pytest.mark.parametrize(
    "expr", sorted({expr for _, expr in (*panel_expressions(), *alert_expressions())})
)
def test_dashboards_and_alerts_name_only_what_is_registered(expr: str) -> None:
    """Read by a PromQL parser, not by a pattern: matchers, grouping and joins included."""
    found = parse_selectors(expr.replace("$__rate_interval", "5m").replace("$__interval", "1m"))
    for selector in found.selectors:
        if selector.metric.startswith(("router_", "process_")):
            assert selector.labels <= {*ROUTER_SERIES[selector.metric], *SCRAPE_LABELS, "le"}
        elif selector.metric.startswith("temporal_"):
            assert selector.labels <= {*WORKER_SERIES[selector.metric], *SCRAPE_LABELS, "le"}


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        (
            "router_complaints_total{",
            "router_complaint_total{",
            "did you mean 'router_complaints_total'?",
        ),
        ('kind="intent",correct', 'knd="intent",correct', "router_probe_total has no label 'knd'"),
        (
            'cohort=~"$cohort",since="step",nth="$stratum"',
            'cohrt=~"$cohort",since="step",nth="$stratum"',
            "has no label 'cohrt'; did you mean 'cohort'?",
        ),
    ],
    ids=["metric", "label", "statistic"],
)
def test_a_misspelt_metric_is_reported_with_its_line(right: str, wrong: str, words: str) -> None:
    text = (PLANS / "phase4.yaml").read_text()
    line = text[: text.index(right)].count("\n") + 1
    with pytest.raises(PlanError) as caught:
        parse_plan(text.replace(right, wrong, 1))
    assert [m.line for m in caught.value.diagnostics if words in m.message] == [line]


def test_a_query_that_is_not_promql_has_one_problem() -> None:
    """The parser reports it; its names can't be known."""
    text = (PLANS / "phase4.yaml").read_text()
    with pytest.raises(PlanError) as caught:
        parse_plan(
            text.replace("sum(increase(router_complaints_total{", "sum(router_complaint{{", 1)
        )
    assert {"is not PromQL" in problem.message for problem in caught.value.diagnostics} == {True}


def test_metrics_of_others_are_left_alone() -> None:
    text = (PLANS / "phase4.yaml").read_text()
    parse_plan(text.replace("router_complaints_total{cohort=~", "support_tickets_total{team=~"))


def test_another_query_router_may_call_its_metrics_so_too() -> None:
    """Without any series of ours the plan is another service's: its names are its own."""
    text = """
name: answers
flag: answers
cohorts: {label: arm, treatment: new, control: old}
metrics: {errors: {query: 'avg(router_requests_failed{arm=~"$cohort"})', unit: ratio}}
steps:
  - {name: ramp, title: Ramp, percentage: 5, interval: 1m, hold: 1h, deadline: 2h,
     gates: [{metric: errors, threshold: 1%, window: 5m}]}
"""
    assert parse_plan(text).metrics["errors"].unit == "ratio"


def test_the_age_of_an_expression_asks_each_selector_once() -> None:
    assert sample_age_query(
        'sum(rate(a{x="1"}[5m])) / sum(rate(b[1h] offset 1d)) + sum(a{x="1"})'
    ) == ('time() - (max(timestamp(a{x="1"})) or max(timestamp(b)))')
    assert sample_age_query("vector(1)") is None
    assert sample_age_query("errors treatment") is None
