"""The anytime-valid tests: what they promise, by property and beside others' code."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.rollout.analysis.stats.alpha_allocation import AlphaBudget, AlphaClaim
from sluice.rollout.analysis.stats.bounded_means import BETS, BoundedMeanBlock, BoundedMeanTest
from sluice.rollout.analysis.stats.counts import (
    CountBlock,
    Counts,
    CountTest,
    closest_null,
    count_log_ratios,
    scale_odds,
)
from sluice.rollout.analysis.stats.e_process import Array, log_average
from sluice.rollout.analysis.stats.latency_tail import LatencyTailCounts, LatencyTailTest
from sluice.rollout.analysis.stats.means import MeanBlock, MeanTest, Moments, boundary, log_mixture
from sluice.rollout.analysis.stats.result import judge_evidence
from sluice.rollout.analysis.stats.sample_ratio import SampleRatioBlock, SampleRatioTest
from sluice.rollout.analysis.stats.user_hazards import HazardBlock, HazardCounts, UserHazardTest
from tests.lazy_import import LazyModule

savvi, reference = LazyModule("savvi.multinomial"), LazyModule("scipy.stats")
reference_optimize = LazyModule("scipy.optimize")

whole = st.integers(min_value=0, max_value=400)


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    units = draw(whole)
    return Counts(units=units, events=draw(st.integers(min_value=0, max_value=units)))


@given(st.lists(st.tuples(counts(), counts()), min_size=1, max_size=12))
def test_a_peak_never_falls_and_totals_add_up(blocks: list[tuple[Counts, Counts]]) -> None:
    test = CountTest()
    state, peak = test.start(), 0.0
    for treatment, control in blocks:
        state = test.update(state, CountBlock(treatment=treatment, control=control))
        assert state.wealth.log_peak >= max(peak, state.wealth.log_e) - 1e-12
        peak = state.wealth.log_peak
    assert state.treatment.units == sum(treatment.units for treatment, _ in blocks)
    assert state.control.events == sum(control.events for _, control in blocks)


@given(counts(), counts())
def test_a_state_survives_json(treatment: Counts, control: Counts) -> None:
    test = CountTest()
    state = test.update(test.start(), CountBlock(treatment=treatment, control=control))
    assert type(state).model_validate_json(state.model_dump_json()) == state


def test_zero_users_give_no_evidence() -> None:
    test = CountTest()
    state = test.update(test.start(), CountBlock(treatment=Counts(), control=Counts()))
    assert state.wealth.log_e == pytest.approx(0.0, abs=1e-12)


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.floats(0.01, 0.6),
    st.floats(0.01, 0.9),
    st.sampled_from([1.0, 1.5, 3.0]),
)
def test_a_block_pays_at_most_its_stake_under_the_null(
    n_t: int, n_c: int, guess: float, true_rate: float, margin: float
) -> None:
    """Summed over every outcome, at the worst rates the null allows: the definition of an e-value."""
    test = CountTest(margin=margin)
    worst = scale_odds(np.array(true_rate), margin)
    paid = 0.0
    for k_t in range(n_t + 1):
        for k_c in range(n_c + 1):
            chance = reference.binom.pmf(k_t, n_t, float(worst))
            chance *= reference.binom.pmf(k_c, n_c, true_rate)
            block = [(np.array(float(k)), np.array(float(n))) for k, n in ((k_t, n_t), (k_c, n_c))]
            paid += chance * np.exp(count_log_ratios(block[0], block[1], np.array(guess), test))
    assert np.all(paid <= 1 + 1e-9)


@given(st.floats(0.001, 0.9), st.floats(0.001, 0.9), whole, whole)
def test_the_closest_null_expects_what_the_alternative_does(
    p_t: float, p_c: float, n_t: int, n_c: int
) -> None:
    arguments = [(np.array(p), np.array(float(n))) for p, n in ((p_t, n_t), (p_c, n_c))]
    q_t, q_c = closest_null(arguments[0], arguments[1], 1.5)
    assert n_t * q_t + n_c * q_c == pytest.approx(n_t * p_t + n_c * p_c, abs=1e-6)
    assert q_t / (1 - q_t) == pytest.approx(1.5 * q_c / (1 - q_c), rel=1e-6)


def test_at_margin_one_the_ratio_is_scipys_likelihoods() -> None:
    """The two-sample e-value of Turner, Ly and Grünwald, written with binomial likelihoods."""
    test = CountTest(margin=1.0)
    (k_t, n_t), (k_c, n_c), p_c = (7, 90), (12, 400), 0.02
    block = [(np.array(float(k)), np.array(float(n))) for k, n in ((k_t, n_t), (k_c, n_c))]
    found = count_log_ratios(block[0], block[1], np.array(p_c), test)
    for odds, ours in zip(test.bets.odds, found, strict=True):
        p_t = odds * p_c / (1 + (odds - 1) * p_c)
        pooled = (n_t * p_t + n_c * p_c) / (n_t + n_c)
        theirs = sum(
            reference.binom.logpmf(k, n, p) - reference.binom.logpmf(k, n, pooled)
            for k, n, p in ((k_t, n_t, p_t), (k_c, n_c, p_c))
        )
        assert ours == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), min_size=1, max_size=8),
    st.sampled_from([0.5, 0.25]),
    st.sampled_from([10.0, 100.0]),
)
def test_the_sample_ratio_is_savvis(
    blocks: list[tuple[int, int]], share: float, concentration: float
) -> None:
    """Lindon and Malek's test by its maintainers, after every block, to nine digits."""
    test = SampleRatioTest(concentration=concentration)
    state = test.start()
    theirs = savvi.Multinomial(0.05, np.array([share, 1 - share]), k=concentration)
    for treatment, control in blocks:
        block = SampleRatioBlock(treatment=treatment, control=control, share=share)
        state = test.update(state, block)
        theirs.update(np.array([treatment, control]))
        assert test.log_e(state) == pytest.approx(math.log(theirs.odds), rel=1e-9, abs=1e-9)


