"""Records of users in one period, and what their first requests add to the counters.

``sluice/flags/service/user_record.py`` does the same for one user of a router.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sluice.rehearsal.arrays import Floats, Ints

SLOW_EDGES = tuple(round(0.001 * 1.25**i, 6) for i in range(21, 37, 3))
"""The router's own, in seconds."""
FAILURE_STRATA = np.array([1, 2, 4, 8])
REQUESTS_COUNTED_MAX, HOURLY_REQUESTS_COUNTED_MAX = 64, 16
HOURLY_USERS_MAX = 4000
"""Users whose hours are rehearsed, at random: more would take most of a rehearsal's time."""
MEAN_RULES = {"mean_log_time": (3.0, 100.0, 32), "mean_reward": (4.0, 4.0, 8)}
"""Of users' means: the weight of what is known beforehand, the offset, and the values that count."""
_SLOW_LOGS = np.log(1000 * np.array(SLOW_EDGES))
Mask = NDArray[np.bool_]
CounterIncrements = tuple[str, dict[str, str], Floats]
"""A counter's name, its labels, and its increase at each tick."""


@dataclass(frozen=True)
class Requests:
    """Requests in order of user and time, and what came of them; ``rank`` counts within a user.

    ``log_time``: of the milliseconds, where the cache did not answer. ``reward``: where it is rated.
    """

    users: Ints
    ticks: Ints
    treated: Ints
    rank: Ints
    failed: Mask
    uncached: Mask
    log_time: Floats
    rated: Mask
    reward: Floats

    def select(self, mask: Mask) -> "Requests":
        """Return the requests under ``mask``, ranked again."""
        columns = {field.name: getattr(self, field.name)[mask] for field in fields(self)}
        return Requests(**{**columns, "rank": rank_in_group(columns["users"])})


def rank_in_group(users: Ints) -> Ints:
    """Return the place of each row among those of its user, from 0; users are in order."""
    starts = np.flatnonzero(np.diff(users, prepend=-1))
    return np.arange(len(users)) - np.repeat(starts, np.diff(np.append(starts, len(users))))


def _running_sum(requests: Requests, values: Floats) -> Floats:
    """Return the sum of a user's values up to each of its rows."""
    total = np.cumsum(values)
    starts = np.arange(len(values)) - requests.rank
    return np.asarray(total - total[starts] + values[starts])


