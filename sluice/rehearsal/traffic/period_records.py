"""Records of users in one period, and what their first requests add to the counters.

``sluice/flags/service/user_record.py`` does the same for one user of a router.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.rehearsal.arrays import Floats, Ints

ACTIVITY_WINDOW_TICKS = 60
SLOW_EDGES = tuple(round(0.001 * 1.25**i, 6) for i in range(21, 37, 3))
"""The router's own, in seconds."""
FAILURE_STRATA = np.array([1, 2, 4, 8])
REQUESTS_COUNTED_MAX, HOURLY_REQUESTS_COUNTED_MAX = 128, 16
HOURLY_USERS_MAX = 4000
"""Users whose hours are rehearsed, at random: more would take most of a rehearsal's time."""
MEAN_RULES = {"mean_log_time": (3.0, 100.0, 32), "mean_reward": (4.0, 4.0, 15)}
"""Of users' means: the weight of what is known beforehand, the offset, and the values that count."""
MEAN_SUMS = ("weight", "value", "square", "product", "weight_square")
_SLOW_LOGS = np.log(1000 * np.array(SLOW_EDGES))
_STRATUM_BY_FAILURE = np.searchsorted(FAILURE_STRATA, np.arange(REQUESTS_COUNTED_MAX + 2))
"""The stratum to which a user's n-th failure belongs, or after it the number of strata."""
Mask = NDArray[np.bool_]
CounterIncrements = tuple[str, dict[str, str], Floats]
"""A counter's name, its labels, and its increase at each tick."""


@dataclass(frozen=True)
class Rows:
    """Requests in order of user and time; ``rank`` counts within a user.

    ``places``: the tick within the window, behind all ticks of control where the user is treated.
    """

    users: Ints
    places: Ints
    rank: Ints

    def select(self, mask: Mask) -> "Rows":
        """Return the rows under ``mask``, ranked again."""
        users = self.users[mask]
        return Rows(users, self.places[mask], rank_in_group(users))

    def running_sum(self, values: Floats) -> Floats:
        """Return the sum of a user's values up to each of its rows."""
        total = np.cumsum(values)
        starts = np.arange(len(values)) - self.rank
        return np.asarray(total - total[starts] + values[starts])


@dataclass(frozen=True)
class Requests:
    """Requests and what came of them.

    ``log_time``: of the milliseconds, where the cache did not answer. ``reward``: where it is rated.
    """

    rows: Rows
    failed: Mask
    uncached: Mask
    log_time: Floats
    rated: Mask
    reward: Floats

    def select(self, mask: Mask) -> "Requests":
        """Return the requests under ``mask``, ranked again."""
        if mask.all():
            return self
        values = (self.failed, self.uncached, self.log_time, self.rated, self.reward)
        return Requests(self.rows.select(mask), *(column[mask] for column in values))


def rank_in_group(users: Ints) -> Ints:
    """Return the place of each row among those of its user, from 0; users are in order."""
    index = np.arange(len(users))
    is_first = np.ones(len(users), dtype=bool)
    np.not_equal(users[1:], users[:-1], out=is_first[1:])
    return np.asarray(index - np.maximum.accumulate(np.where(is_first, index, 0)))