def test_a_new_share_keeps_the_evidence_so_far() -> None:
    test = SampleRatioTest()
    before = test.update(test.start(), SampleRatioBlock(treatment=90, control=10, share=0.5))
    after = test.update(before, SampleRatioBlock(treatment=0, control=0, share=0.25))
    assert test.log_e(after) == pytest.approx(test.log_e(before))


def test_strata_of_users_at_risk_are_averaged_count_tests() -> None:
    test = UserHazardTest(strata=("1", "2"))
    counts_of = {"treatment": ((9.0, 3.0), (400.0, 30.0)), "control": ((20.0, 4.0), (1500.0, 50.0))}
    cohorts = {name: HazardCounts(users=k, at_risk=n) for name, (k, n) in counts_of.items()}
    state = test.update(test.start(), HazardBlock(**cohorts))
    alone = []
    for at in range(2):
        one = {n: Counts(events=k[at], units=u[at]) for n, (k, u) in counts_of.items()}
        count_test = test.stratum_test()
        alone.append(count_test.update(count_test.start(), CountBlock(**one)).wealth.log_e)
    assert test.log_e(state) == pytest.approx(float(np.log(np.mean(np.exp(alone)))), abs=1e-9)


def test_one_bot_that_always_fails_is_no_evidence() -> None:
    """It reaches each failure once, however much it asks."""
    test = UserHazardTest()
    bot = HazardCounts(users=(1, 1, 1, 1), at_risk=(100, 1, 2, 4))
    control = HazardCounts(users=(2, 0, 0, 0), at_risk=(1000, 20, 0, 0))
    state = test.update(test.start(), HazardBlock(treatment=bot, control=control))
    nobody = HazardCounts(users=(0, 0, 0, 0), at_risk=(100, 0, 0, 0))
    for _ in range(30):
        state = test.update(state, HazardBlock(treatment=nobody, control=control))
    assert state.log_peak < math.log(20)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
)
def test_bounded_means_are_the_papers_product(treatment: list[float], control: list[float]) -> None:
    """Waudby-Smith and Ramdas, Theorem 2, value by value, and scipy's minimum over control's mean."""
    test, state = BoundedMeanTest(margin=0.1), BoundedMeanTest(margin=0.1).start()
    for x, y in itertools.zip_longest(treatment, control):
        moments_of = [Moments() if v is None else moments(np.array([v])) for v in (x, y)]
        block = BoundedMeanBlock(treatment=moments_of[0], control=moments_of[1], share=0.5)
        state = test.update(state, block)

    def log_product(values: list[float], bet: float, mean: float, sign: int) -> float:
        total, so_far = 0.0, [0.5]
        for x in values:
            guess = sum(so_far) / len(so_far)
            total += sign * bet * (x - mean) - (-math.log(1 - bet) - bet) * (x - guess) ** 2
            so_far.append(x)
        return total

    def log_e(mean: float) -> float:
        logs = [
            log_product(treatment, bet, mean - 0.1, -1) + log_product(control, bet, mean, 1)
            for bet in BETS
        ]
        return float(np.logaddexp.reduce(logs)) - math.log(len(BETS))

    best = reference_optimize.minimize_scalar(
        log_e, bounds=(0, 1), method="bounded", options={"xatol": 1e-12}
    )
    lowest = min(float(best.fun), log_e(0.0), log_e(1.0))
    assert test.log_e_harm(state) == pytest.approx(lowest, abs=1e-9)


