"""Two cohorts' event counts: error rate, or requests slower than an edge.

Null hypothesis: the treatment's odds of an event are at most ``margin`` times the control's, in
every block. A block's e-value for an alternative (p_t, p_c) is its likelihood against the null's
closest point (q_t, q_c): the exact k-sample e-value of Turner, Ly and Grünwald ("Generic
E-variables for exact sequential k-sample tests", JSPI 2024). It is valid because the set of rates
whose odds ratio is at most m ≥ 1 is convex (Turner and Grünwald, "Exact anytime-valid confidence
intervals for contingency tables and beyond", Stat. & Prob. Letters 2023).

The closest point expects as many events as the alternative, n_t q_t + n_c q_c = n_t p_t + n_c p_c,
and has odds ratio m: a quadratic equation. At m = 1 both rates are the pooled rate.

Blocks need not be alike: a slow Monday or an outage of both cohorts moves both rates and leaves
the e-value's expectation at or below 1. Users who send many alike requests do break it (requests
are then no independent draws): the margin is for them, see docs/statistics.md.
"""

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.stats.e_process import (
    Array,
    BettingStrategy,
    Count,
    Share,
    Wealth,
    wealth_after,
)
from sluice.rollout.analysis.stats.result import (
    SequentialResult,
    format_estimated_count,
    format_rate,
    judge_evidence,
)

RATE_MIN = 1e-9
SLACK = 1e-6


class Counts(Model):
    """Events and units (requests, users) of one cohort in one block, or added up over blocks."""

    events: Count = 0.0
    units: Count = 0.0

    @model_validator(mode="after")
    def _require_possible_counts(self) -> Self:
        if self.events > self.units + SLACK:
            raise ValueError(f"{self.events:g} events in {self.units:g} units: more than possible")
        return self

    def text(self) -> str:
        return f"{format_estimated_count(self.events)}/{format_estimated_count(self.units)}"


class CountBlock(Model):
    """Both cohorts' counts between two looks, at one share."""

    treatment: Counts
    control: Counts


class CountState(Model):
    """The wealth of bets, the control's recent counts (for the next bet), and totals (for people)."""

    wealth: Wealth
    recent: Counts = Counts()
    treatment: Counts = Counts()
    control: Counts = Counts()


class CountTest(Model):
    """Is an event more than ``margin`` times as likely (in odds) with treatment as with control?

    ``prior_rate`` takes the place of the control's rate until ``prior_units`` units were seen;
    ``memory`` is what one block leaves of the past. All three shape power only, never validity.
    """

    name: str = "error rate"
    margin: Annotated[float, Field(ge=1, le=10)] = 1.5
    bets: BettingStrategy = BettingStrategy()
    prior_rate: Share = 0.005
    prior_units: Annotated[float, Field(gt=0)] = 20.0
    memory: Annotated[float, Field(gt=0, le=1)] = 0.98

    def start(self) -> CountState:
        return CountState(wealth=self.bets.start())

    def update(self, state: CountState, *blocks: CountBlock) -> CountState:
        """Bet on each block with what was known before it."""
        return self.update_many([state], [[block] for block in blocks])[0][0]

    def update_many(
        self, states: Sequence[CountState], rows: Sequence[Sequence[CountBlock]]
    ) -> tuple[list[CountState], Array]:
        """Return several bettors' states after rows of blocks, one for each of them."""
        treatment, control = (
            np.array([[(counts.events, counts.units) for counts in row] for row in cohort])
            for cohort in (
                [[block.treatment for block in row] for row in rows],
                [[block.control for block in row] for row in rows],
            )
        )
        return self.update_arrays(states, treatment, control)

    def update_arrays(
        self, states: Sequence[CountState], treatment: Array, control: Array
    ) -> tuple[list[CountState], Array]:
        """Do the same for events and units of shape (blocks, bettors, 2)."""
        cohorts = treatment, control
        return self.pay(states, cohorts, self.log_ratios(states, cohorts))

    def log_ratios(self, states: Sequence[CountState], cohorts: tuple[Array, Array]) -> Array:
        """Return what each block pays each bettor, as logarithms, by alternative."""
        treatment, control = cohorts
        recent = self._faded_counts(states, control)
        return count_log_ratios(
            (treatment[..., 0], treatment[..., 1]),
            (control[..., 0], control[..., 1]),
            self.control_rate(recent[:-1, :, 0], recent[:-1, :, 1]),
            self,
        )

    def pay(
        self, states: Sequence[CountState], cohorts: tuple[Array, Array], paid: Array
    ) -> tuple[list[CountState], Array]:
        """Add blocks that pay the log ratios ``paid``; ``cohorts``: treatment's and control's counts."""
        treatment, control = cohorts
        recent = self._faded_counts(states, control)
        wealth, log_es = wealth_after([state.wealth for state in states], self.bets, paid)
        sums = treatment.sum(axis=0), control.sum(axis=0)
        new_states = [
            CountState(
                wealth=wealth[i],
                recent=_as_counts(recent[-1, i]),
                treatment=_as_counts(_as_array(state.treatment) + sums[0][i]),
                control=_as_counts(_as_array(state.control) + sums[1][i]),
            )
            for i, state in enumerate(states)
        ]
        return new_states, log_es

    def _faded_counts(self, states: Sequence[CountState], control: Array) -> Array:
        """Return the control's faded counts before each block, and after the last one."""
        before = np.array([_as_array(state.recent) for state in states])
        recent = np.concatenate([before[None], control])
        for number in range(1, len(recent)):
            recent[number] += self.memory * recent[number - 1]
        return recent

    def control_rate(self, events: Array, units: Array) -> Array:
        """Return the control's rate from its past, drawn towards the prior while that is short."""
        return (events + self.prior_rate * self.prior_units) / (units + self.prior_units)

    def result(self, state: CountState, alpha: float) -> SequentialResult:
        wealth = state.wealth
        return judge_evidence("worse", self.facts(state), (wealth.log_e, wealth.log_peak), alpha)

    def facts(self, state: CountState) -> str:
        t, c = state.treatment, state.control
        margin = f", margin {self.margin:g} ×" if self.margin > 1 else ""
        return (
            f"{self.name} {format_rate(t.events, t.units)} (treatment, {t.text()}) against "
            f"{format_rate(c.events, c.units)} (control, {c.text()}{margin})"
        )


