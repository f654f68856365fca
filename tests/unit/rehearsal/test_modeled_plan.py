"""A plan of any service can be rehearsed: each metric becomes the recorded signal that it resembles."""

from datetime import timedelta

import pytest

from sluice.rehearsal.errors import NotRehearsableError
from sluice.rehearsal.runner.session import require_recorded_series, require_scenario_fits
from sluice.rehearsal.traffic.modeled_plan import ModeledPlan, model_rehearsal
from sluice.rehearsal.traffic.scenario import load_scenario, parse_scenario, scenario_names
from sluice.rollout.analysis.metric_model import SignalKind
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.schema import RolloutPlan

METRICS = {
    "errors": ("ratio", 'sum(rate(shop_failed{v=~"$cohort"}[$window]))', "threshold: 1%"),
    "available": (
        "ratio",
        'avg(shop_ok{v=~"$cohort"})',
        "threshold: 99.5%, direction: above",
    ),
    "p95": (
        "seconds",
        'histogram_quantile(0.95, sum by (le) (rate(s_bucket{v=~"$cohort"}[$window])))',
        "threshold: 120ms",
    ),
    "stars": ("score", 'avg(stars{v=~"$cohort"})', "threshold: 4.2, direction: above"),
    "heap": ("bytes", "max(heap_bytes)", "threshold: 2e9, cohort: all"),
    "backlog": ("count", "max(jobs_backlog)", "threshold: 500, cohort: all"),
    "alive": ("seconds", "time() - max(beat)", "threshold: 60s, kind: presence, cohort: all"),
    "down": ("count", 'count(up{job="shop"} == 0)', "threshold: 1, cohort: all"),
}
STEP = """
  - name: {name}
    title: {name}
    percentage: {percentage}
    rollback_to: {target}
    interval: 1m
    hold: {hold}
    deadline: 20d
    gates: [{gates}]
"""


def plan_of(*names: str, hold: str = "2h", more: str = "") -> RolloutPlan:
    """Return a plan of a service with these metrics, each with one gate in each step."""
    metrics = "".join(
        f"  {name}: {{query: '{METRICS[name][1]}', unit: {METRICS[name][0]}}}\n" for name in names
    )
    gates = ", ".join(f"{{metric: {name}, {METRICS[name][2]}, window: 5m}}" for name in names)
    steps = STEP.format(name="start", percentage=0, target="null", hold="1h", gates=gates)
    steps += STEP.format(name="ramp", percentage=30, target="start", hold=hold, gates=gates)
    cohorts = "cohorts: {label: v, treatment: new, control: old}\n"
    return parse_plan(f"name: shop\nflag: shop\n{cohorts}{more}metrics:\n{metrics}steps:{steps}")


def modeled(plan: RolloutPlan, scenario: str = "healthy") -> ModeledPlan:
    return model_rehearsal(plan, [load_scenario(scenario)])[0]


@pytest.mark.parametrize(
    ("name", "kind", "typical"),
    [
        ("errors", SignalKind.ERROR_RATE, 0.003),
        ("available", SignalKind.SUCCESS_RATE, 0.9985),
        ("p95", SignalKind.LATENCY, 0.09),
        ("stars", SignalKind.REWARD, 5.04),
        ("heap", SignalKind.MEMORY, 1e9),
        ("backlog", SignalKind.QUEUE, 100),
        ("alive", SignalKind.HEARTBEAT, 6),
        ("down", SignalKind.UP, 0.5),
    ],
)
def test_kind_and_typical_value_are_inferred(name: str, kind: SignalKind, typical: float) -> None:
    signal = modeled(plan_of(name)).signals[name]
    assert signal.kind == kind
    assert signal.typical == pytest.approx(typical)


def test_every_query_reads_recorded_series_only() -> None:
    """The router's label and values replace the service's."""
    done = modeled(plan_of(*METRICS))
    require_recorded_series(done.plan)
    assert set(done.signals) == set(METRICS)
    assert 'cohort=~"$cohort"' in done.plan.metrics["p95"].query


def test_a_stated_model_wins_over_the_inferred_one() -> None:
    plan = plan_of("stars")
    stars = plan.metrics["stars"].model_copy(update={"model": None})
    written = type(stars).model_validate(
        {**stars.model_dump(), "model": {"kind": "gauge", "typical": "3"}}
    )
    signal = modeled(plan.model_copy(update={"metrics": {"stars": written}})).signals["stars"]
    assert (signal.kind, signal.typical) == (SignalKind.GAUGE, 3.0)


@pytest.mark.parametrize("name", scenario_names())
@pytest.mark.parametrize("hold", ["20s", "6h", "10d"])
def test_every_scenario_fits_a_plan_of_any_length(name: str, hold: str) -> None:
    """Times are in proportion, and a fault lasts long enough for the step's windows to show it."""
    plan = plan_of("errors", hold=hold)
    _, (fitted,) = model_rehearsal(plan, [load_scenario(name)])
    require_scenario_fits(plan, fitted)
    for fault in fitted.faults:
        assert fault.duration is None or fault.duration >= timedelta(seconds=1)


def test_a_scenario_of_ones_own_that_begins_after_the_plan_is_refused() -> None:
    """Its times are as written."""
    text = "name: late\ntitle: t\nfaults: [{kind: nan, percentage: 30, after: 3h}]\n"
    plan = plan_of("errors")
    _, (fitted,) = model_rehearsal(plan, [parse_scenario(text)])
    with pytest.raises(NotRehearsableError, match="shorten after"):
        require_scenario_fits(plan, fitted)


def test_a_fault_that_no_metric_shows_is_named() -> None:
    done = modeled(plan_of("errors"))
    assert done.unseen_faults(load_scenario("complaints")) == ["complaints"]
    assert done.unseen_faults(load_scenario("error_burst")) == []


def test_the_plans_own_traffic_is_rehearsed() -> None:
    more = "traffic: {queries_per_day: 86400, users: 300}\n"
    _, (scenario,) = model_rehearsal(plan_of("errors", more=more), [load_scenario("healthy")])
    traffic = scenario.traffic
    assert (traffic.queries_per_second, traffic.users, traffic.error_rate) == (1, 300, 0.003)
