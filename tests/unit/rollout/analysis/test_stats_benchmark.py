"""The benchmark's vectorised gates give what the tests' own `update` gives, hour by hour."""

import numpy as np
import pytest

from benchmarks.support import decisions_gates as gates
from benchmarks.support import gates_sluice
from benchmarks.support.decisions_traffic import draw_rollouts
from benchmarks.support.decisions_world import RolloutCounters, World
from sluice.flags.service.user_means import SUMS
from sluice.rollout.analysis.stats.bounded_means import BoundedMeanBlock
from sluice.rollout.analysis.stats.counts import CountBlock, Counts
from sluice.rollout.analysis.stats.means import Moments
from sluice.rollout.analysis.stats.sample_ratio import SampleRatioBlock, SampleRatioTest
from sluice.rollout.analysis.stats.user_hazards import HazardBlock, HazardCounts
from sluice.rollout.analysis.stats.user_means import UserMeansBlock, UserSums

RUN, HOURS = 1, 30


@pytest.fixture(scope="module")
def traffic() -> RolloutCounters:
    return draw_rollouts(np.random.default_rng(5), World("bot", bot_share=0.01), 0.25, (2, HOURS))


def test_users_at_risk_match_the_tests_update(traffic: RolloutCounters) -> None:
    t, c = traffic.treatment, traffic.control
    found = gates.hazard_evidence(
        gates.FAILURES, (t.failures, t.failure_risk), (c.failures, c.failure_risk)
    )
    state = gates.FAILURES.start()
    for hour in range(HOURS):
        cohorts = [
            HazardCounts(
                users=tuple(x.failures[RUN, hour]), at_risk=tuple(x.failure_risk[RUN, hour])
            )
            for x in (t, c)
        ]
        state = gates.FAILURES.update(state, HazardBlock(treatment=cohorts[0], control=cohorts[1]))
        assert gates.FAILURES.log_e(state) == pytest.approx(found[RUN, hour], abs=1e-9)


def test_errors_of_requests_match_the_tests_update(traffic: RolloutCounters) -> None:
    t, c = traffic.treatment, traffic.control
    found = gates_sluice.count_evidence(gates.SURGE, (t.errors, c.errors), (t.requests, c.requests))
    state = gates.SURGE.start()
    for hour in range(HOURS):
        cohorts = [Counts(events=x.errors[RUN, hour], units=x.requests[RUN, hour]) for x in (t, c)]
        state = gates.SURGE.update(state, CountBlock(treatment=cohorts[0], control=cohorts[1]))
        assert state.wealth.log_e == pytest.approx(found[RUN, hour], abs=1e-9)


@pytest.mark.parametrize("metric", ["mean_log_times", "mean_rewards"])
def test_users_means_match_the_tests_update(traffic: RolloutCounters, metric: str) -> None:
    test = gates.LOG_TIME if metric == "mean_log_times" else gates.REWARD
    t, c = (getattr(cohort, metric) for cohort in (traffic.treatment, traffic.control))
    found, state = gates.user_means_evidence(test, t, c), test.start()
    for hour in range(HOURS):
        sums = [UserSums(**dict(zip(SUMS, x[RUN, hour], strict=True))) for x in (t, c)]
        state = test.update(state, UserMeansBlock(treatment=sums[0], control=sums[1]))
        assert test.log_e_harm(state) == pytest.approx(found[RUN, hour], abs=1e-6)


def test_first_rewards_match_the_tests_update(traffic: RolloutCounters) -> None:
    t, c = traffic.treatment.rewards, traffic.control.rewards
    found = gates.bounded_mean_evidence(gates.FIRST_REWARDS, t, c, 0.25)
    state = gates.FIRST_REWARDS.start()
    for hour in range(HOURS):
        treated, control = (
            Moments(units=units, total=total, squares=squares)
            for units, total, squares in (t[RUN, hour], c[RUN, hour])
        )
        block = BoundedMeanBlock(treatment=treated, control=control, share=0.25)
        state = gates.FIRST_REWARDS.update(state, block)
        found_now = gates.FIRST_REWARDS.log_e_harm(state)
        assert found_now == pytest.approx(found[RUN, hour], abs=1e-9)


def test_the_sample_ratio_matches_the_tests_update(traffic: RolloutCounters) -> None:
    t, c, test = traffic.treatment.seen, traffic.control.seen, SampleRatioTest()
    found, state = gates.ratio_evidence(test, t, c, 0.25), test.start()
    for hour in range(HOURS):
        users = (t[RUN, hour], c[RUN, hour])
        state = test.update(
            state, SampleRatioBlock(treatment=users[0], control=users[1], share=0.25)
        )
        assert test.log_e(state) == pytest.approx(found[RUN, hour], abs=1e-6)
