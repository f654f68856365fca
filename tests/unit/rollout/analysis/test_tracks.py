"""Users that are counted again begin a track of their own, at a part of α that was not spent."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from sluice.rollout.analysis.blocks import counted_since_problem
from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.sequential_gate import judge_blocks, shown_effect
from sluice.rollout.analysis.sequential_state import Block, EvidenceContext, SequentialState
from sluice.rollout.analysis.statistic import UserHazards
from sluice.rollout.analysis.stats.counts import Counts
from sluice.rollout.analysis.stats.user_hazards import (
    UserHazardTest,
    rate_ratio_interval,
)
from sluice.rollout.analysis.tracks import FIRST_ATTEMPT_SHARE, alpha_share
from sluice.rollout.analysis.verdict import Outcome, Verdict

SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GATE = Gate.model_validate({"name": "g", "metric": "m", "kind": "statistical", "window": "10m"})
HOURLY = UserHazards(
    users='e{c=~"$cohort",n="$stratum"}',
    at_risk='r{c=~"$cohort",n="$stratum"}',
    strata=("1",),
    restarts_every=HOUR,
)
COUNTED = HOURLY.model_copy(update={"restarts_every": None, "counted_since": "since"})


def hazard_block(
    minute: int, users: int, counted_since: float | None = None, minutes: int = 10
) -> Block:
    """Return a block of 500 requests at risk in each cohort, ``users`` of the treatment's hit."""
    since = SINCE + timedelta(minutes=minute)
    counts = {"at_risk 1": 500.0}
    return Block(
        since=since,
        until=since + timedelta(minutes=minutes),
        share=0.5,
        treatment={**counts, "users 1": float(users)},
        control={**counts, "users 1": 2.0},
        counted_since=counted_since,
    )


def judge_track(
    statistic: UserHazards, *blocks: Block, track: SequentialState | None = None
) -> tuple[Verdict, SequentialState]:
    metric = Metric(query="up", unit="count", statistic=statistic)
    return judge_blocks(
        GATE,
        metric,
        EvidenceContext(
            since=SINCE,
            share=0.5,
            alphas={"g": 0.01},
            sequential_states={"g": track or SequentialState()},
        ),
        blocks,
    )


def test_an_hourly_track_starts_at_zero_each_hour() -> None:
    """The same users come back in each hour, so their evidence is not multiplied over hours."""
    hours = [hazard_block(60 * hour, 10) for hour in range(6)]
    _, first = judge_track(HOURLY, hours[0])
    verdict, later = judge_track(HOURLY, *hours)
    assert later.test_state == first.test_state
    assert (first.period, later.period, later.blocks) == (0, 5, 6)
    assert verdict.outcome is Outcome.SUCCESSFUL


def test_the_parts_of_alpha_of_all_periods_and_attempts_stay_below_one() -> None:
    parts = [
        alpha_share(SequentialState(period=period, attempt=attempt), HOURLY)
        for period in range(5000)
        for attempt in range(10)
    ]
    assert 0.95 < sum(parts) <= 1
    attempts = [alpha_share(SequentialState(attempt=n), COUNTED) for n in range(10)]
    assert 0.99 < sum(attempts) <= 1


def test_a_block_over_the_turn_of_the_hour_does_not_count() -> None:
    _, track = judge_track(HOURLY, hazard_block(55, 400))
    assert (track.blocks, track.until) == (0, SINCE + timedelta(minutes=65))


def test_harm_shown_in_one_hour_stays_shown_in_the_next() -> None:
    verdict, track = judge_track(HOURLY, hazard_block(0, 200), hazard_block(60, 2))
    assert verdict.outcome is Outcome.FAILED
    assert track.period == 1
    again, _ = judge_track(HOURLY, hazard_block(70, 2), track=track)
    assert again.outcome is Outcome.FAILED


def test_users_that_are_counted_again_begin_a_track_with_what_is_left_of_alpha() -> None:
    before, after = (hazard_block(10 * n, 10, since) for n, since in ((0, 1.0), (1, 2.0)))
    _, first = judge_track(COUNTED, before)
    verdict, second = judge_track(COUNTED, before, after)
    assert (first.attempt, second.attempt, second.counted_since) == (0, 1, 2.0)
    _, alone = judge_track(COUNTED, after)
    assert second.test_state == alone.test_state
    spent = FIRST_ATTEMPT_SHARE
    assert verdict.limit == pytest.approx(1 / (0.01 * spent * (1 - spent)))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (None, 9e9, ""),
        (9e9, 9e9, ""),
        (1.0, 9e9, ""),  # of the step before, whose users are in no counter of this one
        (9e9, 9e9 + 60, "began again"),
        (9e9, None, "is unknown"),
    ],
)
def test_a_block_that_mixes_two_countings_is_no_data(
    before: float | None, after: float | None, words: str
) -> None:
    problem = counted_since_problem(before, after, SINCE)
    assert words in problem
    assert bool(problem) is bool(words)


def test_users_counted_again_each_hour_show_no_effect_of_the_step() -> None:
    metric = Metric.model_validate({"query": "x", "unit": "ratio", "statistic": HOURLY})
    assert shown_effect(GATE, metric, SequentialState(), 0.01) is None


def test_the_interval_of_the_ratio_keeps_its_promise_at_every_look() -> None:
    """The true ratio leaves the interval at any of 30 looks in at most α of the runs."""
    rng, test, missed = np.random.default_rng(3), UserHazardTest(strata=("1",)), 0
    for _ in range(200):
        events = np.cumsum(rng.binomial(200, (0.04, 0.02), (30, 2)), axis=0)
        looks = [
            test.start()
            .strata[0]
            .model_copy(
                update={
                    "treatment": Counts(events=float(treated), units=200.0 * number),
                    "control": Counts(events=float(others), units=200.0 * number),
                }
            )
            for number, (treated, others) in enumerate(events, start=1)
        ]
        intervals = [rate_ratio_interval(look.treatment, look.control, 0.1) for look in looks]
        missed += any(not low <= 2 <= high for low, high in intervals)
    assert missed / 200 <= 0.1
    assert 1 < intervals[-1][0] < 2 < intervals[-1][1] < 4


def test_a_verdict_carries_the_effect_with_its_interval() -> None:
    verdict, _ = judge_track(HOURLY, hazard_block(0, 40))
    effect = verdict.effect
    assert effect is not None
    assert (effect.kind, effect.estimate) == ("ratio", 20)
    assert effect.low is not None
    assert 1 < effect.low < 20
    assert "ratio 20.00 (" in verdict.reason
    empty, _ = judge_track(HOURLY)
    assert empty.effect is None