class PeriodRecords:
    """The records of all users in one period, ``step`` or ``hour``."""

    def __init__(self, since: str, users: int, requests_max: int) -> None:
        self._since, self._size, self._requests_max = since, users, requests_max
        self._counts_user = np.arange(users) < (users if since == "step" else HOURLY_USERS_MAX)
        self.reset()

    def reset(self) -> None:
        """Let every user start at zero."""
        self._requests, self._failures, self._answers, self._slow = (
            np.zeros(self._size, dtype=np.int64) for _ in range(4)
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

    def count(self, requests: Requests, counts: "UserCounts") -> Requests:
        """Count the first requests, and return the users that are seen for the first time."""
        first_requests = requests.select(requests.rank < self.remaining[requests.users])
        new_users = first_requests.select(
            (first_requests.rank == 0) & (self._requests[first_requests.users] == 0)
        )
        self._requests += np.bincount(first_requests.users, minlength=self._size)
        self._count_failures(first_requests, counts)
        answers = first_requests.select(first_requests.uncached)
        self._count_slow(answers, counts)
        self._count_means("mean_log_time", answers, answers.log_time, counts)
        rated = first_requests.select(first_requests.rated)
        self._count_means("mean_reward", rated, rated.reward, counts)
        self._count_first_rewards(rated, counts)
        return new_users

    def _count_failures(self, requests: Requests, counts: "UserCounts") -> None:
        failed = requests.failed
        so_far = self._failures[requests.users] + _running_sum(requests, failed * 1.0)
        stratum = np.searchsorted(FAILURE_STRATA, so_far - failed + 1)
        for number, nth in enumerate(FAILURE_STRATA):
            at_risk = stratum == number
            counts.add(f"{self._since} failed_at_risk {nth}", requests, at_risk)
            counts.add(f"{self._since} failed {nth}", requests, at_risk & failed & (so_far == nth))
        self._failures += np.bincount(requests.users, failed, self._size).astype(np.int64)

    def _count_slow(self, answers: Requests, counts: "UserCounts") -> None:
        exceeded = np.searchsorted(_SLOW_LOGS, answers.log_time)
        base = 2 * len(SLOW_EDGES) * answers.users
        highest = np.maximum(exceeded, self._slow[answers.users])
        highest = np.maximum.accumulate(base + highest) - base
        before = np.where(answers.rank == 0, self._slow[answers.users], np.roll(highest, 1))
        for number, edge in enumerate(SLOW_EDGES):
            at_risk = before <= number
            counts.add(f"{self._since} slow_at_risk {edge:g}", answers, at_risk)
            counts.add(f"{self._since} slow {edge:g}", answers, at_risk & (exceeded > number))
        np.maximum.at(self._slow, answers.users, exceeded)

    def _count_means(self, kind: str, rows: Requests, values: Floats, counts: "UserCounts") -> None:
        """Add to the sums over users' means; nothing is known of users before the rollout."""
        known, offset, values_max = MEAN_RULES[kind]
        numbers, totals = self._mean_values[kind]
        number = numbers[rows.users] + rows.rank + 1
        total = totals[rows.users] + _running_sum(rows, values)
        counted = number <= values_max
        sums = []
        for n, s in ((number, total), (number - 1, total - values)):
            weight = known * n / (known + n)
            value = weight * (s / np.maximum(n, 1) + offset)
            sums.append((weight, value, value**2, weight * value, weight**2))
        for name, now, before in zip(MEAN_SUMS, *sums, strict=True):
            counts.add(f"{self._since} {kind} {name}", rows, np.where(counted, now - before, 0.0))
        numbers += np.bincount(rows.users, minlength=self._size)
        totals += np.bincount(rows.users, values, self._size)

    def _count_first_rewards(self, rated: Requests, counts: "UserCounts") -> None:
        first = rated.select((rated.rank == 0) & ~self._rated[rated.users])
        counts.add_moments(f"{self._since} reward", first, first.reward)
        self._rated[first.users] = True


class UserCounts:
    """Increases by counter, cohort and tick."""

    def __init__(self, ticks: int) -> None:
        self._shape = (2, ticks)
        names = [f"{kind} {nth}" for kind in ("failed", "failed_at_risk") for nth in FAILURE_STRATA]
        names += [f"{kind} {edge:g}" for kind in ("slow", "slow_at_risk") for edge in SLOW_EDGES]
        names += [f"reward {moment}" for moment in _MOMENTS]
        names += [f"{kind} {name}" for kind in MEAN_RULES for name in MEAN_SUMS]
        by_period = [f"{since} {name}" for since in ("step", "hour") for name in names]
        keys = ("step seen", "step new", *by_period)
        self._counts = {key: np.zeros(self._shape) for key in keys}

    def add(self, name: str, requests: Requests, values: Floats | Mask | None = None) -> None:
        """Add one for each request, or its value."""
        place = requests.treated * self._shape[1] + requests.ticks
        increments = np.bincount(place, values, self._shape[0] * self._shape[1])
        self._counts[name] += increments.reshape(self._shape)

    def add_moments(self, name: str, requests: Requests, values: Floats) -> None:
        """Add the values' count, sum and sum of squares."""
        for moment, amounts in zip(_MOMENTS, (None, values, values**2), strict=True):
            self.add(f"{name} {moment}", requests, amounts)

    def labeled(self) -> Iterator[CounterIncrements]:
        """Yield the counters under the router's names."""
        for treated, cohort in enumerate(("control", "treatment")):
            for key, values in self._counts.items():
                since, kind, stratum = (*key.split(), "")[:3]
                name = _SERIES[kind].format(stratum=stratum)
                yield name, _labels(kind, (cohort, since), stratum), values[treated]


_MOMENTS = ("count", "sum", "squares_total")
MEAN_SUMS = ("weight", "value", "square", "product", "weight_square")
_SERIES = {
    "seen": "router_users_total",
    "new": "router_users_new_total",
    "failed": "router_users_failed_total",
    "failed_at_risk": "router_users_failed_at_risk_total",
    "slow": "router_users_slow_total",
    "slow_at_risk": "router_users_slow_at_risk_total",
    "mean_log_time": "router_users_mean_log_time_total",
    "mean_reward": "router_users_mean_reward_total",
    "reward": "router_users_reward_{stratum}",
}


def _labels(kind: str, place: tuple[str, str], stratum: str) -> dict[str, str]:
    if kind in ("seen", "new"):
        return {"cohort": place[0]}
    label = {
        "failed": "nth",
        "failed_at_risk": "nth",
        "slow": "edge",
        "slow_at_risk": "edge",
        **dict.fromkeys(MEAN_RULES, "sum"),
    }
    stratum_label = {label[kind]: stratum} if kind in label else {}
    return {"cohort": place[0], "since": place[1], **stratum_label}
