"""Difference of two means (reward, or a per-user rate): an asymptotic confidence sequence.

Normal-mixture sequences of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas ("Time-uniform central
limit theory and asymptotic confidence sequences", Annals of Statistics 2024), one-sided by mixing
over a half-normal (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 2021).
Three widths are averaged, so no sample size has to be guessed.

Each block is compared with its own control and weighted by n_t n_c / (n_t + n_c) (Mantel and
Haenszel): a rising share or a slow Monday can't pose as a difference, as it does in pooled means.

"Asymptotic": it holds for many independent units (``units_min`` in each cohort). Give it users,
each once, not requests, wherever a decision to promote rests on it.
"""

import math
from functools import lru_cache, reduce
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.stats.e_process import Array, Count, log_sum
from sluice.rollout.analysis.stats.result import SequentialResult, compare_means, judge_evidence

_ROUNDS, _PARTS = 15, 16
"""A boundary is looked for among 16 parts of the last part: as fine as 60 bisections, in two thirds of the time."""
_FAR = -30.0
_erfc = np.frompyfunc(math.erfc, 1, 1)

Number = Annotated[float, Field(allow_inf_nan=False)]


class Moments(Model):
    """Units of one cohort in one block: how many, the sum of their values, and of the squares."""

    units: Count = 0.0
    total: Number = 0.0
    squares: Count = 0.0

    @model_validator(mode="after")
    def _require_units(self) -> Self:
        if not self.units and (self.total or self.squares):
            raise ValueError("values without units: a sum needs its count")
        return self

    @property
    def mean(self) -> float:
        return self.total / self.units if self.units else 0.0

    @property
    def scatter(self) -> float:
        """Sum of squared distances from the block's own mean."""
        return max(self.squares - self.total * self.mean, 0.0)


class MeanBlock(Model):
    treatment: Moments
    control: Moments


class CohortMoments(Model):
    """Sums over the blocks of one cohort. ``weights``: sum over blocks of weight² / units."""

    units: float = 0.0
    total: float = 0.0
    scatter: float = 0.0
    degrees_of_freedom: float = 0.0
    weights: float = 0.0

    def add(self, block: Moments, weight: float) -> "CohortMoments":
        return CohortMoments(
            units=self.units + block.units,
            total=self.total + block.total,
            scatter=self.scatter + block.scatter,
            degrees_of_freedom=self.degrees_of_freedom + max(block.units - 1, 0.0),
            weights=self.weights + (weight**2 / block.units if weight else 0.0),
        )

    @property
    def variance(self) -> float:
        """Variance of one unit's value, pooled within blocks; infinite while unknown."""
        return self.scatter / self.degrees_of_freedom if self.degrees_of_freedom > 0 else math.inf

    @property
    def mean(self) -> float:
        return self.total / self.units if self.units else 0.0


class MeanState(Model):
    """Weights and weighted differences (treatment less control) summed over blocks; both peaks."""

    treatment: CohortMoments = CohortMoments()
    control: CohortMoments = CohortMoments()
    weight: float = 0.0
    difference: float = 0.0
    log_peak_harm: float = 0.0
    log_peak_non_inferiority: float = 0.0


