"""Disjoint LinUCB (Li, Chu, Langford, Schapire 2010, algorithm 1) with Sherman-Morrison updates.

Every arm holds the inverse of ``A = ridge·I + Σ rate·x·xᵀ`` and ``b = ridge·prior + Σ rate·r·x``;
its estimate is ``θ = A⁻¹ b``. An update costs O(d²), without a matrix inversion.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from router.learning.errors import InvalidContextError, UpdateRefusedError, WeightsError

Vector = NDArray[np.float64]

SIZE_MAX = 1e6
"""The limit of rewards and of numbers in a context; updates beyond it are refused."""
ESTIMATE_MAX = 1e6
"""The limit of an estimate's length. Rewards are in [0, 1], so a longer estimate has diverged."""
GROWTH_MAX = 1e9
"""The largest factor by which one update may shrink a direction's variance. Beyond it, rounding
errors make the inverse singular."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision: the arm, its probability, and every arm's score.

    ``propensity`` is exact given the weights (``weights_version``) the choice was made with.
    """

    arm: str
    propensity: float
    scores: Mapping[str, float]
    weights_version: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """A reward (normally in [0, 1]) seen after an arm was chosen in a context of shape (d,)."""

    arm: str
    context: ArrayLike
    reward: float


class LinUCB:
    """Greedy on the upper confidence bound, mixed with ``epsilon`` of uniform exploration.

    The probability of an arm is ``epsilon / arms`` plus, for the arms with the highest score,
    an equal share of ``1 - epsilon``: that is the propensity a choice records.
    """

    __slots__ = ("_b", "_index", "_inverse", "_theta", "alpha", "arms", "dimension", "epsilon")

    def __init__(
        self,
        arms: Sequence[str],
        dimension: int,
        alpha: float = 0.5,
        ridge: float = 1.0,
        *,
        epsilon: float = 0.0,
    ) -> None:
        _check_shape(arms, dimension)
        _check_settings(alpha, ridge, epsilon)
        self.arms = tuple(arms)
        self.dimension = dimension
        self.alpha = alpha
        self.epsilon = epsilon
        self._index = {arm: number for number, arm in enumerate(self.arms)}
        self._inverse = np.tile(np.eye(dimension) / ridge, (len(self.arms), 1, 1))
        self._b = np.zeros((len(self.arms), dimension))
        self._theta = np.zeros((len(self.arms), dimension))

    def scores(self, context: ArrayLike) -> list[float]:
        """Return the upper confidence bounds, in the order of ``arms``. Raises InvalidContextError."""
        x = np.asarray(context, dtype=np.float64)
        if x.shape != (self.dimension,):
            raise InvalidContextError(f"context has shape {x.shape}, expected ({self.dimension},)")
        width = (self._inverse @ x) @ x
        bounds: list[float] = (self._theta @ x + self.alpha * np.sqrt(width)).tolist()
        if not math.isfinite(sum(bounds)):
            raise InvalidContextError("context must hold finite numbers of ordinary size")
        return bounds

    def propensities(self, context: ArrayLike) -> dict[str, float]:
        """Return the probability of each arm in this context; they sum to 1."""
        return dict(zip(self.arms, self._probabilities(self.scores(context)), strict=True))

    def select(self, context: ArrayLike, rng: np.random.Generator) -> Choice:
        """Draw an arm. ``context`` has shape (d,). Raises InvalidContextError."""
        scores = self.scores(context)
        probabilities = self._probabilities(scores)
        arm_index = _draw(probabilities, rng.random())
        scores_by_arm = dict(zip(self.arms, scores, strict=True))
        return Choice(self.arms[arm_index], probabilities[arm_index], scores_by_arm)

    def estimate(self, arm: str, context: ArrayLike) -> float:
        """Return the expected reward of an arm, without the confidence width."""
        return float(self._theta[self._index[arm]] @ np.asarray(context, dtype=np.float64))

    def update(self, arm: str, context: ArrayLike, reward: float, rate: float = 1.0) -> None:
        """Learn one reward; ``rate`` is the observation's weight (1.0 is Li et al.'s).

        Raises UpdateRefusedError, with the weights untouched, for an unknown arm, a wrong shape,
        NaN, infinity, or a step that would make the model singular or explode.
        """
        number, x = self._validate_update(arm, context, reward, rate)
        inverse, theta = self._inverse[number], self._theta[number]
        gain = inverse.dot(x)
        growth = 1.0 + rate * float(gain.dot(x))
        if not 1.0 <= growth < GROWTH_MAX:
            raise UpdateRefusedError("this update would make the model singular")
        step = gain * math.sqrt(rate / growth)
        error = reward - float(theta.dot(x))
        moved = theta + step * (math.sqrt(rate / growth) * error)
        if not float(moved.dot(moved)) < ESTIMATE_MAX**2:
            raise UpdateRefusedError("this update would make the estimate explode")
        inverse -= step[:, None] * step
        theta[:] = moved
        self._b[number] += (rate * reward) * x

    def warm_start(self, prior: Iterable[Observation], weight: float = 1.0) -> Self:
        """Learn pseudo-rewards, each counting as ``weight`` observations. Returns self."""
        for example in prior:
            self.update(example.arm, example.context, example.reward, weight)
        return self

    def recentre(self, alpha: float, ridge: float, epsilon: float) -> "LinUCB":
        """Return a new model whose prior mean is this model's estimate, with weight ``ridge``."""
        fresh = LinUCB(self.arms, self.dimension, alpha, ridge, epsilon=epsilon)
        fresh._theta[:] = self._theta
        fresh._b[:] = ridge * self._theta
        return fresh

    def copy(self) -> "LinUCB":
        """Return an independent model with the same weights."""
        return LinUCB.from_arrays(self.arms, self.to_arrays(), self.alpha, epsilon=self.epsilon)

    def with_exploration(self, alpha: float, epsilon: float) -> "LinUCB":
        """Return a model with the same weights and another α and ε."""
        return LinUCB.from_arrays(self.arms, self.to_arrays(), alpha, epsilon=epsilon)

    def to_arrays(self) -> dict[str, Vector]:
        """Return copies of ``inverse`` (arms, d, d), ``b`` (arms, d) and ``theta`` (arms, d)."""
        return {"inverse": self._inverse.copy(), "b": self._b.copy(), "theta": self._theta.copy()}

    @classmethod
    def from_arrays(
        cls,
        arms: Sequence[str],
        arrays: Mapping[str, Vector],
        alpha: float = 0.5,
        *,
        epsilon: float = 0.0,
    ) -> "LinUCB":
        """Return the model that ``to_arrays`` described. Raises WeightsError."""
        try:
            _, dimension = arrays["theta"].shape
        except ValueError:
            raise WeightsError("theta must be of shape (arms, dimension)") from None
        model = cls(arms, dimension, alpha, epsilon=epsilon)
        for name, target in (("inverse", model._inverse), ("b", model._b), ("theta", model._theta)):
            if arrays[name].shape != target.shape or not _is_finite(arrays[name]):
                raise WeightsError(f"{name} must be finite and of shape {target.shape}")
            target[:] = arrays[name]
        return model

    def _probabilities(self, scores: Sequence[float]) -> list[float]:
        best = max(scores)
        share = (1.0 - self.epsilon) / scores.count(best)
        floor = self.epsilon / len(scores)
        return [floor + share if score == best else floor for score in scores]

    def _validate_update(
        self, arm: str, context: ArrayLike, reward: float, rate: float
    ) -> tuple[int, Vector]:
        number = self._index.get(arm)
        if number is None:
            raise UpdateRefusedError(f"unknown arm {arm!r}; known: {', '.join(self.arms)}")
        x = np.asarray(context, dtype=np.float64)
        if x.shape != (self.dimension,):
            raise UpdateRefusedError(f"context has shape {x.shape}, expected ({self.dimension},)")
        if not (np.abs(x).max() < SIZE_MAX and abs(reward) < SIZE_MAX):
            raise UpdateRefusedError(f"context and reward must be finite and below {SIZE_MAX:g}")
        if not 0.0 < rate < math.inf:
            raise UpdateRefusedError(f"rate is {rate}; it must be positive and finite")
        return number, x


def _draw(probabilities: Sequence[float], uniform: float) -> int:
    """Return the number of the arm whose share of [0, 1) contains ``uniform``."""
    last = 0
    for number, probability in enumerate(probabilities):
        if probability > 0.0:
            last = number
            uniform -= probability
            if uniform < 0.0:
                break
    return last


def _is_finite(values: Vector) -> bool:
    return bool(np.isfinite(values).all())


def _check_shape(arms: Sequence[str], dimension: int) -> None:
    if not arms or len(set(arms)) != len(arms):
        raise WeightsError(f"arms must be one or more different names, got {list(arms)}")
    if dimension < 1:
        raise WeightsError(f"dimension is {dimension}; it must be at least 1")


def _check_settings(alpha: float, ridge: float, epsilon: float) -> None:
    if not 0.0 <= alpha < math.inf:
        raise WeightsError(f"alpha is {alpha}; it must be zero or more, and finite")
    if not 0.0 < ridge < math.inf:
        raise WeightsError(f"ridge is {ridge}; it must be positive and finite")
    if not 0.0 <= epsilon <= 1.0:
        raise WeightsError(f"epsilon is {epsilon}; it must be between 0 and 1")
