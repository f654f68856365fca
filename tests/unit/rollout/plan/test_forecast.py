"""The forecast states how often a healthy rollout is stopped by chance, and whether it ends in time."""

import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from sluice.cli.registry import build_app
from sluice.rollout.plan.fit import fit_plan
from sluice.rollout.plan.forecast.forecast import (
    GateForecast,
    false_action_chance,
    forecast_rollout,
)
from sluice.rollout.plan.forecast.rhythm import CohortLoad, load_factor
from sluice.rollout.plan.forecast.scan import (
    count_crossings,
    mean_crossings,
    poisson_at,
    poisson_at_least,
)
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.plan.schema import ExpectedTraffic

PLANS = Path(__file__).parents[4] / "plans"
PHASE4 = load_plan(PLANS / "phase4.yaml")


def traffic(per_second: float, users: float) -> ExpectedTraffic:
    return ExpectedTraffic(
        queries_per_day=86_400 * per_second, users=users, error_rate=0.003, feedback_share=0.3
    )


@pytest.mark.parametrize(("mean", "limit"), [(0.05, 2), (0.2, 3), (2.0, 8), (20.0, 40)])
def test_a_sliding_windows_crossings_are_those_of_simulated_events(mean: float, limit: int) -> None:
    """A day of events, looked at all the time through a window of an hour, many times."""
    rng, days, hours = np.random.default_rng(3), 3_000, 24.0
    hit = 0
    for _ in range(days):
        at = np.sort(rng.uniform(0, hours, rng.poisson(mean * hours)))
        hit += bool(len(at) >= limit and (at[limit - 1 :] - at[: len(at) - limit + 1] < 1).any())
    quiet = (1 - poisson_at_least(limit, mean)) * math.exp(
        -count_crossings(limit, mean, 1.0) * (hours - 1)
    )
    assert hit > 20
    assert 0.67 < (1 - quiet) / (hit / days) < 1.5


def test_a_mean_beyond_its_limit_crosses_it_all_the_time() -> None:
    assert mean_crossings(0.0, 1.0) == count_crossings(3, 3.0, 1.0) == math.inf
    assert 0 < mean_crossings(3.0, 1.0) < mean_crossings(2.0, 1.0) < math.inf


@pytest.mark.parametrize("mean", [0.3, 7.0, 900.0])
@pytest.mark.parametrize("distance", [-3, 0, 4])
def test_poisson_tails_are_scipys(mean: float, distance: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    count = max(0, round(mean + distance * math.sqrt(mean)))
    expected = stats.poisson.sf(count - 1, mean)
    assert poisson_at_least(count, mean) == pytest.approx(expected, rel=1e-6)


def test_a_night_has_less_traffic_than_a_day_and_a_weekend_than_a_week() -> None:
    comes = CohortLoad(traffic(10, 2000), 1.0)
    assert comes.queries(27, 1) < 0.6 * comes.queries(39, 1)
    assert comes.queries(5 * 24 + 15, 1) < 0.8 * comes.queries(4 * 24 + 15, 1)
    assert sum(map(load_factor, range(7 * 24))) / 7 / 24 == pytest.approx(0.914, abs=0.01)


@pytest.mark.parametrize(("per_second", "users"), [(1, 200), (10, 2000), (100, 20_000)])
def test_a_fitted_plan_is_stopped_by_chance_in_less_than_one_of_twenty(
    per_second: float, users: float
) -> None:
    """The forecast agrees with the bar of rehearsals before any is made."""
    comes = traffic(per_second, users)
    fitted, _ = fit_plan(PHASE4, comes)
    steps = forecast_rollout(fitted, comes)
    assert false_action_chance(steps) < 0.05
    assert all(step.verdict > 0.95 for step in steps)


def lint_phase4(*options: str) -> Result:
    arguments = ["lint", str(PLANS / "phase4.yaml"), *options]
    return CliRunner().invoke(build_app(arguments), arguments)


def test_little_traffic_stops_the_plan_as_written_and_lint_says_so() -> None:
    """One command states both: the warning, and with --forecast each gate and the whole plan."""
    output = lint_phase4("--qps", "10", "--users", "2000", "--forecast").output
    assert "ramp-5/latency_spike: by chance alone it fires in 99% of healthy rollouts" in output
    assert "forecast: the whole plan: false action 99." in output
    assert "error_evidence: false action at most 0.40%" in output


def test_two_names_for_one_traffic_are_refused() -> None:
    assert "--qpd and --qps state the same" in str(
        lint_phase4("--qps", "1", "--qpd", "5").exception
    )


def test_a_success_criterion_needs_users() -> None:
    """Evidence of soundness grows with users, so few of them cannot show it by the deadline."""
    chances = [
        next(gate.verdict for gate in gates(traffic(10, users)) if gate.gate == "reward_not_worse")
        for users in (2000, 4000, 20_000)
    ]
    assert chances[0] == 0
    assert chances == sorted(chances, key=lambda chance: chance or 0)
    assert (chances[-1] or 0) > 0.99


def gates(comes: ExpectedTraffic) -> list[GateForecast]:
    return [gate for step in forecast_rollout(PHASE4, comes) for gate in step.gates]


def test_without_any_events_nothing_happens_and_a_limit_of_none_is_always_crossed() -> None:
    assert [poisson_at(count, 0.0) for count in (0, 1)] == [1.0, 0.0]
    assert count_crossings(0, 1.0, 1.0) == math.inf


def test_a_success_criterion_needs_both_cohorts() -> None:
    """At 100 % there is nobody to compare with: it can't pass, and fitting leaves it alone."""
    criterion = next(g for s in PHASE4.steps for g in s.gates if g.claim == "non_inferiority")
    steps = [
        step.model_copy(update={"gates": (criterion,)}) if step.percentage == 100 else step
        for step in PHASE4.steps
    ]
    plan = PHASE4.model_copy(update={"steps": tuple(steps)})
    comes = traffic(100, 20_000)
    for one in (plan, fit_plan(plan, comes)[0]):
        step = next(step for step in one.steps if step.percentage == 100)
        assert [gate.dry_run for gate in step.gates] == [False]
        forecast = next(f for f in forecast_rollout(one, comes) if f.step == step.name)
        assert forecast.gates[0].verdict == 0.0


def test_users_without_number_never_run_out() -> None:
    """Each request brings another user, so the evidence grows with the requests."""
    chance = [
        next(gate.verdict for gate in gates(comes) if gate.gate == "reward_not_worse")
        for comes in (traffic(100, 20_000), traffic(100, 20_000).model_copy(update={"users": None}))
    ]
    assert (chance[1] or 0) >= (chance[0] or 0) > 0.9
