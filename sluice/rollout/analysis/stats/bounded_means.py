"""Difference of two means of values between 0 and 1 (a reward): exact at any sample size.

Betting on means by Waudby-Smith and Ramdas ("Estimating means of bounded random variables by
betting", JRSS-B 2024, Theorem 2): for each bet λ, exp(λ (m - x) - ψ(λ) (x - g)²) has an expectation
of at most 1 when the mean is at least m, for any guess g made before x was seen, and
ψ(λ) = -log(1 - λ) - λ (Fan, Grama and Liu, EJP 2015). It needs counts, sums and sums of squares only,
so it can bet on Prometheus counters. A normal approximation fails where values are few or nearly
constant, such as thumbs-up of 95 %; this test holds there too.

Null hypothesis: the treatment's mean is lower than control's by at most ``margin``. Both means are
unknown. For any control mean m, the treatment's bet against "at least m - margin" times the control's
bet against "at most m" is an e-process, so the smallest of these products over m is one as well. The
control's bet is the treatment's times the odds of the share: then a mean that drifts for both cohorts
(a slow Monday) cancels out.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.stats.e_process import Array, Share, log_sum
from sluice.rollout.analysis.stats.means import Moments
from sluice.rollout.analysis.stats.result import SequentialResult, compare_means, judge_evidence

BETS = np.array([0.004, 0.01, 0.025, 0.06, 0.15, 0.4, 0.8])
"""λ of the mixture: they suit differences of means from about 0.002 to 0.5."""
SLACK = 1e-6
_SEARCH_STEPS, _INTERVAL_STEPS = 30, 12
"""Bisections for an e-value, and for the ends of an interval, which people read."""
_ROUNDS, _PARTS = 2, 50
"""An interval's ends are looked for among 50 parts of the last part: to a thousandth."""


class BoundedMeanBlock(Model):
    """Values of both cohorts between two looks; ``share`` of all users had the treatment."""

    treatment: Moments
    control: Moments
    share: Share

    @model_validator(mode="after")
    def _require_bounded_values(self) -> Self:
        for name, moments in (("treatment", self.treatment), ("control", self.control)):
            if not -SLACK <= moments.total <= moments.units + SLACK:
                raise ValueError(
                    f"{name}: a sum of {moments.total:g} over {moments.units:g} values; "
                    "each must lie between 0 and 1"
                )
        return self


class CohortSums(Model):
    """``deviations``: sum of squared distances from the guesses, each made before its block."""

    units: float = 0.0
    total: float = 0.0
    deviations: float = 0.0

    @property
    def mean(self) -> float:
        return self.total / self.units if self.units else 0.0

    @property
    def guess(self) -> float:
        """The mean as past values show it, drawn towards a half while they are few."""
        return (self.total + 0.5) / (self.units + 1)

    def add(self, block: Moments) -> "CohortSums":
        spread = block.squares - 2 * self.guess * block.total + block.units * self.guess**2
        return CohortSums(
            units=self.units + block.units,
            total=self.total + block.total,
            deviations=self.deviations + max(spread, 0.0),
        )


class BoundedMeanState(Model):
    """Both cohorts' sums, the share they were gathered at, and the peaks of both claims."""

    treatment: CohortSums = CohortSums()
    control: CohortSums = CohortSums()
    share: float = 0.5
    log_peak_harm: float = 0.0
    log_peak_non_inferiority: float = 0.0


