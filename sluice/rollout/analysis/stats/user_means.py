"""Difference of two means over users, each user with many values: log times, all rewards.

A user's values are alike, so the unit is the user (Deng, Knoblich and Lu, "Applying the delta method in
metric analytics", KDD 2018): each has a weight w and a weighted mean v, and the mean over users is a
ratio of sums. Its variance comes from the sums of v², w v and w². It includes whatever the users of a
cohort have in common with themselves, so no model of a user's values has to hold.

The evidence is a mixture over the effect (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon, Annals
of Statistics 2021): normal around the effect that the test is tuned for, with a third of it as its
deviation, and positive only, for the null hypothesis is "worse by the margin at most". It is an asymptotic confidence sequence as in Waudby-Smith, Arbour, Sinha,
Kennedy and Ramdas (Annals of Statistics 2024). Differences at two looks have at least the correlation
of independent increments, because a user's values are never negatively related. So the boundary is
crossed at most as often (Slepian's inequality).

A difference of few events is skewed. The variance is the larger of two: each cohort's own, and
that of both together, as the null hypothesis has it. The first errs where harm means fewer events, the
second where it means more. Before ``users_min`` users of equal weight in each cohort the test is silent.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.stats.e_process import Array, Count
from sluice.rollout.analysis.stats.means import log_normal_below
from sluice.rollout.analysis.stats.result import SequentialResult, compare_means, judge_evidence

USERS_MIN = 50.0
PRIOR_SCORE = 3.0
"""The tuned effect in deviations of the mixture: harm from a third of it up to ten times is seen nearly as soon."""
_LOG_PRIOR_ABOVE_ZERO = math.log(math.erfc(-PRIOR_SCORE / math.sqrt(2)) / 2)
_FAR_BELOW, _NEWTON_STEPS = -30.0, 8


class UserSums(Model):
    """Sums over one cohort's users: of weights w, of weighted means v, of v², of w v, and of w²."""

    weight: Count = 0.0
    value: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    square: Count = 0.0
    product: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    weight_square: Count = 0.0

    def add(self, more: "UserSums", center: float) -> "UserSums":
        """Add a block's sums, with its values less ``center``: large sums would lose digits."""
        w, v, vv, wv, ww = more.columns()
        return UserSums(
            weight=self.weight + w,
            value=self.value + v - center * w,
            square=max(self.square + vv - 2 * center * wv + center**2 * ww, 0.0),
            product=self.product + wv - center * ww,
            weight_square=self.weight_square + ww,
        )

    def columns(self) -> tuple[float, float, float, float, float]:
        """Return the sums in their order."""
        return self.weight, self.value, self.square, self.product, self.weight_square

    @property
    def mean(self) -> float:
        """The mean over users."""
        return self.value / self.weight if self.weight else 0.0

    @property
    def spread(self) -> float:
        """The sum over users of (v - mean w)², never below 0."""
        mean = self.mean
        return max(self.square - 2 * mean * self.product + mean**2 * self.weight_square, 0.0)

    @property
    def users(self) -> float:
        """The number of users of equal weight that would tell as much."""
        return self.weight**2 / self.weight_square if self.weight_square else 0.0


class UserMeansBlock(Model):
    """Increases of both cohorts' sums between two looks."""

    treatment: UserSums
    control: UserSums


class UserMeansState(Model):
    """Both cohorts' sums, with their values less ``center``, and the peaks of both claims.

    ``treatment_before`` and ``control_before``: the sums at which this attempt began; the same users go on.
    """

    treatment: UserSums = UserSums()
    control: UserSums = UserSums()
    treatment_before: UserSums = UserSums()
    control_before: UserSums = UserSums()
    center: float | None = None
    log_peak_harm: float = 0.0
    log_peak_non_inferiority: float = 0.0

    @property
    def weights(self) -> tuple[float, float]:
        """The weights of treatment and control in this attempt."""
        return (
            self.treatment.weight - self.treatment_before.weight,
            self.control.weight - self.control_before.weight,
        )

    @property
    def means(self) -> tuple[float, float]:
        """The means of treatment and control in this attempt, less the center; 0 without users."""
        values = (
            self.treatment.value - self.treatment_before.value,
            self.control.value - self.control_before.value,
        )
        treated, control = (
            value / weight if weight > 0 else 0.0
            for value, weight in zip(values, self.weights, strict=True)
        )
        return treated, control

    def variance(self, treatment: UserSums, control: UserSums) -> float:
        """Return the variance of a difference of sums over users, at this attempt's weights.

        ``difference_variance`` does the same for many at once; one look costs less so.
        """
        cohorts = tuple(zip((treatment, control), self.weights, strict=True))
        together = treatment.add(control, 0.0)
        of_one = together.spread / together.weight_square
        own = sum(sums.spread / weight**2 for sums, weight in cohorts)
        pooled = sum(of_one * sums.weight_square / weight**2 for sums, weight in cohorts)
        return max(own, pooled)


