"""Failures and slow answers per user at risk: immune to a bot, blind to how much users ask.

A user's requests are alike, so a test of requests is misled by one bot. A test of users alone takes
more requests per user, which is success, for harm. Survival analysis separates the two: its clock is
the user's own number of requests. A *stratum* is one event, such as a user's second failure. A user
is at risk of it from the event before (the first failure) until it happens, for the first ``n``
requests at most. Each stratum counts the requests of users at risk and the users it happened to.

Null hypothesis: a request of a user at risk leads to the event at most ``margin`` times as often (in
odds) with treatment as with control. Every stratum has the exact two-sample e-value of ``counts``
(Turner, Ly and Grünwald, JSPI 2024), as the safe logrank test has (ter Schure, Pérez-Ortiz, Ly and
Grünwald, NEJSDS 2024). Strata are averaged, which needs no independence (Vovk and Wang, 2021).
A user causes at most one event per stratum, so a bot counts once. Failures of a few users many times
over show in the strata of the later failures.

Most failures hit few users. *Groups* split the first stratum by what is known of its users from before
the rollout, so it is the same in both cohorts but for chance: harm shows soonest among users who rarely
failed. Groups have different users, so their e-values of a block are multiplied, as a stratified logrank
test adds up its strata.
"""

import math
from functools import lru_cache
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.stats.counts import (
    RATE_MIN,
    Counts,
    CountState,
    CountTest,
    rates_log_ratios,
    scale_odds,
)
from sluice.rollout.analysis.stats.e_process import Array, BettingStrategy, log_sum
from sluice.rollout.analysis.stats.result import (
    SequentialResult,
    format_estimated_count,
    judge_evidence,
)


class HazardCounts(Model):
    """One cohort in one block, by stratum: users hit, and requests of users at risk.

    Where the test has groups, theirs take the place of the first stratum.
    """

    users: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]
    at_risk: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]

    @model_validator(mode="after")
    def _require_pairs(self) -> Self:
        if len(self.users) != len(self.at_risk):
            raise ValueError("each stratum needs its users and its requests at risk")
        return self

    def strata(self) -> list[tuple[float, float]]:
        """Return each stratum's events and units. A request that is still to be scraped is made up for."""
        pairs = zip(self.users, self.at_risk, strict=True)
        return [(events, max(events, units)) for events, units in pairs]


class HazardBlock(Model):
    """Counts of both cohorts' users at risk between two looks."""

    treatment: HazardCounts
    control: HazardCounts


class HazardState(Model):
    """One state for each stratum, control's counts so far by group, and the peak of the strata's average."""

    strata: tuple[CountState, ...]
    groups: tuple[Counts, ...] = ()
    log_peak: float = 0.0


USER_BETS = BettingStrategy(
    odds=(1.5, 2, 3, 5, 10), weights=(0.15, 0.55, 0.2, 0.07, 0.03), reserve=0.05
)
"""Most of the wealth is on a doubling: stronger harm shows soon at any part."""
GROUP_EVENTS_ASSUMED = 10.0
"""Events in control that weigh as much as a group's assumed rate. It shapes power, never validity."""
_RATE_MAX = 0.5