class BoundedMeanTest(Model):
    """Is the treatment's mean worse by more than ``margin``, or shown not to be by ``tolerance``?"""

    name: str = "reward"
    higher_is_better: bool = True
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.0
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.02

    def start(self) -> BoundedMeanState:
        return BoundedMeanState()

    def update(self, state: BoundedMeanState, *blocks: BoundedMeanBlock) -> BoundedMeanState:
        """Add the blocks. Their share must be one and the same: users are counted per step.

        Raises:
            ValueError: the share changed within the track.
        """
        if not blocks:
            return state
        history = list(accumulate(blocks, self._add_block, initial=state))[1:]
        logs = {
            "log_peak_harm": self._log_es(history, -self.margin, harm=True),
            "log_peak_non_inferiority": self._log_es(history, self.tolerance, harm=False),
        }
        peaks = {name: max(getattr(state, name), float(log.max())) for name, log in logs.items()}
        return history[-1].model_copy(update=peaks)

    def _add_block(self, state: BoundedMeanState, block: BoundedMeanBlock) -> BoundedMeanState:
        if state.treatment.units + state.control.units and block.share != state.share:
            raise ValueError(f"share {block.share:g} after {state.share:g}: start a new track")
        return state.model_copy(
            update={
                "treatment": state.treatment.add(block.treatment),
                "control": state.control.add(block.control),
                "share": block.share,
            }
        )

    def log_e_harm(self, state: BoundedMeanState) -> float:
        """Log e-value against "worse by at most the margin"."""
        return float(self._log_es([state], -self.margin, harm=True)[0])

    def log_e_non_inferiority(self, state: BoundedMeanState) -> float:
        """Log e-value against "worse by the tolerance or more"."""
        return float(self._log_es([state], self.tolerance, harm=False)[0])

    def _log_es(self, states: Sequence[BoundedMeanState], shift: float, *, harm: bool) -> Array:
        """Against "treatment's mean ≥ control's + shift", mirrored where better is meant."""
        low = harm == self.higher_is_better
        treatment, control = (
            tuple(
                np.array(column)
                for column in zip(*(_columns(getattr(s, name), low) for s in states), strict=True)
            )
            for name in ("treatment", "control")
        )
        return log_e_lower_mean(treatment, control, shift, states[0].share)

    def interval(self, state: BoundedMeanState, alpha: float) -> tuple[float, float]:
        """Bounds of the difference (treatment less control), each valid at all times at ``alpha``."""
        return _interval(state, alpha)

    def harm(self, state: BoundedMeanState, alpha: float) -> SequentialResult:
        """Judge whether harm is shown."""
        evidence = (self.log_e_harm(state), state.log_peak_harm)
        return judge_evidence("worse", self.facts(state, alpha), evidence, alpha)

    def non_inferiority(self, state: BoundedMeanState, alpha: float) -> SequentialResult:
        """Judge whether the treatment is shown to be worse by less than ``tolerance``."""
        evidence = (self.log_e_non_inferiority(state), state.log_peak_non_inferiority)
        claim = f"shown to be less than {self.tolerance:g} worse"
        return judge_evidence(claim, self.facts(state, alpha), evidence, alpha)

    def facts(self, state: BoundedMeanState, alpha: float) -> str:
        """Return the means, the counts, and the interval of the difference."""
        treatment, control = ((c.mean, c.units) for c in (state.treatment, state.control))
        return compare_means(self.name, treatment, control, self.interval(state, alpha))


def _columns(sums: CohortSums, low: bool) -> tuple[float, float, float]:
    return sums.units, sums.total if low else sums.units - sums.total, sums.deviations


CohortColumns = tuple[Array, ...]
"""Units, totals and deviations, each of shape (…)."""


def log_e_lower_mean(
    treatment: CohortColumns,
    control: CohortColumns,
    shift: Array | float,
    share: float,
    steps: int = _SEARCH_STEPS,
) -> Array:
    """Log e-value against "treatment's mean ≥ control's mean + shift", shape (…).

    The smallest over control's mean m: a sum of exponentials is convex in m, so bisection of its
    slope finds it.
    """
    odds = share / (1 - share)
    bets_t, bets_c = BETS * min(1.0, 1 / odds), BETS * min(1.0, odds)
    (n_t, s_t, v_t), (n_c, s_c, v_c) = (
        tuple(x[..., None] for x in columns) for columns in (treatment, control)
    )
    fixed = -bets_t * s_t + bets_c * s_c - _psi(bets_t) * v_t - _psi(bets_c) * v_c
    fixed = fixed + bets_t * n_t * np.asarray(shift)[..., None]
    slope = bets_t * n_t - bets_c * n_c

    low, high = np.zeros(fixed.shape[:-1]), np.ones(fixed.shape[:-1])
    for _ in range(steps):
        middle = (low + high) / 2
        logs = fixed + slope * middle[..., None]
        weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
        falls = (weights * slope).sum(axis=-1) < 0
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
    return log_sum(fixed + slope * ((low + high) / 2)[..., None]) - math.log(len(BETS))


def _psi(bet: Array) -> Array:
    return np.asarray(-np.log1p(-bet) - bet)


@lru_cache(maxsize=256)
def _interval(state: BoundedMeanState, alpha: float) -> tuple[float, float]:
    """Return the bounds; each look without a new block takes them again."""
    low = _smallest_rejected_shift(state, alpha, mirrored=True)
    return -low, _smallest_rejected_shift(state, alpha, mirrored=False)


def _smallest_rejected_shift(state: BoundedMeanState, alpha: float, *, mirrored: bool) -> float:
    """Return the smallest shift at which "treatment ≥ control + shift" is rejected, at most 1."""
    columns = [
        tuple(
            np.array(v) for v in (x.units, x.units - x.total if mirrored else x.total, x.deviations)
        )
        for x in (state.treatment, state.control)
    ]
    low, high = -1.0, 1.0
    for _ in range(_ROUNDS):
        shifts = np.linspace(low, high, _PARTS + 1)
        wide = [tuple(np.broadcast_to(v, shifts.shape) for v in cohort) for cohort in columns]
        logs = log_e_lower_mean(wide[0], wide[1], shifts, state.share, _INTERVAL_STEPS)
        rejected = logs >= -math.log(alpha)
        first = max(1, int(np.argmax(rejected))) if rejected.any() else _PARTS
        low, high = float(shifts[first - 1]), float(shifts[first])
    return high
