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

from rollout.gate import Model
from rollout.stats.evidence import Array, Bets, Count, Share, Weighed, after_all
from rollout.stats.result import Result, format_count, format_rate, result

RATE_MIN = 1e-9
SLACK = 1e-6


class Counts(Model):
    """Events and units (requests, users) of one cohort in one block, or added up over blocks."""

    events: Count = 0.0
    units: Count = 0.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.events > self.units + SLACK:
            raise ValueError(f"{self.events:g} events in {self.units:g} units: more than possible")
        return self

    def text(self) -> str:
        return f"{format_count(self.events)}/{format_count(self.units)}"


class CountBlock(Model):
    """What both cohorts saw between two looks, at one share."""

    treatment: Counts
    control: Counts


class CountState(Weighed):
    """Besides the wealth the control's recent counts (for the next bet), and the totals (for people)."""

    recent: Counts = Counts()
    treatment: Counts = Counts()
    control: Counts = Counts()


class CountTest(Model):
    """Is an event more than ``margin`` times as likely (in odds) with treatment as with control?

    ``prior_rate`` stands for the control's rate until ``prior_units`` units were seen;
    ``memory`` is what one block leaves of the past. All three shape power only, never validity.
    """

    name: str = "error rate"
    margin: Annotated[float, Field(ge=1, le=10)] = 1.5
    bets: Bets = Bets()
    prior_rate: Share = 0.005
    prior_units: Annotated[float, Field(gt=0)] = 20.0
    memory: Annotated[float, Field(gt=0, le=1)] = 0.98

    def start(self) -> CountState:
        return CountState(wealth=self.bets.start())

    def update(self, state: CountState, *blocks: CountBlock) -> CountState:
        """Bet on each block with what was known before it."""
        return self.advanced([state], [[block] for block in blocks])[0][0]

    def advanced(
        self, states: Sequence[CountState], rows: Sequence[Sequence[CountBlock]]
    ) -> tuple[list[CountState], Array]:
        """Several bettors' states after rows of blocks, one for each of them; see ``after_all``."""
        treatment = np.array([[_pair(one.treatment) for one in row] for row in rows])
        control = np.array([[_pair(one.control) for one in row] for row in rows])
        recent = self._recent(np.array([_pair(state.recent) for state in states]), control)
        paid = log_ratios(
            (treatment[..., 0], treatment[..., 1]),
            (control[..., 0], control[..., 1]),
            self.control_rate(recent[:-1, :, 0], recent[:-1, :, 1]),
            self,
        )
        wealth, log_es = after_all([state.wealth for state in states], self.bets, paid)
        sums = treatment.sum(axis=0), control.sum(axis=0)
        found = [
            CountState(
                wealth=wealth[i],
                recent=_counts(recent[-1, i]),
                treatment=_counts(_pair(state.treatment) + sums[0][i]),
                control=_counts(_pair(state.control) + sums[1][i]),
            )
            for i, state in enumerate(states)
        ]
        return found, log_es

    def _recent(self, before: Array, control: Array) -> Array:
        """The control's faded counts before each block, and after the last one."""
        recent = np.concatenate([before[None], control])
        for number in range(1, len(recent)):
            recent[number] += self.memory * recent[number - 1]
        return recent

    def control_rate(self, events: Array, units: Array) -> Array:
        """The control's rate as the past tells it, drawn towards the prior while that is short."""
        return (events + self.prior_rate * self.prior_units) / (units + self.prior_units)

    def result(self, state: CountState, alpha: float) -> Result:
        wealth = state.wealth
        return result("worse", self.facts(state), (wealth.log_e, wealth.log_peak), alpha)

    def facts(self, state: CountState) -> str:
        t, c = state.treatment, state.control
        margin = f", margin {self.margin:g} ×" if self.margin > 1 else ""
        return (
            f"{self.name} {format_rate(t.events, t.units)} (treatment, {t.text()}) against "
            f"{format_rate(c.events, c.units)} (control, {c.text()}{margin})"
        )


def _pair(counts: Counts) -> Array:
    return np.array((counts.events, counts.units))


def _counts(pair: Array) -> Counts:
    return Counts(events=float(pair[0]), units=float(pair[1]))


Cohort = tuple[Array, Array]
"""Events and units."""


def log_ratios(treatment: Cohort, control: Cohort, control_rate: Array, test: CountTest) -> Array:
    """Log e-values of one block, shape (…, alternatives); the other arguments have shape (…)."""
    k_t, n_t, k_c, n_c = (x[..., None] for x in (*treatment, *control))
    p_c = np.clip(control_rate, RATE_MIN, 1 - RATE_MIN)[..., None]
    p_t = odds_times(p_c, test.margin * np.array(test.bets.odds))
    q_t, q_c = closest_null((p_t, n_t), (p_c, n_c), test.margin)
    return _log_likelihood(k_t, n_t, p_t, q_t) + _log_likelihood(k_c, n_c, p_c, q_c)


def odds_times(rate: Array, factor: Array | float) -> Array:
    """The rate whose odds are ``factor`` times as high."""
    return factor * rate / (1 + (factor - 1) * rate)


def closest_null(treatment: Cohort, control: Cohort, margin: float) -> Cohort:
    """The null's rates (treatment, control) closest to the alternative's; arguments (rate, units)."""
    (p_t, n_t), (p_c, n_c) = treatment, control
    nobody = n_t + n_c == 0
    expected = n_t * p_t + n_c * p_c
    linear = n_t * margin + n_c - expected * (margin - 1)
    root = np.sqrt(linear**2 + 4 * (margin - 1) * n_c * expected)
    q_c = np.where(nobody, p_c, 2 * expected / np.where(nobody, 1.0, linear + root))
    q_c = np.clip(q_c, RATE_MIN / 10, 1 - RATE_MIN / 10)
    return odds_times(q_c, margin), q_c


def _log_likelihood(events: Array, units: Array, rate: Array, null: Array) -> Array:
    others = (units - events) * (np.log1p(-rate) - np.log1p(-null))
    return np.asarray(events * np.log(rate / null) + others)