class PeriodRecords:
    """The records of all users in one period, ``step`` or ``hour``."""

    def __init__(self, since: str, users: int, requests_max: int) -> None:
        self._since, self._size, self._requests_max = since, users, requests_max
        self._counts_user = np.arange(users) < (users if since == "step" else HOURLY_USERS_MAX)
        self.reset()

    def reset(self) -> None:
        """Let every user start at zero."""
        self._requests, self._failures, self._slow = (
            np.zeros(self._size, dtype=np.int64) for _ in range(3)
        )
        self._mean_values = {
            kind: (np.zeros(self._size, dtype=np.int64), np.zeros(self._size))
            for kind in MEAN_RULES
        }
        self._rated = np.zeros(self._size, dtype=bool)

    @property
    def remaining(self) -> Ints:
        """The requests of each user that still count."""
        return np.asarray(np.where(self._counts_user, self._requests_max - self._requests, 0))

    def new_users(self, rows: Rows) -> Rows:
        """Return the first row of each user that is not counted yet."""
        return rows.select((rows.rank == 0) & (self._requests[rows.users] == 0))

    def count(self, requests: Requests, counts: "UserCounts") -> None:
        """Count the first requests of each user."""
        rows = requests.rows
        first = requests.select(rows.rank < self.remaining[rows.users])
        self._requests += np.bincount(first.rows.users, minlength=self._size)
        self._count_failures(first, counts)
        answers = first.rows.select(first.uncached)
        log_times = first.log_time[first.uncached]
        self._count_slow(answers, log_times, counts)
        self._count_means("mean_log_time", answers, log_times, counts)
        rated, rewards = first.rows.select(first.rated), first.reward[first.rated]
        self._count_means("mean_reward", rated, rewards, counts)
        self._count_first_rewards(rated, rewards, counts)

    def _count_failures(self, requests: Requests, counts: "UserCounts") -> None:
        if not counts.includes(self._since, "failed", "failed_at_risk"):
            return
        rows, failed = requests.rows, requests.failed
        so_far = self._failures[rows.users] + rows.running_sum(failed.astype(np.int64))
        strata = _STRATUM_BY_FAILURE[so_far - failed + 1]
        counts.add(f"{self._since} failed_at_risk", rows.places, strata)
        hit = np.flatnonzero(failed)
        hit = hit[strata[hit] < len(FAILURE_STRATA)]
        hit = hit[so_far[hit] == FAILURE_STRATA[strata[hit]]]
        counts.add(f"{self._since} failed", rows.places[hit], strata[hit])
        self._failures += np.bincount(rows.users, failed, self._size).astype(np.int64)

    def _count_slow(self, answers: Rows, log_times: Floats, counts: "UserCounts") -> None:
        """Count by edge: a user is at risk of each edge above the slowest answer before."""
        if not counts.includes(self._since, "slow", "slow_at_risk"):
            return
        exceeded = np.searchsorted(_SLOW_LOGS, log_times)
        base = 2 * len(SLOW_EDGES) * answers.users
        highest = np.maximum(exceeded, self._slow[answers.users])
        highest = np.maximum.accumulate(base + highest) - base
        before = np.where(answers.rank == 0, self._slow[answers.users], np.roll(highest, 1))
        for number in range(len(SLOW_EDGES)):
            counts.add(f"{self._since} slow_at_risk", answers.places[before <= number], number)
            slower = (before <= number) & (exceeded > number)
            counts.add(f"{self._since} slow", answers.places[slower], number)
        np.maximum.at(self._slow, answers.users, exceeded)

    def _count_means(self, kind: str, rows: Rows, values: Floats, counts: "UserCounts") -> None:
        """Add to the sums over users' means; nothing is known of users before the rollout."""
        if not counts.includes(self._since, kind):
            return
        known, offset, values_max = MEAN_RULES[kind]
        numbers, totals = self._mean_values[kind]
        number = numbers[rows.users] + rows.rank + 1
        total = totals[rows.users] + rows.running_sum(values)
        counted = number <= values_max
        sums = []
        for n, s in ((number, total), (number - 1, total - values)):
            weight = known * n / (known + n)
            value = weight * (s / np.maximum(n, 1) + offset)
            sums.append((weight, value, value**2, weight * value, weight**2))
        for place, (now, before) in enumerate(zip(*sums, strict=True)):
            increase = np.where(counted, now - before, 0.0)
            counts.add(f"{self._since} {kind}", rows.places, place, increase)
        numbers += np.bincount(rows.users, minlength=self._size)
        totals += np.bincount(rows.users, values, self._size)

    def _count_first_rewards(self, rated: Rows, rewards: Floats, counts: "UserCounts") -> None:
        if not counts.includes(self._since, "reward"):
            return
        first = (rated.rank == 0) & ~self._rated[rated.users]
        places, values = rated.places[first], rewards[first]
        for moment, amounts in enumerate((None, values, values**2)):
            counts.add(f"{self._since} reward", places, moment, amounts)
        self._rated[rated.users[first]] = True


