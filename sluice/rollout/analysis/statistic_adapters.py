"""The test of each statistic, the block it takes, and where its state counts samples."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.sequential_state import Block
from sluice.rollout.analysis.statistic import (
    AnyStatistic,
    BoundedMean,
    EventRate,
    LatencyTail,
    MeanValue,
    SampleRatio,
    UserHazards,
    UserMeans,
)
from sluice.rollout.analysis.stats.bounded_means import BoundedMeanBlock, BoundedMeanTest
from sluice.rollout.analysis.stats.counts import CountBlock, Counts, CountTest
from sluice.rollout.analysis.stats.latency_tail import (
    LatencyTailBlock,
    LatencyTailCounts,
    LatencyTailTest,
)
from sluice.rollout.analysis.stats.means import MeanBlock, MeanTest, Moments
from sluice.rollout.analysis.stats.sample_ratio import SampleRatioBlock, SampleRatioTest
from sluice.rollout.analysis.stats.user_hazards import (
    HazardBlock,
    HazardCounts,
    UserHazardTest,
    rate_ratio,
    rate_ratio_interval,
)
from sluice.rollout.analysis.stats.user_means import UserMeansBlock, UserMeansTest, UserSums
from sluice.rollout.analysis.verdict import Effect

PLAN_ONLY_FIELDS = {
    *("test", "units", "total", "squares", "sums", "per_user"),
    *("counted_since", "restarts_every"),
}
"""Fields of a statistic that are not the test's."""
RESTART_MAX = 0.2
Increases = dict[str, float]


@dataclass(frozen=True)
class StatisticAdapter:
    """One statistic's test, the block it takes, and where its state has samples and the peak."""

    test: Any
    block: Callable[[Block], Any]
    samples: Callable[[Any], float]
    log_peak: Callable[[Any], float] = lambda state: state.log_peak
    effect: Callable[[Any, float], Effect | None] = lambda _state, _alpha: None


def adapter_for(statistic: AnyStatistic, gate: Gate) -> StatisticAdapter:
    """Return the test of ``sluice.rollout.analysis.stats`` that a plan's statistic asks for, at the gate's window."""
    return _build_adapter(statistic, gate.metric.replace("_", " "), gate.window)


@lru_cache(maxsize=256)
def _build_adapter(statistic: AnyStatistic, name: str, window: timedelta) -> StatisticAdapter:
    builders: dict[type, Callable[..., StatisticAdapter]] = {
        EventRate: _rate_adapter,
        LatencyTail: _tail_adapter,
        MeanValue: _mean_adapter,
        BoundedMean: _bounded_mean_adapter,
        UserMeans: _user_means_adapter,
        UserHazards: _hazard_adapter,
        SampleRatio: _sample_ratio_adapter,
    }
    tool = builders[type(statistic)](statistic, name)
    return replace(tool, test=_scale_to_window(tool.test, window / timedelta(hours=1)))


def _scale_to_window(test: Any, hours: float) -> Any:  # noqa: ANN401  each statistic has its own
    """Scale per-block rates to hours: five-minute blocks must not forget twelve times as fast."""
    paced = {}
    if hasattr(test, "bets"):
        restart = min(test.bets.restart * hours, RESTART_MAX)
        paced["bets"] = test.bets.model_copy(update={"restart": restart})
    if hasattr(test, "memory"):
        paced["memory"] = test.memory**hours
    return test.model_copy(update=paced)


def _rate_adapter(statistic: EventRate, name: str) -> StatisticAdapter:
    def counts(grown: Increases) -> Counts:
        return Counts(events=grown["events"], units=grown["units"])

    return StatisticAdapter(
        test=CountTest(name=name, margin=statistic.margin),
        block=lambda b: CountBlock(treatment=counts(b.treatment), control=counts(b.control)),
        samples=lambda state: state.treatment.units,
        log_peak=lambda state: state.wealth.log_peak,
        effect=lambda state, alpha: _ratio_effect(state, alpha, statistic.margin),
    )


def _ratio_effect(state: Any, alpha: float, margin: float) -> Effect:  # noqa: ANN401  any state with counts of both cohorts
    counts = state.treatment, state.control
    return Effect.ratio(rate_ratio(*counts), rate_ratio_interval(*counts, alpha), margin)


def _worst_edge(state: Any) -> Any:  # noqa: ANN401  the state of one edge
    return max(state.edges, key=lambda edge: edge.wealth.log_e)


