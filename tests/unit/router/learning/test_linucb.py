"""LinUCB against its definition (Li et al. 2010), and what it refuses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.learning import (
    InvalidContextError,
    LinUCB,
    Observation,
    UpdateRefusedError,
    WeightsError,
)
from router.learning.linucb import Vector

ARMS = ("graph", "metadata", "vectors")
DIMENSION = 5
Step = tuple[str, Vector, float, float]
numbers = st.floats(-3, 3, allow_nan=False, width=32)
contexts = st.lists(numbers, min_size=DIMENSION, max_size=DIMENSION).map(np.array)
steps = st.lists(
    st.tuples(st.sampled_from(ARMS), contexts, st.floats(0, 1), st.floats(0.01, 2.0)), max_size=60
)


@given(steps, contexts, st.floats(0.1, 100))
@settings(deadline=None)
def test_sherman_morrison_equals_the_explicit_inverse(
    steps: list[Step], probe: Vector, ridge: float
) -> None:
    model = LinUCB(ARMS, DIMENSION, alpha=0.7, ridge=ridge)
    a = {arm: ridge * np.eye(DIMENSION) for arm in ARMS}
    b = {arm: np.zeros(DIMENSION) for arm in ARMS}
    for arm, x, reward, rate in steps:
        model.update(arm, x, reward, rate)
        a[arm] += rate * np.outer(x, x)
        b[arm] += rate * reward * x
    for arm, score in zip(ARMS, model.scores(probe), strict=True):
        inverse = np.linalg.inv(a[arm])
        expected = inverse @ b[arm] @ probe + 0.7 * math.sqrt(probe @ inverse @ probe)
        assert score == pytest.approx(expected, abs=1e-8, rel=1e-8)


@given(steps, contexts, st.floats(0, 1))
@settings(deadline=None)
def test_propensities_sum_to_one_and_a_choice_carries_its_own(
    steps: list[Step], probe: Vector, epsilon: float
) -> None:
    model = LinUCB(ARMS, DIMENSION, epsilon=epsilon)
    for arm, x, reward, rate in steps:
        model.update(arm, x, reward, rate)
    shares = model.propensities(probe)
    choice = model.select(probe, np.random.default_rng(3))
    assert math.fsum(shares.values()) == pytest.approx(1.0, abs=1e-12)
    assert choice.propensity == shares[choice.arm] > 0.0


def test_recorded_propensities_are_the_frequencies() -> None:
    model = LinUCB(ARMS, DIMENSION, epsilon=0.3)
    x = np.ones(DIMENSION)
    model.update("graph", x, 1.0)
    rng = np.random.default_rng(1)
    drawn = [model.select(x, rng).arm for _ in range(20_000)]
    for arm, share in model.propensities(x).items():
        assert drawn.count(arm) / len(drawn) == pytest.approx(share, abs=0.015)


def test_ties_are_broken_evenly() -> None:
    shares = LinUCB(ARMS, DIMENSION).propensities(np.ones(DIMENSION))
    assert list(shares.values()) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("arm", "context", "reward", "rate"),
    [
        ("graph", [math.nan] * DIMENSION, 0.5, 1.0),
        ("graph", [math.inf] * DIMENSION, 0.5, 1.0),
        ("graph", [1.0] * DIMENSION, math.nan, 1.0),
        ("graph", [1.0] * DIMENSION, -math.inf, 1.0),
        ("graph", [1.0] * DIMENSION, 1e300, 1.0),
        ("graph", [1e200] * DIMENSION, 0.5, 1.0),
        ("graph", [1e9] * DIMENSION, 0.5, 1e30),
        ("graph", [1.0] * DIMENSION, 0.5, 0.0),
        ("graph", [1.0] * DIMENSION, 0.5, -1.0),
        ("graph", [1.0] * DIMENSION, 0.5, math.nan),
        ("graph", [1.0] * (DIMENSION + 1), 0.5, 1.0),
        ("nowhere", [1.0] * DIMENSION, 0.5, 1.0),
    ],
)
def test_a_refused_update_leaves_the_weights_untouched(
    arm: str, context: list[float], reward: float, rate: float
) -> None:
    model = LinUCB(ARMS, DIMENSION)
    model.update("graph", np.ones(DIMENSION), 0.7)
    before = model.to_arrays()
    with pytest.raises(UpdateRefusedError):
        model.update(arm, context, reward, rate)
    for name, values in model.to_arrays().items():
        assert np.array_equal(values, before[name])


@pytest.mark.parametrize("context", [[math.nan] * DIMENSION, [1.0], [[1.0] * DIMENSION]])
def test_a_bad_context_is_refused_when_choosing(context: list[float]) -> None:
    with pytest.raises(InvalidContextError):
        LinUCB(ARMS, DIMENSION).scores(context)


def test_arrays_round_trip_and_copies_are_independent() -> None:
    model = LinUCB(ARMS, DIMENSION)
    model.update("graph", np.arange(DIMENSION), 0.4)
    twin = LinUCB.from_arrays(ARMS, model.to_arrays(), model.alpha)
    probe = np.ones(DIMENSION)
    assert twin.scores(probe) == model.scores(probe)
    twin.update("graph", probe, 1.0)
    assert twin.scores(probe) != model.scores(probe)


def test_arrays_of_another_shape_or_not_finite_are_refused() -> None:
    arrays = LinUCB(ARMS, DIMENSION).to_arrays()
    with pytest.raises(WeightsError):
        LinUCB.from_arrays(ARMS[:2], arrays)
    with pytest.raises(WeightsError):
        LinUCB.from_arrays(ARMS, arrays | {"theta": np.zeros(3)})
    with pytest.raises(WeightsError):
        LinUCB.from_arrays(ARMS, arrays | {"b": arrays["b"] * math.nan})


@pytest.mark.parametrize(
    "settings",
    [{"alpha": -1.0}, {"ridge": 0.0}, {"epsilon": 1.1}, {"alpha": math.nan}, {"ridge": math.inf}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(WeightsError):
        LinUCB(ARMS, DIMENSION, **settings)


@pytest.mark.parametrize(("arms", "dimension"), [([], 3), (["a", "a"], 3), (["a"], 0)])
def test_arms_and_dimension_are_checked(arms: list[str], dimension: int) -> None:
    with pytest.raises(WeightsError):
        LinUCB(arms, dimension)


def test_a_warm_start_prefers_what_the_prior_knew() -> None:
    x = np.ones(DIMENSION)
    prior = [Observation("vectors", x, 0.9), Observation("graph", x, 0.2)]
    model = LinUCB(ARMS, DIMENSION, alpha=0.0).warm_start(prior, weight=10)
    assert model.select(x, np.random.default_rng(0)).arm == "vectors"


def test_a_recentred_model_expects_the_same_and_moves_by_its_ridge() -> None:
    """At ridge 100 a hundred equal observations weigh as much as the prior."""
    x = np.eye(DIMENSION)[0]
    prior = LinUCB(ARMS, DIMENSION).warm_start([Observation("graph", x, 0.8)], weight=1e6)
    model = prior.recentre(alpha=0.5, ridge=100.0, epsilon=0.0)
    assert model.estimate("graph", x) == pytest.approx(0.8, abs=1e-5)
    for _ in range(100):
        model.update("graph", x, 0.2)
    assert model.estimate("graph", x) == pytest.approx(0.5, abs=1e-5)