class UserHazardTest(Model):
    """Does an event hit users at risk more often with treatment, in any of the ``strata``?

    ``weights`` are the strata's parts of the wealth, even unless given. ``groups`` of users split the
    first stratum: of each the assumed rate, relative to that of all.
    """

    name: str = "failures"
    strata: Annotated[tuple[str, ...], Field(min_length=1, max_length=16)] = ("1", "2", "4", "8")
    groups: tuple[Annotated[float, Field(gt=0)], ...] = ()
    weights: tuple[Annotated[float, Field(gt=0)], ...] = ()
    margin: Annotated[float, Field(ge=1, le=10)] = 1.0
    bets: BettingStrategy = USER_BETS

    @model_validator(mode="after")
    def _require_weight_of_each(self) -> Self:
        if self.weights and len(self.weights) != len(self.strata):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.strata)} strata: give one each"
            )
        return self

    def stratum_test(self) -> CountTest:
        """Return the test of one stratum."""
        return CountTest(name=self.name, margin=self.margin, bets=self.bets, memory=1.0)

    def start(self) -> HazardState:
        return HazardState(
            strata=tuple(self.stratum_test().start() for _ in self.strata),
            groups=tuple(Counts() for _ in self.groups),
        )

    def update(self, state: HazardState, *blocks: HazardBlock) -> HazardState:
        """Bet on each block at every stratum.

        Raises:
            ValueError: a block has not as many strata as the test.
        """
        cohorts = [(block.treatment, block.control) for block in blocks]
        sizes = {len(counts.users) for pair in cohorts for counts in pair}
        columns = len(self.strata) + max(len(self.groups) - 1, 0)
        if wrong := sizes - {columns}:
            raise ValueError(f"counts of {wrong.pop()} strata; the test has {columns}")
        treatment, control = (
            np.array([counts.strata() for counts in column])
            for column in zip(*cohorts, strict=True)
        )
        states, log_es = self._bet(state, treatment, control)
        peak = float(log_sum(log_es + np.log(self.parts)).max())
        groups = control[:, : len(self.groups)].sum(axis=0)
        return HazardState(
            strata=tuple(states),
            groups=tuple(
                Counts(events=before.events + float(k), units=before.units + float(n))
                for before, (k, n) in zip(state.groups, groups, strict=True)
            ),
            log_peak=max(state.log_peak, peak),
        )

    def _bet(
        self, state: HazardState, treatment: Array, control: Array
    ) -> tuple[list[CountState], Array]:
        """Return the strata's states and log e-values after blocks of shape (blocks, columns, 2)."""
        test, number = self.stratum_test(), len(self.groups)
        if not number:
            return test.update_arrays(state.strata, treatment, control)
        merged = _merge_groups(treatment, number), _merge_groups(control, number)
        paid = test.log_ratios(state.strata, merged)
        before = np.array([(group.events, group.units) for group in state.groups])
        of_control = control[:, :number]
        so_far = before + np.cumsum(of_control, axis=0) - of_control
        paid[:, 0] = self.group_log_ratios(treatment[:, :number], of_control, so_far)
        return test.pay(state.strata, merged, paid)

    def group_log_ratios(self, treatment: Array, control: Array, so_far: Array) -> Array:
        """Return what blocks pay the first stratum, as logarithms, of shape (…, alternatives).

        Arguments have shape (…, groups, 2), events and units. ``so_far``: control's before each block.
        """
        cohorts = [(x[..., 0], x[..., 1]) for x in (treatment, control)]
        rates = self.rates_by_group(so_far)
        logs = rates_log_ratios(cohorts[0], cohorts[1], rates, self.margin)
        return np.asarray(logs.sum(axis=-2))

    def rates_by_group(self, so_far: Array) -> tuple[Array, Array]:
        """Return the alternatives' rates and control's, of shape (…, groups, alternatives).

        New failures may hit all users alike, or those who fail anyway: the rates are halfway between.
        """
        of_all, of_group = self._control_rates(so_far)
        odds = np.array(self.bets.odds)
        alike = scale_odds(of_group, self.margin) + (odds - 1) * scale_odds(of_all, self.margin)
        harmed = (scale_odds(of_group, self.margin * odds) + np.minimum(alike, 1 - RATE_MIN)) / 2
        return harmed, of_group

    def _control_rates(self, so_far: Array) -> tuple[Array, Array]:
        """Return control's rate, and each group's, drawn towards the assumed one while that is short."""
        events, units = so_far[..., 0], so_far[..., 1]
        sums = events.sum(axis=-1, keepdims=True), units.sum(axis=-1, keepdims=True)
        of_all = self.stratum_test().control_rate(*sums)
        assumed = GROUP_EVENTS_ASSUMED * np.array(self.groups)
        relative = (events + assumed) / (units * of_all + GROUP_EVENTS_ASSUMED)
        rates = [np.clip(rate, RATE_MIN, _RATE_MAX) for rate in (of_all, of_all * relative)]
        return rates[0][..., None], rates[1][..., None]

    def log_e(self, state: HazardState) -> float:
        logs = np.array([stratum.wealth.log_e for stratum in state.strata])
        return float(log_sum(logs + np.log(self.parts)))

    @property
    def parts(self) -> Array:
        """The strata's parts of the wealth; they add up to 1."""
        weights = np.array(self.weights or (1.0,) * len(self.strata))
        return np.asarray(weights / weights.sum())

    def result(self, state: HazardState, alpha: float) -> SequentialResult:
        return judge_evidence(
            "worse", self.facts(state, alpha), (self.log_e(state), state.log_peak), alpha
        )

    def facts(self, state: HazardState, alpha: float) -> str:
        """Return the numbers of the stratum with the most evidence, and the ratio of the first one."""
        number = max(range(len(self.strata)), key=lambda at: state.strata[at].wealth.log_e)
        stratum = state.strata[number]
        t, c = stratum.treatment, stratum.control
        t1, c1 = state.strata[0].treatment, state.strata[0].control
        margin = f", margin {self.margin:g} ×" if self.margin > 1 else ""
        return (
            f"{self.name} ({self.strata[number]}): {format_estimated_count(t.events)} users in "
            f"{format_estimated_count(t.units)} requests at risk (treatment) against "
            f"{format_estimated_count(c.events)} in {format_estimated_count(c.units)} (control{margin}), "
            f"{_format_ratio(rate_ratio(t1, c1), rate_ratio_interval(t1, c1, alpha))}"
        )


