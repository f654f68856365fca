"""Traffic for ``decisions.py``: users one by one, and every counter that a gate could read.

Per run: users with an activity, an error rate, a speed and a taste (``gates_traffic``). Events of a
user are drawn in time; the counters of requests, of first events and of users at risk come from the
same draw, so today's gates and earlier ones see the same rollout.
"""

from collections.abc import Iterator
from dataclasses import fields

import numpy as np

from benchmarks.support.decisions_world import (
    DAY_HOURS,
    CohortCounters,
    RolloutCounters,
    World,
    draw_groups,
)
from benchmarks.support.gates_edges import SPEEDS, Array, share_above_edges
from benchmarks.support.gates_traffic import (
    ERROR_RATE,
    FEEDBACK_SHARE,
    REQUESTS_PER_HOUR,
    REWARD,
    REWARD_SIGMA,
    USER_EDGES,
    HourlyPattern,
    SimulatedUsers,
    TrafficScenario,
    draw_users,
)
from sluice.flags.service import user_means
from sluice.flags.service.user_means import UserMean
from sluice.flags.service.user_record import REQUESTS_COUNTED_MAX, USER_FAILURE_STRATA

LOG_TIME_MEAN, LOG_TIME_SPREAD, USER_SPEED_SPREAD = 5.5, 0.52, 0.3
"""The mean of log milliseconds; its standard deviations of one user's answers, and of users."""
PARTS = frozenset({"failures", "slow", "rewards", "log_times"})
NEW_USERS_SHARE, EARLIER_SHARE = 0.15, 0.5
"""Users never seen before, and treated ones of the others whom an earlier step treated."""
PAST_COUNTED_MAX = 50
"""Values of a user before the rollout that a router keeps."""
WHITELIST_SHARE, WHITELIST_FAILURES = 0.02, 0.05


def draw_rollouts(
    rng: np.random.Generator,
    world: World,
    share: float,
    size: tuple[int, int],
    parts: frozenset[str] = PARTS,
) -> RolloutCounters:
    """Draw ``size`` = (runs, hours) of the world; counters of other ``parts`` stay at zero."""
    users = draw_users(rng, size[0], share, "sticky")
    return _draw_hours(rng, world, (share, users), size[1], parts)


