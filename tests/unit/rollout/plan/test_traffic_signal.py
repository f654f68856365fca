"""The forecast knows a service by its plan, and not by the names of its metrics."""

import pytest

from sluice.cli.views.forecast import forecast_lines
from sluice.rollout.plan.fit import fit_plan, samples_needed
from sluice.rollout.plan.forecast.forecast import forecast_rollout
from sluice.rollout.plan.lint import lint_warnings
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan
from sluice.rollout.plan.traffic_signal import healthy_error_rate, traffic_signal

TRAFFIC = ExpectedTraffic(queries_per_day=86_400, users=5_000, error_rate=0.003, feedback_share=0.3)
BUSY = TRAFFIC.model_copy(update={"queries_per_day": 8_640_000.0})
PLAN = """
name: shop
flag: shop
metrics:
  failures:
    query: sum(rate(NAME_total{cohort=~"$cohort",outcome="error"}[$window])) / sum(rate(NAME_total{cohort=~"$cohort"}[$window]))
    samples: &samples sum(increase(NAME_total{cohort=~"$cohort"}[$window]))
    unit: ratio
    MODEL
  answered: {query: 'avg(ok{cohort=~"$cohort"})', samples: *samples, unit: ratio}
  p95: {query: 'histogram_quantile(0.95, sum by (le) (rate(s_bucket{cohort=~"$cohort"}[$window])))', samples: *samples, unit: seconds}
  mean_time: {query: 'avg(s{cohort=~"$cohort"})', samples: *samples, unit: seconds}
  stars: {query: 'avg(stars{cohort=~"$cohort"})', samples: 'sum(increase(stars_total{cohort=~"$cohort"}[$window]))', unit: score}
  load: {query: 'sum(rate(shop_total{cohort=~"$cohort"}[$window]))', unit: per_second}
  backlog: {query: max(jobs_backlog), unit: count}
steps:
  - name: ramp
    title: Ramp
    percentage: 20
    interval: 1h
    hold: 1d
    deadline: 2d
    gates: [GATES]
    red_flags: [{name: quiet, metric: load, threshold: 0.15, direction: above, window: 5m, dry_run: true}]
"""
FAILURES = "{name: g, metric: failures, threshold: 1%, window: 1h, min_samples: 200}"
ANSWERED = (
    "{name: g, metric: answered, threshold: 99%, direction: above, window: 1h, min_samples: 200}"
)


def plan_of(*gates: str, name: str = "shop_requests", model: str = "") -> RolloutPlan:
    text = PLAN.replace("NAME", name).replace("MODEL", model).replace("GATES", ", ".join(gates))
    return parse_plan(text)


def chance(plan: RolloutPlan) -> tuple[float | None, float | None]:
    gate = forecast_rollout(plan, TRAFFIC)[0].gates[0]
    return gate.false_action, gate.verdict


def test_any_services_error_rate_is_forecast_as_the_routers() -> None:
    router, shop = plan_of(FAILURES, name="router_queries"), plan_of(FAILURES)
    assert 0 < (chance(shop)[1] or 1) < 1
    assert chance(shop) == chance(router)
    few = TRAFFIC.model_copy(update={"queries_per_day": 9_000.0})
    warnings = [[text for _, text in lint_warnings(plan, few)] for plan in (router, shop)]
    assert warnings[0] == warnings[1]
    assert any("expects 75 queries in 1h" in text for text in warnings[1])
    assert (
        len({plan.steps[0].gates for plan, _ in (fit_plan(p, TRAFFIC) for p in (router, shop))})
        == 1
    )


def test_a_share_of_successes_is_the_share_of_failures_from_the_other_side() -> None:
    assert chance(plan_of(ANSWERED)) == chance(plan_of(FAILURES))
    windows = [
        fit_plan(plan_of(gate), TRAFFIC)[0].steps[0].gates[0].window
        for gate in (ANSWERED, FAILURES)
    ]
    assert windows[0] == windows[1]


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ("", 0.003),
        ("model: {kind: error_rate, typical: 0.4%}", 0.004),
        ("model: {kind: success_rate, typical: 99.9%}", 0.001),
    ],
)
def test_a_stated_healthy_value_beats_the_expected_one(model: str, rate: float) -> None:
    plan = plan_of(FAILURES, model=model)
    assert healthy_error_rate(plan, "failures", TRAFFIC) == pytest.approx(rate)


def test_a_hit_rate_says_nothing_of_failures() -> None:
    """No number of requests keeps chance from a limit of a rate that nobody expects."""
    plan = plan_of(ANSWERED.replace("99%", "50%"))
    assert samples_needed(plan, plan.steps[0].gates[0], TRAFFIC) == 0


def test_a_limit_below_the_expected_rate_lowers_it() -> None:
    """Nobody sets a limit that a healthy service fails."""
    strict = plan_of(FAILURES.replace("1%", "0.1%"))
    assert healthy_error_rate(strict, "failures", TRAFFIC) == pytest.approx(0.0003)


@pytest.mark.parametrize(
    ("gate", "is_known"),
    [
        ("{name: g, metric: p95, threshold: 800ms, window: 1h, min_samples: 200}", True),
        ("{name: g, metric: mean_time, threshold: 800ms, window: 1h, min_samples: 200}", False),
        ("{name: g, metric: stars, threshold: 0.6, direction: above, window: 1h}", True),
        ("{name: g, metric: load, threshold: 0.5, direction: above, window: 1h}", True),
        ("{name: g, metric: backlog, threshold: 50, window: 1h, cohort: all}", False),
    ],
    ids=["quantile", "mean", "reward", "requests", "queue"],
)
def test_what_traffic_says_nothing_of_is_named(gate: str, is_known: bool) -> None:
    plan = plan_of(gate)
    metric = plan.steps[0].gates[0].metric
    assert (traffic_signal(plan, metric) is not None) == is_known
    last = list(forecast_lines(forecast_rollout(plan, TRAFFIC)))[-1]
    assert ("without g: the traffic does not say" in last) != is_known


def test_a_red_flag_of_too_few_requests_fires_at_night() -> None:
    """The rhythm of a day is not a fault; the forecast says what a fixed lower limit makes of it."""
    flags = [forecast_rollout(plan_of(FAILURES), comes)[0].gates[1] for comes in (TRAFFIC, BUSY)]
    assert (flags[0].false_action or 0) > 0.5 > (flags[1].false_action or 0)