class MeanTest(Model):
    """Is the treatment's mean worse by more than ``margin``, or shown not to be?

    ``harm``: evidence against "worse by at most ``margin``". ``non_inferiority`` (for
    promotion): evidence against "worse by ``tolerance`` or more". ``deviation`` is a guess of one
    unit's standard deviation; with ``tuned_for`` it shapes power only.
    """

    name: str = "reward"
    higher_is_better: bool = True
    margin: Annotated[float, Field(ge=0)] = 0.0
    tolerance: Annotated[float, Field(gt=0)] = 0.02
    deviation: Annotated[float, Field(gt=0)] = 0.25
    tuned_for: tuple[Annotated[float, Field(gt=0)], ...] = (50.0, 1000.0, 20000.0)
    units_min: Annotated[float, Field(ge=10)] = 50.0

    def start(self) -> MeanState:
        return MeanState()

    def update(self, state: MeanState, *blocks: MeanBlock) -> MeanState:
        return reduce(self._add_block, blocks, state)

    def _add_block(self, state: MeanState, block: MeanBlock) -> MeanState:
        t, c = block.treatment, block.control
        weight = t.units * c.units / (t.units + c.units) if t.units and c.units else 0.0
        after = MeanState(
            treatment=state.treatment.add(t, weight),
            control=state.control.add(c, weight),
            weight=state.weight + weight,
            difference=state.difference + weight * (t.mean - c.mean),
        )
        peaks = {
            "log_peak_harm": max(state.log_peak_harm, self.log_e_harm(after)),
            "log_peak_non_inferiority": max(
                state.log_peak_non_inferiority, self.log_e_non_inferiority(after)
            ),
        }
        return after.model_copy(update=peaks)

    def log_e_harm(self, state: MeanState) -> float:
        """Log e-value against "worse by at most the margin"."""
        return self._log_e(state, -self._gain(state) - self.margin * state.weight)

    def log_e_non_inferiority(self, state: MeanState) -> float:
        """Log e-value against "worse by the tolerance or more"."""
        return self._log_e(state, self._gain(state) + self.tolerance * state.weight)

    def _gain(self, state: MeanState) -> float:
        return state.difference if self.higher_is_better else -state.difference

    def _log_e(self, state: MeanState, sum_: float) -> float:
        if min(state.treatment.units, state.control.units) < self.units_min or not state.weight:
            return 0.0
        spread = variance(state)
        if not 0 < spread < math.inf:
            return 0.0
        return float(log_mixture(np.array(sum_), np.array(spread), self.widths))

    @property
    def widths(self) -> Array:
        """Variances at which the mixtures are about narrowest, an eighth of what is tuned for."""
        return np.array(self.tuned_for) * self.deviation**2 / 8

    def interval(self, state: MeanState, alpha: float) -> tuple[float, float]:
        """Bounds of the difference (treatment less control), each valid at all times at ``alpha``."""
        return _interval(self, state, alpha)

    def harm(self, state: MeanState, alpha: float) -> SequentialResult:
        evidence = (self.log_e_harm(state), state.log_peak_harm)
        return judge_evidence("worse", self.facts(state, alpha), evidence, alpha)

    def non_inferiority(self, state: MeanState, alpha: float) -> SequentialResult:
        """Judge whether the treatment is shown to be not worse by ``tolerance``: for promotion."""
        evidence = (self.log_e_non_inferiority(state), state.log_peak_non_inferiority)
        claim = f"shown to be less than {self.tolerance:g} worse"
        return judge_evidence(claim, self.facts(state, alpha), evidence, alpha)

    def facts(self, state: MeanState, alpha: float) -> str:
        treatment, control = ((c.mean, c.units) for c in (state.treatment, state.control))
        return compare_means(self.name, treatment, control, self.interval(state, alpha))


@lru_cache(maxsize=256)
def _interval(test: MeanTest, state: MeanState, alpha: float) -> tuple[float, float]:
    """Return the bounds; each look without a new block takes them again."""
    spread = variance(state) if state.weight else 0.0
    too_few = min(state.treatment.units, state.control.units) < test.units_min
    if too_few or not 0 < spread < math.inf:
        return -math.inf, math.inf
    half = boundary(spread, test.widths, alpha) / state.weight
    middle = state.difference / state.weight
    return middle - half, middle + half


def variance(state: MeanState) -> float:
    """Variance of the sum of weighted differences; infinite while a cohort's is unknown."""
    arms = (state.treatment, state.control)
    return sum(arm.weights * arm.variance for arm in arms)


def log_mixture(sums: Array, spread: Array, widths: Array) -> Array:
    """Log of the average, over ``widths``, of half-normal mixtures; arguments of shape (…)."""
    total_spread = spread[..., None] + widths
    score = sums[..., None] / np.sqrt(total_spread)
    logs: Array = math.log(2) + (np.log(widths) - np.log(total_spread)) / 2 + score**2 / 2
    return log_sum(logs + log_normal_below(score)) - math.log(len(widths))


def boundary(spread: float, widths: Array, alpha: float) -> float:
    """Return the sum at which the mixture reaches 1/alpha."""
    low, high = 0.0, math.sqrt(spread + float(widths.max()))
    while float(log_mixture(np.array(high), np.array(spread), widths)) < -math.log(alpha):
        high *= 2
    for _ in range(_ROUNDS):
        tried = np.linspace(low, high, _PARTS + 1)
        reached = log_mixture(tried, np.array(spread), widths) >= -math.log(alpha)
        first = max(1, int(np.argmax(reached))) if reached.any() else _PARTS
        low, high = float(tried[first - 1]), float(tried[first])
    return high


def log_normal_below(score: Array) -> Array:
    """Logarithm of the normal distribution function; its leading term far to the left."""
    near = np.maximum(score, _FAR)
    far = np.minimum(score, _FAR)
    exact = np.log(np.asarray(_erfc(-near / math.sqrt(2)), dtype=np.float64) / 2)
    leading = -(far**2) / 2 - np.log(-far * math.sqrt(2 * math.pi))
    return np.where(score < _FAR, leading, exact)