def draw_days(
    rng: np.random.Generator, world: World, share: float, size: tuple[int, int]
) -> Iterator[RolloutCounters]:
    """Draw ``size`` = (runs, hours) in days, each with the same users counted again."""
    users = draw_users(rng, size[0], share, "sticky")
    for _ in range(size[1] // DAY_HOURS):
        yield _draw_hours(rng, world, (share, users), DAY_HOURS)


def _draw_hours(
    rng: np.random.Generator,
    world: World,
    crowd: tuple[float, SimulatedUsers],
    hours: int,
    parts: frozenset[str] = PARTS,
) -> RolloutCounters:
    clock = HourlyPattern.draw(hours, TrafficScenario(""), rng)
    draw = _Rollouts(rng, world, crowd[1], clock)
    draw.parts = parts
    cohorts = [draw.cohort(treated=treated) for treated in (True, False)]
    if world.resets_daily:
        cohorts = [_without_an_hour_a_day(cohort, hours) for cohort in cohorts]
    return RolloutCounters(crowd[0], *cohorts)


def _without_an_hour_a_day(cohort: CohortCounters, hours: int) -> CohortCounters:
    """Return the counters as read: the block in which the processes restarted does not count."""
    counts = np.arange(hours) % DAY_HOURS != DAY_HOURS // 2
    columns = {field.name: getattr(cohort, field.name) for field in fields(cohort)}
    return CohortCounters(
        **{name: x * counts.reshape((-1,) + (1,) * (x.ndim - 2)) for name, x in columns.items()}
    )


class _Rollouts:
    """One batch: every user's events in time, counted by cohort. ``parts``: the counters to draw."""

    parts: frozenset[str] = PARTS

    def __init__(
        self, rng: np.random.Generator, world: World, users: SimulatedUsers, clock: HourlyPattern
    ) -> None:
        self._rng, self._world, self._clock = rng, world, clock
        self._treated = users.treated.copy()
        rate = REQUESTS_PER_HOUR * users.activity
        failing = users.error_rate.copy()
        if world.bot_share:
            self._treated[:, 0], failing[:, 0] = True, 1.0
            rate[:, 0] = REQUESTS_PER_HOUR * world.bot_share
        self._rate_before = rate
        self._rate = np.where(self._treated, world.asks, 1.0) * rate
        self._is_new = rng.random(rate.shape) < NEW_USERS_SHARE
        was_treated = self._treated & ~self._is_new & (rng.random(rate.shape) < EARLIER_SHARE)
        self._rate = np.where(was_treated, world.returns, 1.0) * self._rate
        before = np.where(self._is_new, 0.0, rate * world.past_hours)
        self._groups = draw_groups(rng, before, failing)
        harmed = self._treated & (rng.random(rate.shape) < world.harmed_share)
        added = (world.error_rate - ERROR_RATE) / world.harmed_share
        self._failing = np.minimum(failing + np.where(harmed, added, 0.0), 1.0)
        self._answered = self._rate * np.where(self._treated, *world.missed)
        self._users = users

    def cohort(self, *, treated: bool) -> CohortCounters:
        """Count one cohort."""
        self._mask = self._treated == treated
        errors = self._count_requests(self._rate * self._failing)
        requests = errors + self._count_requests(self._rate * (1 - self._failing))
        if self._world.whitelist and treated:
            mean = REQUESTS_PER_HOUR * WHITELIST_SHARE * self._clock.relative_traffic
            more = self._rng.poisson(mean, requests.shape)
            requests, errors = (
                requests + more,
                errors + self._rng.binomial(more, WHITELIST_FAILURES),
            )
        zeros = np.zeros((*requests.shape, len(USER_EDGES)))
        failures, risk, first_slow, slow, slow_risk = (zeros,) * 5
        rewards, mean_rewards, log_times = zeros[..., :3], zeros[..., :5], zeros[..., :5]
        if "failures" in self.parts:
            failures, risk = self._failures()
        if "slow" in self.parts:
            first_slow, slow, slow_risk = self._slow(treated=treated)
        if "rewards" in self.parts:
            rewards, mean_rewards = self._rewards(treated=treated)
        if "log_times" in self.parts:
            log_times = self._log_times()
        # No treatment is behind the first request of a user who has never had an answer.
        first_seen = self._wait(np.where(self._is_new, self._rate_before, self._rate))
        return CohortCounters(
            requests=requests,
            errors=errors,
            seen=self._per_hour(first_seen),
            new=self._per_hour(np.where(self._is_new, first_seen, np.inf)),
            first_failures=failures[..., : len(self._groups)].sum(axis=-1),
            failures=failures,
            failure_risk=risk,
            first_slow=first_slow,
            slow=slow,
            slow_risk=slow_risk,
            rewards=rewards,
            mean_log_times=log_times,
            mean_rewards=mean_rewards,
        )

    def _wait(self, rate: Array, events: float = 1.0) -> Array:
        """Return the time, in hours of mean traffic, until so many events."""
        with np.errstate(divide="ignore"):
            return np.asarray(self._rng.standard_gamma(events, rate.shape) / rate)

    def _count_requests(self, rate: Array) -> Array:
        total = np.where(self._mask, rate, 0).sum(axis=1)
        mean = total[:, None] * self._clock.relative_traffic
        return np.asarray(self._rng.poisson(mean), dtype=np.float64)

    def _per_hour(self, when: Array, values: Array | None = None) -> Array:
        """Events of the cohort's users by run and hour, or the sum of their values."""
        runs, hours = len(when), len(self._clock.cumulative)
        hour = np.where(self._mask, np.searchsorted(self._clock.cumulative, when), hours)
        place = np.arange(runs)[:, None] * (hours + 1) + hour
        flat = np.bincount(
            place.ravel(),
            None if values is None else values.ravel(),
            minlength=runs * (hours + 1),
        )
        return flat.reshape(runs, hours + 1)[:, :hours].astype(float)

    def _at_risk(self, enter: Array, leave: Array, rate: Array) -> Array:
        """Return requests without the event, of users between entering and leaving, by run and hour."""
        ends = self._clock.cumulative
        passed = [
            ends * np.cumsum(self._per_hour(when, rate), axis=1)
            - np.cumsum(self._per_hour(when, rate * np.where(np.isfinite(when), when, 0)), axis=1)
            for when in (enter, leave)
        ]
        inside = np.diff(passed[0] - passed[1], axis=1, prepend=0.0)
        return self._rng.poisson(np.maximum(inside, 0)).astype(float)

    def _failures(self) -> tuple[Array, Array]:
        """Users at their first failure by group, then second, fourth, eighth; and requests at risk."""
        hits, risks, since, before = [], [], np.zeros(self._rate.shape), 0
        limit = self._wait(self._rate, REQUESTS_COUNTED_MAX)
        for number in USER_FAILURE_STRATA:
            event = since + self._wait(self._rate * self._failing, number - before)
            fine = self._rate * (1 - self._failing)
            enter, leave = np.minimum(since, limit), np.minimum(event, limit)
            for mask in self._groups if number == 1 else self._groups[:1] | True:
                hit, came, gone = (np.where(mask, x, np.inf) for x in (event, enter, leave))
                hits.append(self._per_hour(np.where(event <= limit, hit, np.inf)))
                risks.append(hits[-1] + self._at_risk(came, gone, fine))
            since, before = event, number
        return np.stack(hits, axis=-1), np.stack(risks, axis=-1)

    def _slow(self, *, treated: bool) -> tuple[Array, Array, Array]:
        """First answers slower than each edge: all, those of users at risk, requests at risk."""
        factors = (self._world.latency_factor, self._world.tail_factor) if treated else (1.0, 1.0)
        above = share_above_edges(USER_EDGES, factors)
        limit = self._wait(self._answered, REQUESTS_COUNTED_MAX)
        first, before = np.full(limit.shape, np.inf), np.zeros(len(SPEEDS))
        everyone, hits, risks = [], [], []
        for edge in range(len(USER_EDGES) - 1, -1, -1):
            rate = self._answered * (above[:, edge] - before)[self._users.speed]
            first, before = np.minimum(first, self._wait(rate)), above[:, edge]
            everyone.append(self._per_hour(first))
            hits.append(self._per_hour(np.where(first <= limit, first, np.inf)))
            fine = self._answered * (1 - above[:, edge])[self._users.speed]
            leave = np.minimum(first, limit)
            risks.append(hits[-1] + self._at_risk(np.zeros(first.shape), leave, fine))
        found = [np.stack(one[::-1], axis=-1) for one in (everyone, hits, risks)]
        return found[0], found[1], found[2]

    def _log_times(self) -> Array:
        """Return sums over users of mean log times of uncached answers."""
        rate = self._answered[self._mask]
        speed = (SPEEDS[self._users.speed] * USER_SPEED_SPREAD)[self._mask]
        past = self._past(speed, rate, LOG_TIME_SPREAD)
        level = LOG_TIME_MEAN + speed
        level += np.where(self._treated[self._mask], np.log(self._world.latency_factor), 0.0)
        shape = (len(rate), user_means.LOG_TIME.values_max)
        values = level[:, None] + LOG_TIME_SPREAD * self._rng.standard_normal(shape)
        return self._mean_sums(user_means.LOG_TIME, values, past, self._times(rate, shape))

    def _rewards(self, *, treated: bool) -> tuple[Array, Array]:
        """Return moments of users' first rewards, and sums over users of mean rewards."""
        rule, world, mean = user_means.REWARD, self._world, self._mean_reward(treated=treated)
        rate = self._rate[self._mask] * FEEDBACK_SHARE
        shape = (len(rate), rule.values_max)
        taste, spread = (self._users.mean_reward - REWARD)[self._mask], REWARD_SIGMA
        if world.thumbs_up is None:
            noise = spread * self._rng.standard_normal(shape)
            values = np.clip(taste[:, None] + mean + noise, 0, 1)
        else:
            taste, spread = np.zeros(len(rate)), float(np.sqrt(mean * (1 - mean)))
            values = (self._rng.random(shape) < mean).astype(np.float64)
        past = self._past(taste, rate, spread)
        when, first = self._times(rate, shape), values[:, :1]
        moments = [self._by_hour(when[:, :1], one) for one in (None, first, first**2)]
        return np.stack(moments, axis=-1), self._mean_sums(rule, values, past, when)

    def _past(self, level: Array, rate: Array, spread: float) -> tuple[Array, Array]:
        """Return how many values each user had before the rollout, and their mean."""
        count = np.minimum(self._rng.poisson(rate * self._world.past_hours), PAST_COUNTED_MAX)
        noise = spread * self._rng.standard_normal(rate.shape)
        return count, level + noise / np.sqrt(np.maximum(count, 1))

    def _mean_reward(self, *, treated: bool) -> float:
        usual = REWARD if self._world.thumbs_up is None else self._world.thumbs_up
        return usual + (self._world.reward_change if treated else 0.0)

    def _times(self, rate: Array, shape: tuple[int, int]) -> Array:
        with np.errstate(divide="ignore"):
            waits = self._rng.standard_exponential(shape) / rate[:, None]
        return np.asarray(np.cumsum(waits, axis=-1))

    def _mean_sums(
        self, rule: UserMean, values: Array, past: tuple[Array, Array], when: Array
    ) -> Array:
        """Return the sums over users by run and hour, as a router exports them."""
        known, past_mean = past
        everyone = (known * past_mean).sum() / max(known.sum(), 1)
        forecast = known / (known + rule.within_to_between) * (past_mean - everyone)
        precision = (rule.within_to_between + known)[:, None]
        count = np.arange(rule.values_max + 1)
        total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
        weight = precision * count / (precision + count)
        value = weight * (total / np.maximum(count, 1) - forecast[:, None] + rule.offset)
        by_sum = {
            "weight": weight,
            "value": value,
            "square": value**2,
            "product": weight * value,
            "weight_square": weight**2,
        }
        sums = [self._by_hour(when, np.diff(by_sum[name], axis=1)) for name in user_means.SUMS]
        return np.stack(sums, axis=-1)

    def _by_hour(self, when: Array, values: Array | None = None) -> Array:
        """Return the cohort's values by run and hour; rows are its users."""
        runs, hours = len(self._mask), len(self._clock.cumulative)
        run = np.nonzero(self._mask)[0][:, None]
        place = run * (hours + 1) + np.searchsorted(self._clock.cumulative, when)
        flat = None if values is None else values.ravel()
        found = np.bincount(place.ravel(), flat, minlength=runs * (hours + 1))
        return found.reshape(runs, hours + 1)[:, :hours].astype(float)