COHORTS = ("control", "treatment")
_MOMENTS = ("count", "sum", "squares_total")
_EDGES = tuple(f"{edge:g}" for edge in SLOW_EDGES)
_NTH = tuple(str(number) for number in FAILURE_STRATA)
_GROUP_WITHOUT_PAST, _EMPTY_GROUPS = "usual", ("few", "many")
"""Nothing is known of users before a rehearsal: the router's other groups stay at zero."""
_FAMILIES = {
    "seen": ("router_users_total", "", ("",)),
    "new": ("router_users_new_total", "", ("",)),
    "failed": ("router_users_failed_total", "nth", _NTH),
    "failed_at_risk": ("router_users_failed_at_risk_total", "nth", _NTH),
    "slow": ("router_users_slow_total", "edge", _EDGES),
    "slow_at_risk": ("router_users_slow_at_risk_total", "edge", _EDGES),
    "mean_log_time": ("router_users_mean_log_time_total", "sum", MEAN_SUMS),
    "mean_reward": ("router_users_mean_reward_total", "sum", MEAN_SUMS),
    "reward": ("router_users_reward_{stratum}", "", _MOMENTS),
}
"""Of each kind of counters: the name, the label of the stratum, and the strata."""
COUNTERS = tuple(
    f"{since} {kind}"
    for since in ("step", "hour")
    for kind in _FAMILIES
    if since == "step" or kind not in ("seen", "new")
)


def counter_labels(counter: str) -> Iterator[tuple[int, int, str, dict[str, str]]]:
    """Yield cohort and stratum by number, the name and the labels of each series of a counter."""
    since, kind = counter.split()
    name, label, strata = _FAMILIES[kind]
    period = {} if kind in ("seen", "new") else {"since": since}
    past = {"past": _GROUP_WITHOUT_PAST} if label == "nth" else {}
    for treated, cohort in enumerate(COHORTS):
        for number, stratum in enumerate(strata):
            of_stratum = {label: stratum} if label else {}
            labels = {"cohort": cohort, **period, **of_stratum, **past}
            yield treated, number, name.format(stratum=stratum), labels
        for group in _EMPTY_GROUPS if past else ():
            labels = {"cohort": cohort, **period, label: strata[0], "past": group}
            yield treated, len(strata) + 1, name, labels


class UserCounts:
    """Increases of ``counters`` by stratum, cohort and tick, one window after the other."""

    def __init__(self, counters: Collection[str], windows: int) -> None:
        self._windows, self._window = windows, 0
        self._counts = {
            counter: np.zeros((len(_FAMILIES[counter.split()[1]][2]) + 2, windows, _PLACES))
            for counter in counters
        }

    def enter_window(self, window: int) -> None:
        """Count in this window of the chunk from now on."""
        self._window = window

    def includes(self, since: str, *kinds: str) -> bool:
        """Return True when any of these counters is wanted."""
        return any(f"{since} {kind}" in self._counts for kind in kinds)

    def add(
        self, counter: str, places: Ints, strata: Ints | int = 0, values: Floats | None = None
    ) -> None:
        """Add one for each place, or its value.

        The stratum after the last one is nobody's, and the one after that stays empty.
        """
        if counter in self._counts:
            counted = self._counts[counter][:, self._window]
            rows = np.bincount(strata * _PLACES + places, values, counted.size)
            counted += rows.reshape(counted.shape)

    def labeled(self) -> Iterator[CounterIncrements]:
        """Yield the counters under the router's names."""
        for counter, values in self._counts.items():
            by_cohort = values.reshape(len(values), self._windows, len(COHORTS), -1)
            for treated, number, name, labels in counter_labels(counter):
                yield name, labels, by_cohort[number, :, treated].ravel()


_PLACES = len(COHORTS) * ACTIVITY_WINDOW_TICKS
