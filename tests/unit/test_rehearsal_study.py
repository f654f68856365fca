"""Rates, delays and budgets of many rehearsals."""

from datetime import UTC, datetime, timedelta

from rehearsal.budget import exceeded
from rehearsal.outcome import Outcome
from rehearsal.scenario import Ending
from rehearsal.study import study_of, wilson
from rollout.plan import Budget

BEGAN = datetime(2026, 1, 5, 8, tzinfo=UTC)


def outcome(minutes: int | None, scenario: str = "latency", early: bool = False) -> Outcome:
    delay = None if minutes is None else timedelta(minutes=minutes)
    healthy = minutes is None and not early
    return Outcome(
        scenario=scenario,
        seed=1,
        by="the pure core",
        end=Ending.HEALTHY if healthy else Ending.ROLLED_BACK,
        step="ramp-25",
        percentage=0,
        took=timedelta(days=9),
        began_at=BEGAN,
        fault_at=None if minutes is None else BEGAN,
        ended_at=BEGAN + timedelta(hours=9),
        delay=delay,
    )


def test_wilson_is_the_textbooks() -> None:
    """Brown, Cai and DasGupta (2001): 0 of 20 gives 0 to 0.161; 5 of 20 gives 0.112 to 0.469."""
    assert [round(x, 3) for x in wilson(0, 20)] == [0.0, 0.161]
    assert [round(x, 3) for x in wilson(5, 20)] == [0.112, 0.469]


def test_quantiles_of_the_delays() -> None:
    study = study_of([outcome(m) for m in (9, 1, 5, 3, 7)])
    assert study.delay(0.5) == timedelta(minutes=5)
    assert study.delay(0.9) == timedelta(minutes=9)
    assert study.false_rollbacks == 0


def test_a_rollback_without_a_fault_is_a_false_one() -> None:
    study = study_of([outcome(None, "healthy"), outcome(None, "healthy", early=True)])
    assert (study.false_rollbacks, study.false_rollback_rate) == (1, 0.5)


def test_a_budget_is_exceeded_by_the_late_the_missed_and_the_false() -> None:
    budget = Budget.model_validate(
        {"false_rollback_max": "5%", "detection_delay_max": {"latency": "5m", "nan": "1h"}}
    )
    missed = outcome(None, "nan")
    false = study_of([outcome(None, "healthy", early=True)])
    lines = list(exceeded(budget, [outcome(5), outcome(6), missed], [false]))
    assert len(lines) == 3
    assert lines[0].startswith("latency took 6m")
    assert "never" in lines[1]
    assert "1 of 1 healthy" in lines[2]
