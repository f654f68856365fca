"""Users hit for the first time: a coin whose bias the rollout itself has set.

Requests of one user are no independent draws, and a few heavy users break every test that counts
requests. So count each user once, at their first error since the rollout began. If the treatment
changes nothing, who errs does not depend on the bucket that the user's id hashes to: each newly
affected user belongs to the treatment with probability ``share``, whatever the users' habits, and
whatever an outage does to both cohorts. No rate has to be estimated and no margin is needed.

The e-value is the likelihood ratio of a coin with higher odds, averaged over alternatives (for
Bernoulli data: Turner, Ly and Grünwald, JSPI 2024; cf. Lindon and Malek, NeurIPS 2022).
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.stats.counts import scale_odds
from sluice.rollout.analysis.stats.e_process import (
    Array,
    BettingStrategy,
    Count,
    Share,
    WealthState,
    wealth_after,
)
from sluice.rollout.analysis.stats.result import SequentialResult, format_count, judge_evidence


class AffectedUsersBlock(Model):
    """Users newly affected between two looks, while ``share`` of all users had the treatment."""

    treatment: Count
    control: Count
    share: Share


class AffectedUsersState(WealthState):
    """Besides the wealth both cohorts' affected users so far, and the treatment's part that chance predicts."""

    treatment: float = 0.0
    control: float = 0.0
    expected: float = 0.0


class AffectedUsersTest(Model):
    """Do errors reach more of the treatment's users than its share of users explains?"""

    name: str = "users with errors"
    margin: Annotated[float, Field(ge=1, le=10)] = 1.0
    bets: BettingStrategy = BettingStrategy(odds=(1.5, 2, 3, 5, 10))

    def start(self) -> AffectedUsersState:
        return AffectedUsersState(wealth=self.bets.start())

    def update(self, state: AffectedUsersState, *blocks: AffectedUsersBlock) -> AffectedUsersState:
        return self.update_many([state], [[block] for block in blocks])[0][0]

    def update_many(
        self, states: Sequence[AffectedUsersState], rows: Sequence[Sequence[AffectedUsersBlock]]
    ) -> tuple[list[AffectedUsersState], Array]:
        """Several bettors' states after rows of blocks, one for each of them; see ``after_all``."""
        told = np.array([[(b.treatment, b.control, b.share) for b in row] for row in rows])
        treatment, control, share = np.moveaxis(told, 2, 0)
        paid = affected_log_ratios(treatment, control, share, self)
        wealth, log_es = wealth_after([state.wealth for state in states], self.bets, paid)
        expected = ((treatment + control) * share).sum(axis=0)
        found = [
            AffectedUsersState(
                wealth=wealth[i],
                treatment=state.treatment + float(treatment[:, i].sum()),
                control=state.control + float(control[:, i].sum()),
                expected=state.expected + float(expected[i]),
            )
            for i, state in enumerate(states)
        ]
        return found, log_es

    def result(self, state: AffectedUsersState, alpha: float) -> SequentialResult:
        wealth = state.wealth
        return judge_evidence("worse", self.facts(state), (wealth.log_e, wealth.log_peak), alpha)

    def facts(self, state: AffectedUsersState) -> str:
        everybody = format_count(state.treatment + state.control)
        margin = f", margin {self.margin:g} ×" if self.margin > 1 else ""
        return (
            f"{self.name}: {format_count(state.treatment)} of {everybody} newly affected users had "
            f"the treatment, its share of users predicts {state.expected:,.1f}{margin}"
        )


def affected_log_ratios(
    treatment: Array, control: Array, share: Array, test: AffectedUsersTest
) -> Array:
    """Log e-values of one block, shape (…, alternatives); the other arguments have shape (…)."""
    null = scale_odds(share, test.margin)[..., None]
    coin = scale_odds(null, np.array(test.bets.odds))
    misses = control[..., None] * (np.log1p(-coin) - np.log1p(-null))
    return np.asarray(treatment[..., None] * np.log(coin / null) + misses)
