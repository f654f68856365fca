"""The test of version 0.1: users hit for the first time are a coin with the share as its bias.

Exact as long as the treatment does not change how much users ask. A treatment that makes them ask more
reaches their first failure sooner, so this test takes success for harm.
"""

from dataclasses import dataclass, field

import numpy as np

from sluice.rollout.analysis.stats.counts import scale_odds
from sluice.rollout.analysis.stats.e_process import Array, BettingStrategy


@dataclass(frozen=True)
class FirstFailures:
    """``margin``: the treatment may have this many times the odds."""

    margin: float = 1.0
    bets: BettingStrategy = field(default_factory=lambda: BettingStrategy(odds=(1.5, 2, 3, 5, 10)))


def first_failure_log_ratios(
    treatment: Array, control: Array, share: Array, test: FirstFailures
) -> Array:
    """Log e-values of one block, shape (…, alternatives); the other arguments have shape (…)."""
    null = scale_odds(share, test.margin)[..., None]
    coin = scale_odds(null, np.array(test.bets.odds))
    misses = control[..., None] * (np.log1p(-coin) - np.log1p(-null))
    return np.asarray(treatment[..., None] * np.log(coin / null) + misses)
