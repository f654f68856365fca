"""Users' first events: first seen, rated, failed, or slower than an edge.

A router counts every user once in each epoch of its flag (``sluice/flags/service/unique_users.py``). Here each user has
one exponential time per event, in units of expected events. The first event happens once that many
are expected of the user. So heavy users come first, as in production.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sluice.rehearsal.arrays import Floats, Ints
from sluice.rehearsal.traffic.latency_histogram import LatencyDistribution
from sluice.rehearsal.traffic.population import Population, UserActivity
from sluice.rehearsal.traffic.scenario import TrafficModel

SLOW_EDGES = tuple(round(0.001 * 1.25**i, 6) for i in range(21, 37, 3))
"""The router's latency edges, in seconds."""
SEEN, RATED, FAILED, SLOW = range(4)
"""Kinds of events; from ``SLOW`` on, one per latency edge."""
CLASS_COUNT = 7
ACTIVITY_WINDOW_TICKS = 60
_REWARD_SPREAD = 0.25
CounterIncrements = tuple[str, dict[str, str], Floats]
"""A counter's name, its labels, and its increase at each tick."""


@dataclass(frozen=True)
class QueryConditions:
    """The conditions of one cohort by tick; ``queries`` are those of all users together."""

    queries: Floats
    errors_added: Floats
    median: Floats
    tail: Floats
    reward: Floats


@dataclass(frozen=True)
class FirstOccurrences:
    """First occurrences: users by number, their ticks, and their treatment."""

    users: Ints
    ticks: Ints
    treated: Ints


class TraitClasses:
    """Users in a few classes by a trait; each class has its members' mean."""

    def __init__(self, trait: Floats) -> None:
        rank = np.argsort(np.argsort(trait))
        self.class_of_user = rank * CLASS_COUNT // len(trait)
        self.means = np.array(
            [trait[self.class_of_user == number].mean() for number in range(CLASS_COUNT)]
        )


