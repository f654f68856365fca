"""Counters of users, as a router keeps them: the first requests of each user, one by one.

A router counts a user in each epoch of its flag, and in each hour, with its first requests only
(``sluice/flags/service/user_record.py``). Here those requests are drawn, with their time, whether they
failed, and the user's place among its cohort; later requests of the user are in no counter of users.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sluice.rehearsal.arrays import Floats, Ints
from sluice.rehearsal.traffic.period_records import (
    ACTIVITY_WINDOW_TICKS,
    COUNTERS,
    HOURLY_REQUESTS_COUNTED_MAX,
    REQUESTS_COUNTED_MAX,
    CounterIncrements,
    PeriodRecords,
    Requests,
    Rows,
    UserCounts,
    counter_labels,
    rank_in_group,
)
from sluice.rehearsal.traffic.population import Population, UserActivity
from sluice.rehearsal.traffic.series_filter import SeriesFilter, series_key
from sluice.rehearsal.traffic.traffic_spec import TrafficSpec

_SECONDS_PER_HOUR = 3600
NEW_USERS_SHARE = 0.15
"""Part of the users of a step that no earlier step has seen: users come and go."""
_REWARD_SPREAD = 0.25
_TAIL_SCORE = 1.8808
"""The normal quantile beyond which the slowest 3 % lie."""


@dataclass(frozen=True)
class QueryConditions:
    """The conditions of one cohort's queries, by tick. ``queries``: of all users together."""

    queries: Floats
    errors_added: Floats
    hit_rate: Floats
    median: Floats
    tail: Floats
    reward: Floats


class UserCounters:
    """One population; every user starts at zero at the tick ``lead``, where the percentage changes.

    The hours begin with the step, not on the hour as a router's.
    """

    def __init__(
        self, crowd: Population, spec: TrafficSpec, lead: int | None, rng: np.random.Generator
    ) -> None:
        self._crowd, self._world, self._lead, self._rng = crowd, spec.traffic, lead, rng
        self._size = len(crowd.error_factors)
        self._failure_rates = spec.traffic.error_rate * crowd.error_factors
        self._is_new = np.ones(self._size, dtype=bool)
        self._counters = [name for name in COUNTERS if _is_recorded(name, spec.series)]
        self._step = PeriodRecords("step", self._size, REQUESTS_COUNTED_MAX)
        self._hour = PeriodRecords("hour", self._size, HOURLY_REQUESTS_COUNTED_MAX)
        seconds = ACTIVITY_WINDOW_TICKS * spec.tick_seconds
        self._windows_per_hour = max(1, round(_SECONDS_PER_HOUR / seconds))
        self._first_window = spec.lead_ticks // ACTIVITY_WINDOW_TICKS

    def set_earlier_percentage(self, percentage: float) -> None:
        """Note the percentage before the change: above 0, most users have been seen."""
        if percentage > 0:
            self._is_new = self._rng.random(self._size) < NEW_USERS_SHARE

    def counter_increments(
        self,
        activity: UserActivity,
        percentages: Floats,
        ticks: Ints,
        conditions: Sequence[QueryConditions],
    ) -> Iterator[CounterIncrements]:
        """Yield every counter's increase at each tick; ``conditions``: control's, treatment's."""
        counts = UserCounts(self._counters, len(percentages))
        for window in range(len(percentages)):
            number = ticks[0] // ACTIVITY_WINDOW_TICKS + window
            if self._lead is not None and number == self._first_window:
                self._step.reset()
            if (number - self._first_window) % self._windows_per_hour == 0:
                self._hour.reset()
            if 0 < percentages[window] < 100:  # noqa: PLR2004  per cent
                counts.enter_window(window)
                present = _WindowConditions(conditions, window)
                self._count_window(activity.slice_windows(window, window + 1), present, counts)
        yield from counts.labeled()

    def _count_window(
        self, activity: UserActivity, present: "_WindowConditions", counts: UserCounts
    ) -> None:
        requests = self._draw_requests(activity, present)
        rows = requests.rows
        if not len(rows.users):
            return
        new_rows = self._step.new_users(rows)
        counts.add("step seen", new_rows.places)
        counts.add("step new", new_rows.places[self._is_new[new_rows.users]])
        self._step.count(requests, counts)
        self._hour.count(requests, counts)

    def _draw_requests(self, activity: UserActivity, present: "_WindowConditions") -> Requests:
        """Draw the requests that any counter counts, and what comes of them."""
        number = self._rng.poisson(present.queries.sum() * activity.volume[0])
        number = np.minimum(number, np.maximum(self._step.remaining, self._hour.remaining))
        users = np.repeat(np.arange(self._size), number)
        at = self._rng.integers(0, ACTIVITY_WINDOW_TICKS, len(users))
        in_order = np.sort(users * ACTIVITY_WINDOW_TICKS + at)
        places = in_order - users * ACTIVITY_WINDOW_TICKS
        places += ACTIVITY_WINDOW_TICKS * activity.treated[0][users]
        failed = self._rng.random(len(users)) < (
            self._failure_rates[users] + present.at("errors_added", places)
        )
        hit = self._rng.random(len(users)) < present.at("hit_rate", places)
        rated = self._rng.random(len(users)) < self._world.feedback_share
        reward = self._rng.standard_normal(len(users)) * _REWARD_SPREAD
        reward = np.clip(present.at("reward", places) + reward, 0, 1)
        log_times = self._draw_log_times(users, places, present)
        rows = Rows(users, places, rank_in_group(users))
        return Requests(rows, failed, ~failed & ~hit, log_times, rated, reward)

    def _draw_log_times(self, users: Ints, places: Ints, present: "_WindowConditions") -> Floats:
        score = self._rng.standard_normal(len(users))
        log_time = np.log(1000 * present.by_place("median"))[places]
        log_time += self._crowd.latency_shifts[users] + self._world.latency_spread * score
        slow = score > _TAIL_SCORE
        log_time[slow] += np.log(present.at("tail", places[slow]))
        return np.asarray(log_time)


class _WindowConditions:
    """The conditions of both cohorts in one window of a chunk."""

    def __init__(self, conditions: Sequence[QueryConditions], window: int) -> None:
        self._conditions = conditions
        self._ticks = slice(window * ACTIVITY_WINDOW_TICKS, (window + 1) * ACTIVITY_WINDOW_TICKS)

    @property
    def queries(self) -> Floats:
        """The queries of all users together, at each tick."""
        return self._conditions[0].queries[self._ticks]

    def by_place(self, name: str) -> Floats:
        """Return a condition at each tick, control's before the treatment's."""
        return np.concatenate(
            [getattr(conditions, name)[self._ticks] for conditions in self._conditions]
        )

    def at(self, name: str, places: Ints) -> Floats:
        """Return a condition of each request."""
        return np.asarray(self.by_place(name)[places])


def _is_recorded(counter: str, series_filter: SeriesFilter | None) -> bool:
    keys = (series_key(name, labels) for _, _, name, labels in counter_labels(counter))
    return series_filter is None or any(series_filter.includes(key) for key in keys)