def _merge_groups(counts: Array, number: int) -> Array:
    """Return counts of shape (blocks, strata, 2): the first ``number`` columns are of the first stratum."""
    whole = counts[:, :number].sum(axis=1, keepdims=True)
    return np.concatenate([whole, counts[:, number:]], axis=1)


def _format_ratio(ratio: float, interval: tuple[float, float]) -> str:
    if math.isnan(ratio):
        return "ratio not known yet"
    low, high = interval
    return f"ratio {ratio:.2f} ({low:.2f} to {f'{high:.2f}' if math.isfinite(high) else 'any'})"


def rate_ratio(t: Counts, c: Counts) -> float:
    """Return the treatment's rate over the control's; NaN without events of both."""
    if not (t.units and c.units and c.events):
        return math.nan
    return (t.events / t.units) / (c.events / c.units)


def rate_ratio_interval(t: Counts, c: Counts, alpha: float) -> tuple[float, float]:
    """Return bounds of that ratio, valid at all times together at ``alpha``.

    The treated part of the events is binomial. Its likelihood ratio against a uniform mixture is a
    martingale (Robbins, 1970), and the bounds are the parts at which it stays below 1/α. It takes the
    treatment's part of the requests at risk as constant, as it is within a step.
    """
    return _rate_ratio_interval((t.events, t.units), (c.events, c.units), alpha)


@lru_cache(maxsize=256)
def _rate_ratio_interval(
    treatment: tuple[float, float], control: tuple[float, float], alpha: float
) -> tuple[float, float]:
    (t_events, t_units), (c_events, c_units) = treatment, control
    events = t_events + c_events
    if not (events and t_units and c_units):
        return 0.0, math.inf
    mixture = math.lgamma(t_events + 1) + math.lgamma(c_events + 1) - math.lgamma(events + 2)
    logs = t_events * np.log(_PARTS) + c_events * np.log1p(-_PARTS)
    inside = _PARTS[mixture - logs < -math.log(alpha)]
    if not len(inside):  # the interval is narrower than a step of the grid
        inside = np.array([t_events / events])
    scale = c_units / t_units
    low, high = (float(part / (1 - part)) * scale for part in (inside[0], inside[-1]))
    return (low if inside[0] > _PARTS[0] else 0.0), (high if inside[-1] < _PARTS[-1] else math.inf)


_PARTS = 1 / (1 + np.exp(-np.linspace(-12, 12, 2401)))
"""Parts of the events, a hundredth of their log odds apart."""