class UserMeansTest(Model):
    """Is the treatment's mean over users worse by more than ``margin``, or shown not to be by ``tolerance``?"""

    name: str = "log time"
    higher_is_better: bool = True
    margin: Annotated[float, Field(ge=0)] = 0.0
    effect: Annotated[float, Field(gt=0)] = 0.1
    tolerance: Annotated[float, Field(gt=0)] = 0.02
    users_min: Annotated[float, Field(ge=10)] = USERS_MIN

    def start(self) -> UserMeansState:
        return UserMeansState()

    def resume(self, state: UserMeansState) -> UserMeansState:
        """Return a state without evidence that goes on with the same users."""
        return UserMeansState(
            treatment=state.treatment,
            control=state.control,
            treatment_before=state.treatment,
            control_before=state.control,
            center=state.center,
        )

    def update(self, state: UserMeansState, *blocks: UserMeansBlock) -> UserMeansState:
        """Add the blocks, with a look after each."""
        for block in blocks:
            state = self._add_block(state, block)
        return state

    def _add_block(self, state: UserMeansState, block: UserMeansBlock) -> UserMeansState:
        center = state.center
        if center is None and block.control.weight:
            center = block.control.mean
        sums = {
            "treatment": state.treatment.add(block.treatment, center or 0.0),
            "control": state.control.add(block.control, center or 0.0),
        }
        after = state.model_copy(update={**sums, "center": center})
        harm, non_inferiority = self._log_es(after)
        peaks = {
            "log_peak_harm": max(state.log_peak_harm, harm),
            "log_peak_non_inferiority": max(state.log_peak_non_inferiority, non_inferiority),
        }
        return after.model_copy(update=peaks)

    def log_e_harm(self, state: UserMeansState) -> float:
        """Log e-value against "worse by at most the margin"."""
        return self._log_es(state)[0]

    def log_e_non_inferiority(self, state: UserMeansState) -> float:
        """Log e-value against "worse by the tolerance or more"."""
        return self._log_es(state)[1]

    def _log_es(self, state: UserMeansState) -> tuple[float, float]:
        information, gain = self.information(state), self._gain(state)
        if not information:
            return 0.0, 0.0
        harm = _log_e(-gain - self.margin, information, self.effect)
        return harm, _log_e(gain + self.tolerance, information, self.tolerance)

    def _gain(self, state: UserMeansState) -> float:
        gain = state.means[0] - state.means[1]
        return gain if self.higher_is_better else -gain

    def information(self, state: UserMeansState) -> float:
        """Return one over the variance of the difference; 0 while there are too few users.

        What a user adds in a later attempt has at most twice the squares at its end and at its start.
        """
        is_few = min(state.treatment.users, state.control.users) < self.users_min
        if is_few or min(state.weights) <= 0:
            return 0.0
        variance = state.variance(state.treatment, state.control)
        if state.control_before.weight:
            variance = 2 * (variance + state.variance(state.treatment_before, state.control_before))
        return 1 / variance if variance > 0 else 0.0

    def difference(self, state: UserMeansState) -> float:
        """Return the treatment's mean less control's; NaN without users."""
        return state.means[0] - state.means[1] if min(state.weights) > 0 else math.nan

    def interval(self, state: UserMeansState, alpha: float) -> tuple[float, float]:
        """Bounds of the difference (treatment less control), each valid at all times at ``alpha``."""
        information = self.information(state)
        if not information:
            return -math.inf, math.inf
        half = _half_width(information, self.effect, alpha)
        return self.difference(state) - half, self.difference(state) + half

    def harm(self, state: UserMeansState, alpha: float) -> SequentialResult:
        """Judge whether harm is shown."""
        evidence = (self.log_e_harm(state), state.log_peak_harm)
        return judge_evidence("worse", self.facts(state, alpha), evidence, alpha)

    def non_inferiority(self, state: UserMeansState, alpha: float) -> SequentialResult:
        """Judge whether the treatment is shown to be not worse by ``tolerance``: for promotion."""
        evidence = (self.log_e_non_inferiority(state), state.log_peak_non_inferiority)
        claim = f"shown to be less than {self.tolerance:g} worse"
        return judge_evidence(claim, self.facts(state, alpha), evidence, alpha)

    def facts(self, state: UserMeansState, alpha: float) -> str:
        """Return the means, the users, and the interval of the difference."""
        treatment, control = (
            ((state.center or 0.0) + mean, cohort.users)
            for mean, cohort in zip(state.means, (state.treatment, state.control), strict=True)
        )
        return compare_means(self.name, treatment, control, self.interval(state, alpha))


