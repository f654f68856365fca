"""Groups of users by their past: exact, and harm shows sooner among those who rarely failed."""

import itertools

import numpy as np
import pytest

from sluice.rollout.analysis.stats.counts import Counts, rates_log_ratios
from sluice.rollout.analysis.stats.user_hazards import HazardBlock, HazardCounts, UserHazardTest
from tests.lazy_import import LazyModule

reference = LazyModule("scipy.stats")


def test_groups_of_users_multiply_and_pay_at_most_their_stake() -> None:
    """All outcomes of a block at the edge of the null, in groups that fail at different rates."""
    test = UserHazardTest(strata=("1",), groups=(0.3, 2.0))
    units, rates = ((3, 2), (4, 2)), (0.02, 0.3)
    so_far = np.array([[4.0, 900.0], [30.0, 110.0]])
    paid, alone = np.zeros(len(test.bets.odds)), np.zeros((2, len(test.bets.odds)))
    for outcome in itertools.product(*(range(n + 1) for n in units[0] + units[1])):
        events = np.reshape(outcome, (2, 2)).astype(np.float64)
        cohorts = np.stack([events, np.array(units)], axis=-1)
        chance = reference.binom.pmf(events, units, rates).prod()
        paid += chance * np.exp(test.group_log_ratios(cohorts[0], cohorts[1], so_far))
        harmed, usual = test.rates_by_group(so_far)
        for group in range(2):
            block = [(x[group, 0], x[group, 1]) for x in cohorts]
            ratios = rates_log_ratios(block[0], block[1], (harmed[group], usual[group]), 1.0)
            alone[group] += chance * np.exp(ratios)
    assert (paid <= 1 + 1e-9).all()
    assert paid == pytest.approx(alone[0] * alone[1], abs=1e-9)


def test_harm_among_users_who_rarely_failed_shows_sooner_by_group() -> None:
    """Ten new failures in either cohort's many-failing users are noise; among the others they are not."""
    cohorts = {
        "treatment": HazardCounts(users=(9.0, 12.0), at_risk=(600.0, 100.0)),
        "control": HazardCounts(users=(6.0, 100.0), at_risk=(6000.0, 1000.0)),
    }
    by_group = UserHazardTest(strata=("1",), groups=(0.3, 3.0))
    state = by_group.update(by_group.start(), HazardBlock(**cohorts))
    together = {
        name: HazardCounts(users=(sum(x.users),), at_risk=(sum(x.at_risk),))
        for name, x in cohorts.items()
    }
    whole = UserHazardTest(strata=("1",))
    merged = whole.update(whole.start(), HazardBlock(**together))
    assert by_group.log_e(state) > whole.log_e(merged) + 1
    assert state.strata[0].treatment == merged.strata[0].treatment
    assert state.groups == (Counts(events=6, units=6000), Counts(events=100, units=1000))
