"""Counters of users, as a router keeps them: the first requests of each user, one by one.

A router counts a user in each epoch of its flag with its first requests only
(``sluice/flags/service/user_record.py``). Here those requests are drawn, with their time, whether they
failed, and the user's place among its cohort; later requests of the user are in no counter of users.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.rehearsal.arrays import Floats, Ints
from sluice.rehearsal.traffic.population import Population, UserActivity
from sluice.rehearsal.traffic.scenario import TrafficModel

SLOW_EDGES = tuple(round(0.001 * 1.25**i, 6) for i in range(21, 37, 3))
"""The router's own, in seconds."""
FAILURE_STRATA = np.array([1, 2, 4, 8])
REQUESTS_COUNTED_MAX = 64
BATCH_ENDS = (1, 2, 4, 8, 16)
WITHIN_TO_BETWEEN = 3.0
ACTIVITY_WINDOW_TICKS = 60
NEW_USERS_SHARE = 0.15
"""Part of the users of a step that no earlier step has seen: users come and go."""
_REWARD_SPREAD = 0.25
_TAIL_SCORE = 1.8808
"""The normal quantile beyond which the slowest 3 % lie."""
CounterIncrements = tuple[str, dict[str, str], Floats]
"""A counter's name, its labels, and its increase at each tick."""


@dataclass(frozen=True)
class QueryConditions:
    """The conditions of one cohort's queries, by tick. ``queries``: of all users together."""

    queries: Floats
    errors_added: Floats
    hit_rate: Floats
    median: Floats
    tail: Floats
    reward: Floats


@dataclass(frozen=True)
class Requests:
    """First requests of users in order of user and time: flat arrays; ``rank`` counts within a user."""

    users: Ints
    ticks: Ints
    treated: Ints
    rank: Ints

    def select(self, mask: NDArray[np.bool_]) -> "Requests":
        """Return the requests under ``mask``, ranked again."""
        users = self.users[mask]
        return Requests(users, self.ticks[mask], self.treated[mask], _rank_in_group(users))


def _rank_in_group(users: Ints) -> Ints:
    """Return the place of each row among those of its user, from 0; users are in order."""
    starts = np.flatnonzero(np.diff(users, prepend=-1))
    return np.arange(len(users)) - np.repeat(starts, np.diff(np.append(starts, len(users))))


def _running_sum(requests: Requests, values: Floats) -> Floats:
    """Return the sum of a user's values up to each of its rows."""
    total = np.cumsum(values)
    starts = np.arange(len(values)) - requests.rank
    return np.asarray(total - total[starts] + values[starts])


