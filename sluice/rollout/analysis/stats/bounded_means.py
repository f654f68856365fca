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
from dataclasses import dataclass
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
FEW_LOOKS = 8
"""Up to so many looks one after the other cost less than all at once in arrays."""
_NEWTON_STEPS_MAX, _BENDS_MIN = 60, 1e-200
"""Newton's method needs about eight steps."""
_LAST_STEP = 1e-9
"""The change of the bets' logarithms in a step after which Newton's method ends."""


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
        if len(states) <= FEW_LOOKS:
            looks = (_Look.of(state, low=low).log_e(shift) for state in states)
            return np.array([log_e for log_e, _ in looks])
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
) -> Array:
    """Log e-value against "treatment's mean ≥ control's mean + shift", shape (…).

    The smallest over control's mean m: a sum of exponentials is convex in m, so Newton's method finds
    it, and bisection where that would leave the part in which the smallest lies.
    """
    odds = share / (1 - share)
    bets_t, bets_c = BETS * min(1.0, 1 / odds), BETS * min(1.0, odds)
    (n_t, s_t, v_t), (n_c, s_c, v_c) = (
        tuple(x[..., None] for x in columns) for columns in (treatment, control)
    )
    fixed = -bets_t * s_t + bets_c * s_c - _psi(bets_t) * v_t - _psi(bets_c) * v_c
    fixed = fixed + bets_t * n_t * np.asarray(shift)[..., None]
    slope = bets_t * n_t - bets_c * n_c

    steepest = np.abs(slope).max(axis=-1)
    low, mean, high = (np.full(fixed.shape[:-1], end) for end in (-1.0, 0.5, 2.0))
    for _ in range(_NEWTON_STEPS_MAX):
        logs = fixed + slope * mean[..., None]
        parts = np.exp(logs - logs.max(axis=-1, keepdims=True))
        parts /= parts.sum(axis=-1, keepdims=True)
        rises = (parts * slope).sum(axis=-1)
        bends = (parts * slope**2).sum(axis=-1) - rises**2
        low, high = np.where(rises < 0, mean, low), np.where(rises < 0, high, mean)
        following = np.clip(mean - rises / np.maximum(bends, _BENDS_MIN), 0.0, 1.0)
        middle = (np.maximum(low, 0.0) + np.minimum(high, 1.0)) / 2
        following = np.where((low < following) & (following < high), following, middle)
        if (steepest * np.abs(following - mean) < _LAST_STEP).all():
            break
        mean = following
    return log_sum(fixed + slope * mean[..., None]) - math.log(len(BETS))


def _psi(bet: Array) -> Array:
    return np.asarray(-np.log1p(-bet) - bet)


@dataclass(frozen=True)
class _Look:
    """``log_e_lower_mean`` of one look, in plain numbers: each bet is ``fixed`` + ``slope`` × mean + ``by_shift`` × shift."""

    fixed: tuple[float, ...]
    slope: tuple[float, ...]
    by_shift: tuple[float, ...]

    @classmethod
    def of(cls, state: BoundedMeanState, *, low: bool) -> "_Look":
        (n_t, s_t, v_t), (n_c, s_c, v_c) = (
            _columns(cohort, low) for cohort in (state.treatment, state.control)
        )
        bets = _bets(state.share)
        return cls(
            tuple(-t * s_t + c * s_c - psi_t * v_t - psi_c * v_c for t, c, psi_t, psi_c in bets),
            tuple(t * n_t - c * n_c for t, c, _, _ in bets),
            tuple(t * n_t for t, *_ in bets),
        )

    def log_e(self, shift: float) -> tuple[float, float]:
        """Return the log e-value, the smallest over control's mean, and its change by the shift."""
        fixed = [f + by * shift for f, by in zip(self.fixed, self.by_shift, strict=True)]
        steepest = max(abs(slope) for slope in self.slope)
        low, mean, high = -1.0, 0.5, 2.0
        for _ in range(_NEWTON_STEPS_MAX):
            logs = [f + s * mean for f, s in zip(fixed, self.slope, strict=True)]
            top = max(logs)
            parts = [math.exp(log - top) for log in logs]
            total = sum(parts)
            rises = sum(p * s for p, s in zip(parts, self.slope, strict=True)) / total
            bends = (
                sum(p * s * s for p, s in zip(parts, self.slope, strict=True)) / total - rises**2
            )
            low, high = (mean, high) if rises < 0 else (low, mean)
            following = min(max(mean - rises / max(bends, _BENDS_MIN), 0.0), 1.0)
            if not low < following < high:
                following = (max(low, 0.0) + min(high, 1.0)) / 2
            if steepest * abs(following - mean) < _LAST_STEP:
                break
            mean = following
        by_shift = sum(p * by for p, by in zip(parts, self.by_shift, strict=True)) / total
        return top + math.log(total / len(BETS)), by_shift

    def smallest_shift(self, log_e: float) -> float:
        """Return the smallest shift with that much evidence against it, at most 1."""
        low, shift, high = -1.0, 0.0, 1.0
        for _ in range(_NEWTON_STEPS_MAX):
            evidence, change = self.log_e(shift)
            low, high = (shift, high) if evidence < log_e else (low, shift)
            following = shift + (log_e - evidence) / change if change > 0 else low
            following = following if low < following < high else (low + high) / 2
            if abs(following - shift) < SLACK:
                break
            shift = following
        return high


@lru_cache(maxsize=64)
def _bets(share: float) -> tuple[tuple[float, float, float, float], ...]:
    """Return the bets on both cohorts, and what they pay for a squared distance."""
    odds = share / (1 - share)
    bets = BETS * min(1.0, 1 / odds), BETS * min(1.0, odds)
    columns = (*bets, _psi(bets[0]), _psi(bets[1]))
    return tuple(zip(*(column.tolist() for column in columns), strict=True))


@lru_cache(maxsize=256)
def _interval(state: BoundedMeanState, alpha: float) -> tuple[float, float]:
    """Return the bounds; each look without a new block takes them again."""
    high, low = (_Look.of(state, low=low).smallest_shift(-math.log(alpha)) for low in (True, False))
    return -low, high
