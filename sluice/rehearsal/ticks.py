"""The times of a rehearsal: its begin, its ticks, and its lookahead."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sluice.rollout.analysis.cohorts import COHORTS
from sluice.rollout.analysis.promql import sample_age_query
from sluice.rollout.plan.schema import RolloutPlan

START_HOUR = 8.0
"""The begin of rehearsed rollouts, a Monday at eight."""
_TICK_CHOICES = (60.0, 30.0, 15.0, 10.0, 5.0, 2.0, 1.0)
_LOOKAHEAD_TICKS, _HANDOVER_TICKS = 1440, 360


def tick_seconds(plan: RolloutPlan) -> float:
    """Return the scrape interval: a minute, or less for plans with short windows or strict freshness.

    A dry run decides nothing, so its window does not count.
    """
    windows = [gate.window for _, gate in plan.rules() if not gate.dry_run]
    shortest = min([*windows, *(step.interval for step in plan.steps)]).total_seconds()
    longest = min(shortest / 4, plan.stale_after.total_seconds())
    return next((tick for tick in _TICK_CHOICES if tick <= longest), _TICK_CHOICES[-1])


def lookahead_span(plan: RolloutPlan) -> timedelta:
    """Return the span of one lookahead: a day, or less with shorter ticks."""
    return timedelta(seconds=_LOOKAHEAD_TICKS * tick_seconds(plan))


def handover_span(plan: RolloutPlan) -> timedelta:
    """Return the time after which the watch hands its evidence over: six hours, in production one."""
    return timedelta(seconds=_HANDOVER_TICKS * tick_seconds(plan))


def locate_tick(entry_times: Sequence[datetime], at: datetime, tick: float) -> tuple[int, int]:
    """Return the entry (in order of time) that covers ``at``, and the ticks since it."""
    number = max(bisect_right(entry_times, at) - 1, 0)
    return number, math.floor((at - entry_times[number]).total_seconds() / tick + 1e-6)


def sample_age_queries(plan: RolloutPlan) -> Iterator[str]:
    """Return every sample-age query that the plan's gates can cause."""
    for gate in (*plan.baselines, *(gate for _, gate in plan.rules())):
        for cohort in COHORTS:
            query = sample_age_query(plan.metrics[gate.metric].value_query(gate, cohort))
            if query is not None:
                yield query