def _tail_adapter(statistic: LatencyTail, name: str) -> StatisticAdapter:
    def counts(grown: Increases) -> LatencyTailCounts:
        slower = tuple(grown["all"] - grown[f"{edge:g}"] for edge in statistic.edges)
        return LatencyTailCounts(slower=slower, requests=grown["all"])

    return StatisticAdapter(
        test=LatencyTailTest(name=name, edges=statistic.edges, margin=statistic.margin),
        block=lambda b: LatencyTailBlock(treatment=counts(b.treatment), control=counts(b.control)),
        samples=lambda state: state.edges[0].treatment.units,
        effect=lambda state, alpha: _ratio_effect(_worst_edge(state), alpha, statistic.margin),
    )


def _mean_adapter(statistic: MeanValue, name: str) -> StatisticAdapter:
    def moments(grown: Increases) -> Moments:
        return Moments(units=grown["units"], total=grown["total"], squares=grown["squares"])

    test = MeanTest(name=name, **statistic.model_dump(exclude=PLAN_ONLY_FIELDS))
    return StatisticAdapter(
        test=test,
        effect=lambda state, alpha: Effect.difference(
            state.difference / state.weight if state.weight else math.nan,
            test.interval(state, alpha),
            _harmful_difference(statistic),
        ),
        block=lambda b: MeanBlock(treatment=moments(b.treatment), control=moments(b.control)),
        samples=lambda state: state.treatment.units,
        log_peak=lambda state: state.log_peak_harm,
    )


def _harmful_difference(statistic: MeanValue | BoundedMean | UserMeans) -> float:
    """Return the difference beyond which the treatment's mean is worse by more than the margin."""
    return -statistic.margin if statistic.higher_is_better else statistic.margin


def _bounded_mean_adapter(statistic: BoundedMean, name: str) -> StatisticAdapter:
    def moments(increases: Increases) -> Moments:
        return Moments(**{key: increases[key] for key in ("units", "total", "squares")})

    test = BoundedMeanTest(name=name, **statistic.model_dump(exclude=PLAN_ONLY_FIELDS))
    return StatisticAdapter(
        test=test,
        effect=lambda state, alpha: Effect.difference(
            state.treatment.mean - state.control.mean,
            test.interval(state, alpha),
            _harmful_difference(statistic),
        ),
        block=lambda b: BoundedMeanBlock(
            treatment=moments(b.treatment), control=moments(b.control), share=b.share
        ),
        samples=lambda state: state.treatment.units,
        log_peak=lambda state: state.log_peak_harm,
    )


def _user_means_adapter(statistic: UserMeans, name: str) -> StatisticAdapter:
    test = UserMeansTest(name=name, **statistic.model_dump(exclude=PLAN_ONLY_FIELDS))
    return StatisticAdapter(
        test=test,
        effect=lambda state, alpha: Effect.difference(
            test.difference(state), test.interval(state, alpha), _harmful_difference(statistic)
        ),
        block=lambda b: UserMeansBlock(
            treatment=UserSums(**b.treatment), control=UserSums(**b.control)
        ),
        samples=lambda state: state.treatment.users,
        log_peak=lambda state: state.log_peak_harm,
    )


def _hazard_adapter(statistic: UserHazards, name: str) -> StatisticAdapter:
    columns = statistic.columns()

    def counts(increases: Increases) -> HazardCounts:
        users, at_risk = (
            tuple(increases[statistic.counter_name(counter, column)] for column in columns)
            for counter in ("users", "at_risk")
        )
        return HazardCounts(users=users, at_risk=at_risk)

    return StatisticAdapter(
        test=UserHazardTest(
            name=name,
            strata=statistic.strata,
            weights=statistic.weights,
            groups=tuple(group.rate for group in statistic.groups),
            margin=statistic.margin,
        ),
        effect=lambda state, alpha: _ratio_effect(state.strata[0], alpha, statistic.margin),
        block=lambda b: HazardBlock(treatment=counts(b.treatment), control=counts(b.control)),
        samples=lambda state: state.strata[0].treatment.units,
    )


def _sample_ratio_adapter(_statistic: SampleRatio, name: str) -> StatisticAdapter:
    return StatisticAdapter(
        test=SampleRatioTest(name=name),
        block=lambda b: SampleRatioBlock(
            treatment=b.treatment["users"], control=b.control["users"], share=b.share
        ),
        samples=lambda state: state.treatment + state.control,
    )