def difference_variance(
    treatment: Sequence[Array],
    control: Sequence[Array],
    divisors: Sequence[Array | float] | None = None,
) -> Array:
    """Return the variance of the difference of two means; arguments are the sums, each of shape (…).

    ``divisors``: the weights that the sums are divided by, where they are not the sums' own.
    """
    cohorts = (treatment, control)
    weights = [np.maximum(weight, 1e-12) for weight in divisors or (treatment[0], control[0])]
    own = [spread_of_users(sums) / weight**2 for sums, weight in zip(cohorts, weights, strict=True)]
    together = [t + c for t, c in zip(treatment, control, strict=True)]
    of_one = spread_of_users(together) / np.maximum(together[4], 1e-12)
    pooled = [of_one * sums[4] / weight**2 for sums, weight in zip(cohorts, weights, strict=True)]
    return np.asarray(np.maximum(own[0] + own[1], pooled[0] + pooled[1]))


def spread_of_users(sums: Sequence[Array]) -> Array:
    """Return the sum over users of (v - mean w)², never below 0."""
    weight, value, square, product, weight_square = sums
    mean = value / np.maximum(weight, 1e-12)
    return np.asarray(np.maximum(square - 2 * mean * product + mean**2 * weight_square, 0.0))


def log_e_worse(worse_by: Array, information: Array, effect: float) -> Array:
    """Log e-value against "worse by 0 at most", arguments of shape (…)."""
    precision = (PRIOR_SCORE / effect) ** 2
    whole = information + precision
    score = (worse_by * information + precision * effect) / np.sqrt(whole)
    logs = (math.log(precision) - np.log(whole) + score**2 - PRIOR_SCORE**2) / 2
    return np.asarray(logs + log_normal_below(score) - _LOG_PRIOR_ABOVE_ZERO)


def _log_e(worse_by: float, information: float, effect: float) -> float:
    """Return ``log_e_worse`` of one look."""
    precision = (PRIOR_SCORE / effect) ** 2
    whole = information + precision
    score = (worse_by * information + precision * effect) / math.sqrt(whole)
    if score < _FAR_BELOW:
        return float(log_e_worse(np.array(worse_by), np.array(information), effect))
    below = math.log(math.erfc(-score / math.sqrt(2)) / 2) - _LOG_PRIOR_ABOVE_ZERO
    return (math.log(precision / whole) + score**2 - PRIOR_SCORE**2) / 2 + below


def _half_width(information: float, effect: float, alpha: float) -> float:
    """Return the difference at which the evidence reaches 1/alpha, by Newton's method."""
    precision = (PRIOR_SCORE / effect) ** 2
    whole = information + precision
    needed = -math.log(alpha) + _LOG_PRIOR_ABOVE_ZERO
    needed += (PRIOR_SCORE**2 + math.log(whole / precision)) / 2
    score = math.sqrt(2 * (needed + 1))
    for _ in range(_NEWTON_STEPS):
        below = math.erfc(-score / math.sqrt(2)) / 2
        slope = score + math.exp(-(score**2) / 2) / math.sqrt(2 * math.pi) / below
        score -= (score**2 / 2 + math.log(below) - needed) / slope
    return (score * math.sqrt(whole) - precision * effect) / information