@given(st.integers(1, 5), st.integers(1, 5), st.floats(0.05, 0.95))
def test_a_bounded_mean_pays_at_most_its_stake(n_t: int, n_c: int, mean: float) -> None:
    """Summed over every outcome of thumbs up and down: exact for two values as for two million."""
    test, paid = BoundedMeanTest(), 0.0
    for k_t, k_c in itertools.product(range(n_t + 1), range(n_c + 1)):
        cohorts = [Moments(units=n, total=k, squares=k) for n, k in ((n_t, k_t), (n_c, k_c))]
        block = BoundedMeanBlock(treatment=cohorts[0], control=cohorts[1], share=0.5)
        chance = reference.binom.pmf(k_t, n_t, mean) * reference.binom.pmf(k_c, n_c, mean)
        paid += chance * math.exp(test.log_e_harm(test.update(test.start(), block)))
    assert paid <= 1 + 1e-9


def test_the_mixture_is_its_integral() -> None:
    """One half-normal mixture, against numeric integration over the drift."""
    total, spread, width = 12.0, 40.0, 25.0
    drifts = np.linspace(0, 10, 200_001)
    density = 2 * reference.norm.pdf(drifts, scale=1 / math.sqrt(width))
    paid = np.exp(drifts * total - drifts**2 * spread / 2)
    integral = float(np.trapezoid(density * paid, drifts))
    found = log_mixture(np.array(total), np.array(spread), np.array([width]))
    assert float(found) == pytest.approx(math.log(integral), abs=1e-8)


def test_the_boundary_is_where_the_mixture_rejects() -> None:
    widths = np.array([5.0, 50.0])
    at = boundary(100.0, widths, 0.01)
    assert float(log_mixture(np.array(at), np.array(100.0), widths)) == pytest.approx(math.log(100))


def moments(values: Array) -> Moments:
    return Moments(units=len(values), total=values.sum(), squares=(values**2).sum())


def test_means_distinguish_worse_sound_and_unknown() -> None:
    rng = np.random.default_rng(7)
    test = MeanTest(tolerance=0.05)
    worse, sound = test.start(), test.start()
    for _ in range(30):
        control = moments(rng.normal(0.65, 0.2, 300))
        low, same = (moments(rng.normal(mean, 0.2, 100)) for mean in (0.55, 0.65))
        worse = test.update(worse, MeanBlock(treatment=low, control=control))
        sound = test.update(sound, MeanBlock(treatment=same, control=control))
    assert test.harm(worse, 0.01).rejected
    assert not test.non_inferiority(worse, 0.01).rejected
    assert test.non_inferiority(sound, 0.01).rejected
    assert not test.harm(sound, 0.01).rejected
    low_end, high_end = test.interval(worse, 0.01)
    assert low_end < -0.1 < high_end < 0


def test_a_load_shift_common_to_both_cohorts_shows_no_difference() -> None:
    """The share rises on the day on which everything is worse: pooled means would differ."""
    rng = np.random.default_rng(3)
    test, state = MeanTest(), MeanTest().start()
    for mean, (n_t, n_c) in ((0.8, (50, 950)), (0.5, (500, 500))) * 10:
        block = [moments(rng.normal(mean, 0.1, n)) for n in (n_t, n_c)]
        state = test.update(state, MeanBlock(treatment=block[0], control=block[1]))
    assert state.treatment.mean < state.control.mean - 0.1
    assert not test.harm(state, 0.05).rejected


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Counts(events=3, units=2), "more than possible"),
        (lambda: Moments(units=0, total=1), "a sum needs its count"),
        (lambda: LatencyTailCounts(slower=(1, 2), requests=9), "must fall"),
        (lambda: LatencyTailTest(edges=(1, 0.5)), "must rise"),
        (lambda: HazardCounts(users=(1,), at_risk=(2, 3)), "each stratum needs"),
        (
            lambda: BoundedMeanBlock(
                treatment=Moments(units=1, total=2), control=Moments(), share=0.5
            ),
            "between 0 and 1",
        ),
        (lambda: LatencyTailCounts.from_buckets({math.inf: 9}, (0.5,)), "no bucket le=0.5"),
        (lambda: log_average([0.0], [1.5]), "at most 1"),
        (lambda: judge_evidence("worse", "f", (0.0, 0.0), 1.0), "alpha must lie between"),
        (lambda: judge_evidence("worse", "f", (math.nan, 0.0), 0.5), "not a number"),
        (lambda: AlphaBudget(claims=(AlphaClaim(name="a"), AlphaClaim(name="a"))), "named once"),
    ],
)
def test_what_cannot_be_is_refused(build: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()


def test_buckets_become_counts_above_edges() -> None:
    found = LatencyTailCounts.from_buckets({0.5: 70.0, 1.0: 95.0, math.inf: 100.0}, (0.5, 1.0))
    assert (found.slower, found.requests) == ((30.0, 5.0), 100.0)


def test_blocks_with_other_strata_are_refused() -> None:
    test, one = UserHazardTest(strata=("1", "2")), HazardCounts(users=(1,), at_risk=(2,))
    with pytest.raises(ValueError, match="counts of 1 strata; the test has 2"):
        test.update(test.start(), HazardBlock(treatment=one, control=one))
