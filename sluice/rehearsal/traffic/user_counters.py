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
    HOURLY_REQUESTS_COUNTED_MAX,
    REQUESTS_COUNTED_MAX,
    CounterIncrements,
    PeriodRecords,
    Requests,
    UserCounts,
    rank_in_group,
)
from sluice.rehearsal.traffic.population import Population, UserActivity
from sluice.rehearsal.traffic.traffic_spec import TrafficSpec

_SECONDS_PER_HOUR = 3600
ACTIVITY_WINDOW_TICKS = 60
NEW_USERS_SHARE = 0.15
"""Part of the users of a step that no earlier step has seen: users come and go."""
_REWARD_SPREAD = 0.25
_TAIL_SCORE = 1.8808
"""The normal quantile beyond which the slowest 3 % lie."""
Place = tuple[Ints, Ints, Ints]
"""The user, the tick and the cohort (1: treatment) of each request."""


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
        self._is_new = np.ones(self._size, dtype=bool)
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
        counts = UserCounts(len(ticks))
        for window in range(len(percentages)):
            number = ticks[0] // ACTIVITY_WINDOW_TICKS + window
            if self._lead is not None and number == self._first_window:
                self._step.reset()
            if (number - self._first_window) % self._windows_per_hour == 0:
                self._hour.reset()
            if 0 < percentages[window] < 100:  # noqa: PLR2004  per cent
                self._count_window(activity, window, conditions, counts)
        yield from counts.labeled()

    def _count_window(
        self,
        activity: UserActivity,
        window: int,
        conditions: Sequence[QueryConditions],
        counts: UserCounts,
    ) -> None:
        requests = self._draw_requests(activity, window, conditions)
        if not len(requests.users):
            return
        new_users = self._step.count(requests, counts)
        counts.add("step seen", new_users)
        counts.add("step new", new_users, self._is_new[new_users.users])
        self._hour.count(requests, counts)

    def _draw_requests(
        self, activity: UserActivity, window: int, conditions: Sequence[QueryConditions]
    ) -> Requests:
        """Draw the requests that any counter counts, and what comes of them."""
        ticks = slice(window * ACTIVITY_WINDOW_TICKS, (window + 1) * ACTIVITY_WINDOW_TICKS)
        number = self._rng.poisson(conditions[0].queries[ticks].sum() * activity.volume[window])
        number = np.minimum(number, np.maximum(self._step.remaining, self._hour.remaining))
        users = np.repeat(np.arange(self._size), number)
        at = self._rng.integers(ticks.start, ticks.stop, len(users))
        at = at[np.lexsort((at, users))]
        treated = activity.treated[window, users].astype(np.int64)
        place = (users, at, treated)
        failed = self._rng.random(len(users)) < self._failure_chance(place, conditions)
        hit = self._rng.random(len(users)) < _at(conditions, "hit_rate", place)
        rated = self._rng.random(len(users)) < self._world.feedback_share
        reward = np.clip(self._rng.normal(_at(conditions, "reward", place), _REWARD_SPREAD), 0, 1)
        return Requests(
            *(*place, rank_in_group(users), failed, ~failed & ~hit),
            *(self._draw_log_times(place, conditions), rated, reward),
        )

    def _failure_chance(self, place: Place, conditions: Sequence[QueryConditions]) -> Floats:
        base_rate = self._world.error_rate * self._crowd.error_factors[place[0]]
        return np.asarray(base_rate + _at(conditions, "errors_added", place))

    def _draw_log_times(self, place: Place, conditions: Sequence[QueryConditions]) -> Floats:
        score = self._rng.standard_normal(len(place[0]))
        log_time = np.log(1000 * _at(conditions, "median", place))
        log_time += self._crowd.latency_shifts[place[0]] + self._world.latency_spread * score
        log_time += np.where(score > _TAIL_SCORE, np.log(_at(conditions, "tail", place)), 0)
        return np.asarray(log_time)


def _at(conditions: Sequence[QueryConditions], name: str, place: Place) -> Floats:
    """Return a condition of each request, by its cohort and tick."""
    _, ticks, treated = place
    return np.stack([getattr(condition, name) for condition in conditions])[treated, ticks]