class UserCounters:
    """One population; every user starts at zero at the tick ``lead``, where the percentage changes."""

    def __init__(
        self, crowd: Population, world: TrafficModel, lead: int | None, rng: np.random.Generator
    ) -> None:
        self._crowd, self._world, self._lead, self._rng = crowd, world, lead, rng
        self._size = len(crowd.error_factors)
        self._is_new = np.ones(self._size, dtype=bool)
        self._reset()

    def _reset(self) -> None:
        self._requests, self._failures, self._answers, self._slow = (
            np.zeros(self._size, dtype=np.int64) for _ in range(4)
        )
        self._log_sum, self._batch_start = np.zeros(self._size), np.zeros(self._size)
        self._rated = np.zeros(self._size, dtype=bool)

    def set_earlier_percentage(self, percentage: float) -> None:
        """Note the percentage before the change: above 0, most users have been seen."""
        if percentage > 0:
            self._is_new = self._rng.random(self._size) < NEW_USERS_SHARE

    def counter_increments(
        self,
        asked: UserActivity,
        percentages: Floats,
        ticks: Ints,
        conditions: Sequence[QueryConditions],
    ) -> Iterator[CounterIncrements]:
        """Yield every counter's increase at each tick; ``conditions``: control's, treatment's."""
        counts = _Counts(len(ticks))
        for begin, end in self._epochs(ticks, len(percentages)):
            if not 0 < percentages[begin] < 100:  # noqa: PLR2004  per cent
                continue
            for window in range(begin, end):
                self._count_window(asked, window, conditions, counts)
        yield from counts.labeled()

    def _epochs(self, ticks: Ints, windows: int) -> Iterator[tuple[int, int]]:
        """Return the windows before and after the percentage changes."""
        if self._lead is None:
            yield 0, windows
            return
        change = int(np.clip((self._lead - ticks[0]) // ACTIVITY_WINDOW_TICKS, 0, windows))
        if change > 0:
            yield 0, change
        if change < windows:
            if ticks[0] <= self._lead:
                self._reset()
            yield change, windows

    def _count_window(
        self,
        asked: UserActivity,
        window: int,
        conditions: Sequence[QueryConditions],
        counts: "_Counts",
    ) -> None:
        requests = self._draw_requests(asked, window, conditions[0])
        if not len(requests.users):
            return
        first = requests.rank == 0
        seen = requests.select(first & (self._requests[requests.users] == 0))
        counts.add("seen", seen)
        counts.add("new", seen.select(self._is_new[seen.users]))
        self._requests += np.bincount(requests.users, minlength=self._size)
        failed = self._count_failures(requests, conditions, counts)
        hit_rate = _at(conditions, "hit_rate", requests)
        uncached = ~failed & (self._rng.random(len(failed)) >= hit_rate)
        self._count_answers(requests.select(uncached), conditions, counts)
        self._count_rewards(requests, conditions, counts)

    def _draw_requests(
        self, asked: UserActivity, window: int, conditions: QueryConditions
    ) -> Requests:
        ticks = slice(window * ACTIVITY_WINDOW_TICKS, (window + 1) * ACTIVITY_WINDOW_TICKS)
        number = self._rng.poisson(conditions.queries[ticks].sum() * asked.volume[window])
        number = np.minimum(number, REQUESTS_COUNTED_MAX - self._requests)
        users = np.repeat(np.arange(self._size), number)
        at = self._rng.integers(ticks.start, ticks.stop, len(users))
        at = at[np.lexsort((at, users))]
        treated = asked.treated[window, users].astype(np.int64)
        return Requests(users, at, treated, _rank_in_group(users))

    def _count_failures(
        self, requests: Requests, conditions: Sequence[QueryConditions], counts: "_Counts"
    ) -> NDArray[np.bool_]:
        usual = self._world.error_rate * self._crowd.error_factors[requests.users]
        chance = usual + _at(conditions, "errors_added", requests)
        failed = self._rng.random(len(chance)) < chance
        so_far = self._failures[requests.users] + _running_sum(requests, failed * 1.0)
        before = so_far - failed
        stratum = np.searchsorted(FAILURE_STRATA, before + 1)
        for number, nth in enumerate(FAILURE_STRATA):
            at_risk = stratum == number
            counts.add(f"failed_at_risk {nth}", requests.select(at_risk))
            counts.add(f"failed {nth}", requests.select(at_risk & failed & (so_far == nth)))
        self._failures += np.bincount(requests.users, failed, self._size).astype(np.int64)
        return failed

    def _count_answers(
        self, answers: Requests, conditions: Sequence[QueryConditions], counts: "_Counts"
    ) -> None:
        if not len(answers.users):
            return
        score = self._rng.standard_normal(len(answers.users))
        log_time = np.log(_at(conditions, "median", answers))
        log_time += self._crowd.latency_shifts[answers.users] + self._world.latency_spread * score
        log_time += np.where(score > _TAIL_SCORE, np.log(_at(conditions, "tail", answers)), 0)
        self._count_slow(answers, np.exp(log_time), counts)
        self._count_log_times(answers, log_time + np.log(1000), counts)

    def _count_slow(self, answers: Requests, seconds: Floats, counts: "_Counts") -> None:
        exceeded = np.searchsorted(SLOW_EDGES, seconds)
        base = 2 * len(SLOW_EDGES) * answers.users
        highest = np.maximum(exceeded, self._slow[answers.users])
        highest = np.maximum.accumulate(base + highest) - base
        before = np.where(answers.rank == 0, self._slow[answers.users], np.roll(highest, 1))
        for number, edge in enumerate(SLOW_EDGES):
            at_risk = before <= number
            counts.add(f"slow_at_risk {edge:g}", answers.select(at_risk))
            counts.add(f"slow {edge:g}", answers.select(at_risk & (exceeded > number)))
        np.maximum.at(self._slow, answers.users, exceeded)

    def _count_log_times(self, answers: Requests, logs: Floats, counts: "_Counts") -> None:
        number = self._answers[answers.users] + answers.rank + 1
        sums = self._log_sum[answers.users] + _running_sum(answers, logs)
        for end in BATCH_ENDS:
            rows = number == end
            done = answers.select(rows)
            past, start = end // 2, self._batch_start[done.users]
            weight = past / (past + WITHIN_TO_BETWEEN)
            mean = (sums[rows] - start) / (end - past)
            value = (mean - weight * start / max(past, 1)) / (1 - weight)
            counts.add_moments("log_time", done, value)
            self._batch_start[done.users] = sums[rows]
        self._answers += np.bincount(answers.users, minlength=self._size)
        self._log_sum += np.bincount(answers.users, logs, self._size)

    def _count_rewards(
        self, requests: Requests, conditions: Sequence[QueryConditions], counts: "_Counts"
    ) -> None:
        """Count users' first rewards."""
        gives = self._rng.random(len(requests.users)) < self._world.feedback_share
        rated = requests.select(gives & ~self._rated[requests.users])
        first = rated.select(rated.rank == 0)
        mean = _at(conditions, "reward", first)
        value = np.clip(self._rng.normal(mean, _REWARD_SPREAD), 0, 1)
        counts.add_moments("reward", first, value)
        self._rated[first.users] = True


def _at(conditions: Sequence[QueryConditions], name: str, requests: Requests) -> Floats:
    """Return a condition of each request, by its cohort and tick."""
    return np.stack([getattr(condition, name) for condition in conditions])[
        requests.treated, requests.ticks
    ]


class _Counts:
    """Increases by counter, cohort and tick."""

    def __init__(self, ticks: int) -> None:
        self._shape = (2, ticks)
        names = [f"{kind} {nth}" for kind in ("failed", "failed_at_risk") for nth in FAILURE_STRATA]
        names += [f"{kind} {edge:g}" for kind in ("slow", "slow_at_risk") for edge in SLOW_EDGES]
        moments = [
            f"{kind} {moment}"
            for kind in ("log_time", "reward")
            for moment in ("count", "sum", "squares_total")
        ]
        self._counts = {name: np.zeros(self._shape) for name in ("seen", "new", *names, *moments)}

    def add(self, name: str, requests: Requests, values: Floats | None = None) -> None:
        """Add one for each request, or its value."""
        place = requests.treated * self._shape[1] + requests.ticks
        more = np.bincount(place, values, self._shape[0] * self._shape[1])
        self._counts[name] += more.reshape(self._shape)

    def add_moments(self, name: str, requests: Requests, values: Floats) -> None:
        """Add the values' count, sum and sum of squares."""
        for moment, amounts in (("count", None), ("sum", values), ("squares_total", values**2)):
            self.add(f"{name} {moment}", requests, amounts)

    def labeled(self) -> Iterator[CounterIncrements]:
        """Yield the counters under the router's names."""
        for treated, cohort in enumerate(("control", "treatment")):
            for name, values in self._counts.items():
                kind, _, stratum = name.partition(" ")
                yield (
                    _SERIES[kind].format(stratum=stratum),
                    _labels(kind, cohort, stratum),
                    values[treated],
                )


_SERIES = {
    "seen": "router_users_total",
    "new": "router_users_new_total",
    "failed": "router_users_failed_total",
    "failed_at_risk": "router_users_failed_at_risk_total",
    "slow": "router_users_slow_total",
    "slow_at_risk": "router_users_slow_at_risk_total",
    "log_time": "router_users_log_time_{stratum}",
    "reward": "router_users_reward_{stratum}",
}


def _labels(kind: str, cohort: str, stratum: str) -> dict[str, str]:
    label = {"failed": "nth", "failed_at_risk": "nth", "slow": "edge", "slow_at_risk": "edge"}
    return {"cohort": cohort, **({label[kind]: stratum} if kind in label else {})}
