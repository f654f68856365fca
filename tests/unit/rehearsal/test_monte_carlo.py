"""Rates, delays and budgets of many rehearsals."""

from datetime import UTC, datetime, timedelta

from sluice.cli.views.rehearse import comparison_lines, monte_carlo_text
from sluice.rehearsal.results.budget_check import violations
from sluice.rehearsal.results.monte_carlo import summarize, wilson_interval
from sluice.rehearsal.results.result import RehearsalResult
from sluice.rehearsal.traffic.scenario import RehearsalEnding
from sluice.rollout.plan.forecast.forecast import StepForecast
from sluice.rollout.plan.schema import RehearsalBudget

BEGAN = datetime(2026, 1, 5, 8, tzinfo=UTC)


def outcome(minutes: int | None, scenario: str = "latency", early: bool = False) -> RehearsalResult:
    delay = None if minutes is None else timedelta(minutes=minutes)
    healthy = minutes is None and not early
    return RehearsalResult(
        scenario=scenario,
        seed=1,
        runner="the pure core",
        ending=RehearsalEnding.HEALTHY if healthy else RehearsalEnding.ROLLED_BACK,
        step="ramp-25",
        percentage=0,
        duration=timedelta(days=9),
        started_at=BEGAN,
        fault_at=None if minutes is None else BEGAN,
        ended_at=BEGAN + timedelta(hours=9),
        detection_delay=delay,
    )


def test_wilson_intervals_match_published_values() -> None:
    """Brown, Cai and DasGupta (2001): 0 of 20 gives 0 to 0.161; 5 of 20 gives 0.112 to 0.469."""
    assert [round(x, 3) for x in wilson_interval(0, 20)] == [0.0, 0.161]
    assert [round(x, 3) for x in wilson_interval(5, 20)] == [0.112, 0.469]


def test_detection_delays_have_quantiles() -> None:
    study = summarize([outcome(m) for m in (9, 1, 5, 3, 7)])
    assert study.delay_quantile(0.5) == timedelta(minutes=5)
    assert study.delay_quantile(0.9) == timedelta(minutes=9)
    assert study.false_rollbacks == 0


def test_a_rollback_without_a_fault_is_a_false_one() -> None:
    study = summarize([outcome(None, "healthy"), outcome(None, "healthy", early=True)])
    assert (study.false_rollbacks, study.false_rollback_rate) == (1, 0.5)
    (action,) = study.false_actions
    assert (action.seed, action.rule, action.at) == (1, "ramp-25/rolled back", "day  1 17:00")


def test_a_budget_is_exceeded_by_the_late_the_missed_and_the_false() -> None:
    budget = RehearsalBudget.model_validate(
        {"false_rollback_max": "5%", "detection_delay_max": {"latency": "5m", "nan": "1h"}}
    )
    missed = outcome(None, "nan")
    false = summarize([outcome(None, "healthy", early=True)])
    lines = list(violations(budget, [outcome(5), outcome(6), missed], [false]))
    assert len(lines) == 3
    assert lines[0].startswith("latency took 6m")
    assert "never" in lines[1]
    assert "1 of 1 healthy" in lines[2]


def test_a_missed_deadline_is_forecast_and_has_a_seed() -> None:
    """A pause has no rule; without its row and its seed nobody finds out what paused the run."""
    paused = outcome(None, "healthy", early=True).model_copy(
        update={"ending": RehearsalEnding.PAUSED, "seed": 11}
    )
    study = summarize([outcome(None, "healthy"), paused])
    step = StepForecast(step="ramp-25", false_action=0.0, alpha=0.0, verdict=0.9, gates=())
    *_, row, total = comparison_lines([step], study)
    assert row.startswith("| ramp-25/Paused | 10.00% | 1 of 2 |")
    assert total.startswith("| any | 10.00%, and at most 0.00% by statistical gates | 1 of 2 |")
    assert "seed 11: Paused in ramp-25 on day  1 17:00" in monte_carlo_text(study)