class FirstEvents:
    """First events of one population; counting restarts at the tick ``lead``, with a new percentage."""

    def __init__(
        self, crowd: Population, world: TrafficModel, lead: int | None, rng: np.random.Generator
    ) -> None:
        self._traffic, self._lead, self._rng = world, lead, rng
        self._errors, self._slow = (
            TraitClasses(crowd.error_factors),
            TraitClasses(crowd.latency_shifts),
        )
        self._size = (SLOW + len(SLOW_EDGES), len(crowd.error_factors))
        self._reset()

    def counter_increments(
        self,
        asked: UserActivity,
        percentages: Floats,
        ticks: Ints,
        conditions: Sequence[QueryConditions],
    ) -> Iterator[CounterIncrements]:
        """Return the increase of each counter at each tick; ``conditions`` are control's and treatment's."""
        shape = (2, self._size[0], len(ticks))
        counts, rewards = np.zeros(shape), np.zeros((2, 2, len(ticks)))
        events = [np.cumsum(self._expected_events(one), axis=2) for one in conditions]
        for begin, end in self._epochs(ticks, len(percentages)):
            if not 0 < percentages[begin] < 100:  # noqa: PLR2004  per cent
                continue
            some = [one[:, begin:end] for one in events]
            for kind, hits in self._first_occurrences(asked.slice_windows(begin, end), some):
                at = hits.ticks + begin * ACTIVITY_WINDOW_TICKS
                np.add.at(counts[:, kind], (hits.treated, at), 1)
                if kind == RATED:
                    self._add_rewards(hits.treated, at, conditions, rewards)
        yield from _label_increments(counts, rewards)

    def _reset(self) -> None:
        self._event_times = self._rng.exponential(size=self._size)
        self._expected = np.zeros(self._size)
        self._is_counted = np.zeros((len(SLOW_EDGES), self._size[1]), dtype=bool)

    def _epochs(self, ticks: Ints, spells: int) -> Iterator[tuple[int, int]]:
        """Return the windows before and after the percentage change."""
        if self._lead is None:
            yield 0, spells
            return
        change = int(np.clip((self._lead - ticks[0]) // ACTIVITY_WINDOW_TICKS, 0, spells))
        if change > 0:
            yield 0, change
        if change < spells:
            if ticks[0] <= self._lead:
                self._reset()
            yield change, spells

    def _expected_events(self, meets: QueryConditions) -> Floats:
        """Return the expected events if one class sent all queries: (kind, window, tick, class).

        A slow query counts for the slowest edge that it exceeds.
        """
        n, world = len(meets.queries), self._traffic
        always = np.ones((n, CLASS_COUNT))
        wrong = world.error_rate * self._errors.means + meets.errors_added[:, None]
        slower = [
            1
            - LatencyDistribution(meets.median * shift, world.latency_spread, meets.tail).cdf(
                np.array(SLOW_EDGES)
            )
            for shift in np.exp(self._slow.means)
        ]
        kinds = [always, always * world.feedback_share, np.clip(wrong, 0, 1)]
        bands = -np.diff(np.stack(slower, axis=-1), axis=1, append=0.0)
        found = np.stack([*kinds, *np.moveaxis(bands, 1, 0)])
        found = np.asarray(np.maximum(found, 0) * meets.queries[:, None])
        return found.reshape(self._size[0], -1, ACTIVITY_WINDOW_TICKS, CLASS_COUNT)

    def _first_occurrences(
        self, asked: UserActivity, events: Sequence[Floats]
    ) -> Iterator[tuple[int, FirstOccurrences]]:
        """Return the first occurrences in some windows, by kind. Slower edges include faster ones."""
        for kind in (SEEN, RATED, FAILED):
            yield kind, self._advance(kind, asked, [one[kind] for one in events])
        first = np.full(self._is_counted.shape, np.inf)
        for number in range(len(SLOW_EDGES)):
            hits = self._advance(SLOW + number, asked, [one[SLOW + number] for one in events])
            sooner = np.minimum(first[: number + 1, hits.users], hits.ticks)
            first[: number + 1, hits.users] = sooner
        for number in range(len(SLOW_EDGES)):
            users = np.flatnonzero(np.isfinite(first[number]) & ~self._is_counted[number])
            self._is_counted[number, users] = True
            ticks = first[number, users].astype(int)
            treated = asked.treated[ticks // ACTIVITY_WINDOW_TICKS, users].astype(int)
            yield SLOW + number, FirstOccurrences(users, ticks, treated)

    def _advance(
        self, kind: int, asked: UserActivity, events: Sequence[Floats]
    ) -> FirstOccurrences:
        """Advance by some windows; ``events`` add up within each window."""
        of_user = self._errors.class_of_user if kind == FAILED else self._slow.class_of_user
        ends = np.where(asked.treated, *(one[:, -1][:, of_user] for one in reversed(events)))
        so_far = self._expected[kind] + np.cumsum(asked.volume * ends, axis=0)
        when = self._event_times[kind]
        users = np.flatnonzero((self._expected[kind] < when) & (so_far[-1] >= when))
        spells = (so_far[:, users] >= when[users]).argmax(axis=0)
        at = spells, users
        left = ends[at] - (so_far[at] - when[users]) / asked.volume[at]
        treated = asked.treated[at].astype(int)
        inside = np.stack(events)[treated, spells, :, of_user[users]]
        ticks = np.minimum((inside < left[:, None]).sum(axis=1), ACTIVITY_WINDOW_TICKS - 1)
        self._expected[kind] = so_far[-1]
        return FirstOccurrences(users, spells * ACTIVITY_WINDOW_TICKS + ticks, treated)

    def _add_rewards(
        self, treated: Ints, at: Ints, conditions: Sequence[QueryConditions], rewards: Floats
    ) -> None:
        """Add the sums of users' first rewards and of their squares."""
        mean = np.stack([one.reward for one in conditions])[treated, at]
        value = np.clip(self._rng.normal(mean, _REWARD_SPREAD), 0, 1)
        np.add.at(rewards[0], (treated, at), value)
        np.add.at(rewards[1], (treated, at), value**2)


def _label_increments(counts: Floats, rewards: Floats) -> Iterator[CounterIncrements]:
    for treated, name in enumerate(("control", "treatment")):
        cohort = {"cohort": name}
        seen, rated, failed, *slow = counts[treated]
        yield "router_users_total", cohort, seen
        yield "router_users_failed_total", cohort, failed
        yield "router_users_reward_count", cohort, rated
        yield "router_users_reward_sum", cohort, rewards[0, treated]
        yield "router_users_reward_squares_total", cohort, rewards[1, treated]
        for edge, count in zip(SLOW_EDGES, slow, strict=True):
            yield "router_users_slow_total", {**cohort, "edge": f"{edge:g}"}, count
