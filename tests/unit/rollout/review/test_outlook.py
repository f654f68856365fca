"""The outlook of a running step: when a verdict is expected, and who is exposed until then."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine.state import ActivePause, State
from sluice.rollout.review.outlook import (
    describe_outlook,
    expected_verdict_at,
    live_exposure,
)
from tests.phase4_plan import PHASE4

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at_ramp_25(stable_since: datetime | None = None) -> State:
    """Return a rollout at 25 % (hold 3 d, stable for 1 d, deadline 4 d) with 5,400 queries in an hour."""
    index = PHASE4.index("ramp-25")
    state = State(
        rollout_id="r", run_id="r", plan=PHASE4, started_at=START, step_index=index, percentage=25
    )
    verdict = Verdict(gate="error_rate", outcome=Outcome.SUCCESSFUL, reason="fine", samples=5_400)
    check = Check(id="c", at=START, step="ramp-25", verdicts=(verdict,))
    clock = {"started_at": START, "stable_since": stable_since, "check": check}
    state.clock = state.clock.model_copy(update=clock)
    state.live = state.live.model_copy(update={"name": "ramp-25", "since": START})
    return state


@pytest.mark.parametrize(
    ("hours", "stable_hours", "expected"),
    [(6, 6, 72), (70, 60, 84), (60, None, 84), (80, None, 96), (200, None, 200)],
    ids=["hold", "stable_for", "not stable yet", "deadline", "never in the past"],
)
def test_a_verdict_is_expected_after_hold_and_stability_and_by_the_deadline(
    hours: int, stable_hours: int | None, expected: int
) -> None:
    state = at_ramp_25(START + stable_hours * HOUR if stable_hours is not None else None)
    assert expected_verdict_at(state, START + hours * HOUR) == START + expected * HOUR


def test_exposure_counts_users_and_queries_of_the_live_share() -> None:
    exposure = live_exposure(at_ramp_25(), START + 4 * HOUR)
    assert exposure is not None
    assert exposure.users == pytest.approx(50_000)
    assert exposure.queries == pytest.approx(21_600)
    assert describe_outlook(at_ramp_25(START), START + 4 * HOUR + timedelta(seconds=1)) == (
        "verdict expected in 2d20h  ·  25 % of users (about 50,000) exposed for 4h  ·  "
        "about 21,602 queries"
    )


def test_a_paused_step_has_no_expected_verdict_and_still_exposes() -> None:
    state = at_ramp_25()
    state.pause = ActivePause(since=START, reason="a person looks")
    assert expected_verdict_at(state, START + HOUR) is None
    assert live_exposure(state, START + HOUR) is not None


def test_nobody_is_exposed_at_zero() -> None:
    state = at_ramp_25()
    state.percentage = 0
    assert live_exposure(state, START + HOUR) is None
