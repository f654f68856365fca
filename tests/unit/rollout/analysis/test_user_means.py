"""Users' means: one user is one unit, however alike its values, and few events do not mislead."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from sluice.flags.service.user_means import LOG_TIME, REWARD, SUMS, Observed, UserMean
from sluice.rollout.analysis.stats.user_means import (
    UserMeansBlock,
    UserMeansTest,
    UserSums,
    difference_variance,
    log_e_worse,
)
from tests.lazy_import import LazyModule

Array = NDArray[np.float64]
integrate, reference = LazyModule("scipy.integrate"), LazyModule("scipy.stats")
RUNS, USERS, LOOKS, ALPHA = 2_000, 200, 5, 0.05


def user_sums(values: Array, weights: Array) -> UserSums:
    v = weights * values
    columns = (weights, v, v**2, weights * v, weights**2)
    return UserSums(**{name: float(one.sum()) for name, one in zip(SUMS, columns, strict=True)})


def test_the_variance_is_that_of_a_ratio_of_sums_over_users() -> None:
    """The delta method, computed user by user."""
    rng = np.random.default_rng(1)
    cohorts = [(rng.normal(5, 1, n), rng.uniform(0.5, 3, n)) for n in (80, 900)]
    sums = [[np.array(x) for x in user_sums(*one).columns()] for one in cohorts]
    own = 0.0
    for values, weights in cohorts:
        mean = np.average(values, weights=weights)
        own += ((weights * (values - mean)) ** 2).sum() / weights.sum() ** 2
    everyone, weight = (np.concatenate(parts) for parts in zip(*cohorts, strict=True))
    mean = np.average(everyone, weights=weight)
    spread = ((weight * (everyone - mean)) ** 2).sum() / (weight**2).sum()
    pooled = sum(spread * (w**2).sum() / w.sum() ** 2 for _, w in cohorts)
    assert float(difference_variance(*sums)) == pytest.approx(max(own, pooled), rel=1e-9)


def test_the_evidence_is_the_integral_over_effects() -> None:
    worse_by, information, effect = 0.09, 900.0, 0.1

    def ratio(size: float) -> float:
        prior = reference.norm.pdf(size, effect, effect / 3) / reference.norm.cdf(3)
        return float(prior * math.exp(size * worse_by * information - size**2 * information / 2))

    expected, _ = integrate.quad(ratio, 0, 2, points=[worse_by], epsabs=0, epsrel=1e-12)
    found = float(log_e_worse(np.array(worse_by), np.array(information), effect))
    assert math.exp(found) == pytest.approx(expected, rel=1e-9)


def test_blocks_add_up_to_the_whole_and_bound_the_difference() -> None:
    rng = np.random.default_rng(2)
    test = UserMeansTest(higher_is_better=False)
    treatment, control = (
        [user_sums(rng.normal(mean, 0.3, n), np.ones(n)) for _ in range(5)]
        for mean, n in ((36.2, 60), (36.0, 200))
    )
    state = test.start()
    for t, c in zip(treatment, control, strict=True):
        state = test.update(state, UserMeansBlock(treatment=t, control=c))
    means = [sum(c.value for c in x) / sum(c.weight for c in x) for x in (treatment, control)]
    assert test.difference(state) == pytest.approx(means[0] - means[1], abs=1e-9)
    low, high = test.interval(state, 0.01)
    assert 0 < low < 0.2 < high
    assert test.harm(state, 0.01).rejected
    assert not test.non_inferiority(state, 0.01).rejected
    assert "difference +0." in test.harm(state, 0.01).reason


def test_a_user_who_repeats_itself_is_no_more_evidence() -> None:
    """Ten times the values of the same users, all alike, leave the variance as it is."""
    rng = np.random.default_rng(3)
    levels, ones = rng.normal(5.5, 1, 200), np.ones(200)
    once, often = (
        [
            [np.array(x) for x in user_sums(levels[part], scale * ones[part]).columns()]
            for part in parts
        ]
        for scale in (1, 10)
        for parts in ((slice(0, 60), slice(60, 200)),)
    )
    assert float(difference_variance(*once)) == pytest.approx(float(difference_variance(*often)))


@pytest.mark.parametrize(
    ("case", "claim", "share"),
    [
        *(("alike", "harm", share) for share in (0.2, 0.5)),
        *(("thumbs up 95 %", claim, 0.2) for claim in ("harm", "sound")),
        *(("thumbs up 5 %", claim, 0.2) for claim in ("harm", "sound")),
    ],
)
def test_false_claims_stay_within_alpha(case: str, claim: str, share: float) -> None:
    """2,000 rollouts of few users, with a look at 1, 2, 4 … 16 values of each user, at the edge of the null."""
    rng = np.random.default_rng(20261130)
    treated = rng.random((RUNS, USERS)) < share
    tolerance = 0.02 if claim == "sound" else 0.0
    if case == "alike":
        values = rng.normal(0, 1, (RUNS, USERS, 1)) + rng.normal(0, 0.5, (RUNS, USERS, 16))
    else:
        up = (0.95 if "95" in case else 0.05) - tolerance * treated
        values = (rng.random((RUNS, USERS, 16)) < up[..., None]).astype(np.float64)
    highest = np.zeros(RUNS)
    for look in range(LOOKS):
        n = 2**look
        weight = np.full((RUNS, USERS), 3 * n / (3 + n))
        value = weight * values[..., :n].mean(axis=-1)
        columns = (weight, value, value**2, weight * value, weight**2)
        t, c = ([np.where(mask, x, 0).sum(axis=1) for x in columns] for mask in (treated, ~treated))
        gain = t[1] / t[0] - c[1] / c[0]
        worse_by = gain + tolerance if claim == "sound" else -gain
        information = 1 / np.maximum(difference_variance(t, c), 1e-12)
        highest = np.maximum(highest, log_e_worse(worse_by, information, 0.1))
    fired = int((highest >= -math.log(ALPHA)).sum())
    assert fired <= reference.binom.ppf(0.999, RUNS, ALPHA), f"{fired} of {RUNS}"


@pytest.mark.parametrize(("rule", "highest"), [(LOG_TIME, 11.5), (REWARD, 1.0)])
def test_no_sum_falls_whatever_a_users_values(rule: UserMean, highest: float) -> None:
    """Counters must not fall: Prometheus would take it for a restart."""
    rng = np.random.default_rng(4)
    for known in (0, 5, 50):
        past = Observed(known, known * highest)
        low = 0.35 * highest if rule is LOG_TIME else 0.0
        values = np.concatenate(
            [np.full(rule.values_max // 2, highest), rng.uniform(low, highest, 40)]
        )
        before = Observed()
        for value in values[: rule.values_max]:
            after = Observed(before.count + 1, before.total + float(value))
            increments = rule.increments(before, after, past, highest / 2)
            assert all(increment > 0 for increment in increments)
            before = after


def test_a_later_attempt_is_not_misled_by_users_who_are_all_alike() -> None:
    """Late values of the same users: their squares stop growing, and the spread must not vanish."""
    rng, test, fired, runs = np.random.default_rng(6), UserMeansTest(), 0, 150
    for _ in range(runs):
        treated = rng.random(USERS) < 0.5
        values = rng.normal(0, 1, (USERS, 32))
        state, sums = test.start(), [UserSums(), UserSums()]
        for n in (4, 8, 16, 32):
            weights = np.full(USERS, 3 * n / (3 + n))
            now = [
                user_sums(values[m, :n].mean(axis=1) + 100, weights[m]) for m in (treated, ~treated)
            ]
            grown = [
                UserSums(**{key: getattr(late, key) - getattr(early, key) for key in SUMS})
                for late, early in zip(now, sums, strict=True)
            ]
            state = test.update(state, UserMeansBlock(treatment=grown[0], control=grown[1]))
            state, sums = (test.resume(state) if n == 4 else state), now
        fired += test.harm(state, ALPHA).rejected
    assert fired <= reference.binom.ppf(0.999, runs, ALPHA), f"{fired} of {runs}"