def _as_array(counts: Counts) -> Array:
    return np.array((counts.events, counts.units))


def _as_counts(events_and_units: Array) -> Counts:
    return Counts(events=float(events_and_units[0]), units=float(events_and_units[1]))


CohortCounts = tuple[Array, Array]
"""Events and units."""


def count_log_ratios(
    treatment: CohortCounts, control: CohortCounts, control_rate: Array, test: CountTest
) -> Array:
    """Log e-values of one block, shape (…, alternatives); the other arguments have shape (…)."""
    p_c = np.clip(control_rate, RATE_MIN, 1 - RATE_MIN)[..., None]
    p_t = scale_odds(p_c, test.margin * np.array(test.bets.odds))
    return rates_log_ratios(treatment, control, (p_t, p_c), test.margin)


def rates_log_ratios(
    treatment: CohortCounts, control: CohortCounts, rates: tuple[Array, Array], margin: float
) -> Array:
    """Return the same for the alternatives' rates (treatment, control), of shape (…, alternatives)."""
    k_t, n_t, k_c, n_c = (x[..., None] for x in (*treatment, *control))
    p_t, p_c = rates
    q_t, q_c = closest_null((p_t, n_t), (p_c, n_c), margin)
    return _log_likelihood(k_t, n_t, p_t, q_t) + _log_likelihood(k_c, n_c, p_c, q_c)


def scale_odds(rate: Array, factor: Array | float) -> Array:
    """Return the rate whose odds are ``factor`` times as high."""
    return factor * rate / (1 + (factor - 1) * rate)


def closest_null(treatment: CohortCounts, control: CohortCounts, margin: float) -> CohortCounts:
    """Return the null's rates (treatment, control) closest to the alternative's; arguments (rate, units)."""
    (p_t, n_t), (p_c, n_c) = treatment, control
    nobody = n_t + n_c == 0
    expected = n_t * p_t + n_c * p_c
    linear = n_t * margin + n_c - expected * (margin - 1)
    root = np.sqrt(linear**2 + 4 * (margin - 1) * n_c * expected)
    q_c = np.where(nobody, p_c, 2 * expected / np.where(nobody, 1.0, linear + root))
    q_c = np.clip(q_c, RATE_MIN / 10, 1 - RATE_MIN / 10)
    return scale_odds(q_c, margin), q_c


def _log_likelihood(events: Array, units: Array, rate: Array, null: Array) -> Array:
    non_event_term = (units - events) * (np.log1p(-rate) - np.log1p(-null))
    return np.asarray(events * np.log(rate / null) + non_event_term)
