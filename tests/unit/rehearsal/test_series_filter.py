"""A recording leaves out series, and never one that a rule of its step reads."""

from pathlib import Path

import pytest

from sluice.rehearsal.lookahead.batch_evidence import block_queries
from sluice.rehearsal.lookahead.lookahead import gate_queries
from sluice.rehearsal.lookahead.watch_spec import WatchSpec
from sluice.rehearsal.ticks import sample_age_queries
from sluice.rehearsal.traffic.series_filter import SeriesFilter, step_series
from sluice.rollout.analysis.gate import GateKind
from sluice.rollout.analysis.promql import Matcher, Selector, parse_selectors
from sluice.rollout.plan.loader import load_plan

PLANS = Path(__file__).parents[3] / "plans"


@pytest.mark.parametrize("name", ["phase4", "demo"])
def test_every_query_of_a_step_finds_its_series(name: str) -> None:
    plan = load_plan(PLANS / f"{name}.yaml")
    spec = WatchSpec((), plan.metrics, {}, 5.0)
    ages = set(sample_age_queries(plan))
    assert ages
    for index, step in enumerate(plan.steps):
        known = step_series(plan, index).selectors
        for gate in (*step.gates, *step.red_flags):
            metric = plan.metrics[gate.metric]
            if gate.kind is GateKind.STATISTICAL:
                blocks = block_queries(metric, gate.window, plan.stale_after, resets=True)
                queries = list(blocks.values())
            else:
                queries = list(gate_queries([gate], spec))
            for promql in queries:
                assert set(parse_selectors(promql).selectors) <= known, (step.name, promql)


def test_a_step_with_one_cohort_records_no_counters_of_users() -> None:
    plan = load_plan(PLANS / "phase4.yaml")
    last = step_series(plan, plan.index("ramp-100"))
    assert not [one.metric for one in last.selectors if one.metric.startswith("router_users")]


@pytest.mark.parametrize(
    ("operator", "value", "matches"),
    [
        ("=", "a", True),
        ("!=", "a", False),
        ("=~", "a|b", True),
        ("=~", "", False),
        ("!~", "b", True),
    ],
)
def test_matchers_mean_what_prometheus_means(operator: str, value: str, matches: bool) -> None:
    selector = Selector("m", (Matcher("cohort", operator, value), Matcher("none", "=", "")), "m")
    known = SeriesFilter(frozenset([selector]))
    assert known.includes((("__name__", "m"), ("cohort", "a"))) is matches
    assert not known.includes((("__name__", "other"), ("cohort", "a")))
