"""Wealth of a bettor against the null hypothesis: the e-process that all count tests share.

A bet pays, for each alternative, the likelihood ratio of one block of data against the null. By
Ville's inequality wealth that starts at 1 exceeds 1/α at *any* time with probability at most α if
the null is true (Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid
inference", Statistical Science 2023). The wealth is spread over several alternatives (a mixture).

A bettor who loses for a week has nothing left to bet when the fault comes on the eighth day. So
``reserve`` of the wealth is put aside, and ``restart`` of what is left is staked again at each
block: the mixture over starting times of the e-detectors of Shin, Ramdas and Rinaldo (NEJSDS
2024), with weights that add up to at most 1, so Ville's inequality holds unchanged.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sluice.rollout.analysis.gate import Model

Array = NDArray[np.float64]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class BettingStrategy(Model):
    """The split of the wealth over bets. ``odds`` are the alternatives' odds ratios, relative to the margin.

    ``weights`` are their parts of the wealth, even unless given. Small harm takes longest to show, so it
    gains most from a larger part.
    """

    odds: tuple[Annotated[float, Field(gt=1, le=1000)], ...] = (1.25, 1.5, 2, 3, 5, 10, 20)
    weights: tuple[Annotated[float, Field(gt=0)], ...] = ()
    reserve: Share = 0.25
    restart: Share = 0.005

    @model_validator(mode="after")
    def _require_weight_of_each(self) -> Self:
        if self.weights and len(self.weights) != len(self.odds):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.odds)} odds: give one each"
            )
        return self

    def start(self) -> "Wealth":
        return _start(self)

    @property
    def log_restart(self) -> Array:
        """The part of the reserve that each alternative gets at each block, as a logarithm."""
        return np.asarray(math.log(self.restart) + self.log_parts)

    @property
    def log_parts(self) -> Array:
        """Logarithms of the alternatives' parts of the wealth that is staked."""
        weights = np.array(self.weights or (1.0,) * len(self.odds))
        return np.asarray(np.log(weights / weights.sum()))

    @property
    def log_retained(self) -> float:
        return math.log1p(-self.restart)


class Wealth(Model):
    """Logarithms of the wealth staked on each alternative, of the reserve, and of the peak."""

    log_stakes: tuple[float, ...]
    log_reserve: float
    log_peak: float = 0.0

    @property
    def log_e(self) -> float:
        """Logarithm of the e-value now: all stakes and the reserve."""
        return float(np.logaddexp(log_sum(np.array(self.log_stakes)), self.log_reserve))


@lru_cache(maxsize=64)
def _start(bets: BettingStrategy) -> Wealth:
    """Return the wealth before the first bet; each look begins with it."""
    stakes = math.log(1 - bets.reserve) + bets.log_parts
    return Wealth(log_stakes=tuple(stakes.tolist()), log_reserve=math.log(bets.reserve))


def wealth_after(
    wealth: Sequence[Wealth], bets: BettingStrategy, log_ratios: Array
) -> tuple[list[Wealth], Array]:
    """Return the wealth of many bettors after many blocks, and the log e-values after each of them.

    A block pays ``exp(log_ratios)``, of shape (blocks, bettors, alternatives); the e-values have
    shape (blocks, bettors). Before each block every stake gets its part of the reserve. A new stake
    takes part in later products only, so it is divided by the earlier ones first:
    then all blocks are one sum that runs on, where a rehearsal would take ten thousands of steps.
    """
    rows = np.array([bettor.log_reserve for bettor in wealth])
    reserves = rows + bets.log_retained * np.arange(len(log_ratios) + 1)[:, None]
    paid = np.cumsum(log_ratios, axis=0)
    fresh = reserves[:-1, :, None] + bets.log_restart - (paid - log_ratios)
    begun = np.array([[bettor.log_stakes for bettor in wealth]])
    stakes = paid + np.logaddexp.accumulate(np.concatenate([begun, fresh]))[1:]
    log_es = np.logaddexp(log_sum(stakes), reserves[1:])
    peaks = np.maximum(log_es.max(axis=0), [bettor.log_peak for bettor in wealth])
    last = zip(stakes[-1].tolist(), reserves[-1].tolist(), peaks.tolist(), strict=True)
    return [Wealth(log_stakes=tuple(s), log_reserve=r, log_peak=p) for s, r, p in last], log_es


def log_sum(logs: Array) -> Array:
    """``log(sum(exp(logs)))`` over the last axis."""
    highest = logs.max(axis=-1, keepdims=True)
    total: Array = np.log(np.exp(logs - highest).sum(axis=-1)) + highest[..., 0]
    return total


def log_average(logs: list[float], weights: list[float]) -> float:
    """Return the weighted average of e-values for one claim, as a logarithm; again an e-value.

    Averaging needs no independence (Vovk and Wang, "E-values", Annals of Statistics 2021).

    Raises:
        ValueError: when the weights are not positive or add up to more than 1.
    """
    if len(logs) != len(weights) or min(weights) <= 0 or sum(weights) > 1 + 1e-12:
        raise ValueError("give one positive weight for each e-value, adding up to at most 1")
    return float(log_sum(np.array(logs) + np.log(weights)))
