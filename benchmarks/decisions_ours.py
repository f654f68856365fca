"""Our statistical gates over many runs at once: the kernels of ``rollout.stats``, hour by hour.

``tests/unit/test_stats_benchmark.py`` proves that this gives what the tests' own ``update`` gives.
"""

from collections.abc import Callable

import numpy as np

from benchmarks.decisions_world import EDGES, USER_EDGES, Array, Fired, World
from rollout.stats import affected, counts, means
from rollout.stats.affected import AffectedTest
from rollout.stats.counts import CountTest
from rollout.stats.evidence import Bets, log_sum
from rollout.stats.means import MeanTest
from rollout.stats.slow import SlowTest
from rollout.stats.tail import TailTest

ALPHA_PER_METRIC = 0.01
ERRORS = CountTest()
AFFECTED = AffectedTest()
TAIL = TailTest()
SLOW = SlowTest(edges=tuple(USER_EDGES.tolist()))
REWARD = MeanTest()


def wealth(bets: Bets, ratios: Callable[[int], Array], hours: int) -> Array:
    """Log e-values after each hour, shape (runs, hours); ``ratios`` gives one hour's."""
    start = bets.start()
    reserve, stakes, found = start.log_reserve, np.array(start.log_stakes), []
    for hour in range(hours):
        stakes = np.logaddexp(stakes, reserve + bets.log_restart) + ratios(hour)
        reserve += bets.log_keep
        found.append(np.logaddexp(log_sum(stakes), reserve))
    return np.stack(found, axis=1)


def count_evidence(
    test: CountTest, events: tuple[Array, Array], units: tuple[Array, Array]
) -> Array:
    """``events`` and ``units`` are (treatment, control), each of shape (runs, hours)."""
    rates = test.control_rate(past(events[1], test.memory), past(units[1], test.memory))

    def ratios(hour: int) -> Array:
        cohorts = [(k[:, hour], n[:, hour]) for k, n in zip(events, units, strict=True)]
        return counts.log_ratios(cohorts[0], cohorts[1], rates[:, hour], test)

    return wealth(test.bets, ratios, events[0].shape[1])


def past(values: Array, memory: float) -> Array:
    """Fading sums of what came before each hour."""
    found, total = [], np.zeros(len(values))
    for hour in range(values.shape[1]):
        found.append(total)
        total = total * memory + values[:, hour]
    return np.stack(found, axis=1)


def user_evidence(test: AffectedTest, treatment: Array, control: Array, share: float) -> Array:
    """Users hit for the first time; both cohorts of shape (runs, hours)."""

    def ratios(hour: int) -> Array:
        return affected.log_ratios(treatment[:, hour], control[:, hour], np.array(share), test)

    return wealth(test.bets, ratios, treatment.shape[1])


def affected_evidence(world: World) -> Array:
    t, c = world.treatment.first_errors, world.control.first_errors
    return user_evidence(AFFECTED, t, c, world.share)


def slow_evidence(world: World) -> Array:
    t, c = world.treatment.first_slower, world.control.first_slower
    found = [
        user_evidence(SLOW.at(edge), t[..., at], c[..., at], world.share)
        for at, edge in enumerate(SLOW.edges)
    ]
    return np.asarray(log_sum(np.stack(found, axis=-1)) - np.log(len(found)))


def request_evidence(world: World) -> Array:
    t, c = world.treatment, world.control
    return count_evidence(ERRORS, (t.errors, c.errors), (t.requests, c.requests))


def latency_evidence(world: World) -> Array:
    t, c = world.treatment, world.control
    found = []
    for edge in TAIL.edges:
        at = int(np.flatnonzero(np.isclose(EDGES, edge))[0])
        events = (t.slower[..., at], c.slower[..., at])
        found.append(count_evidence(TAIL.at(edge), events, (t.requests, c.requests)))
    return np.asarray(log_sum(np.stack(found, axis=-1)) - np.log(len(found)))


def reward_evidence(world: World) -> Array:
    (n_t, sum_t, squares_t), (n_c, sum_c, squares_c) = (
        np.moveaxis(cohort.rated, -1, 0) for cohort in (world.treatment, world.control)
    )
    safe_t, safe_c = np.maximum(n_t, 1), np.maximum(n_c, 1)
    weight = n_t * n_c / np.maximum(n_t + n_c, 1)
    gain = np.cumsum(weight * (sum_t / safe_t - sum_c / safe_c), axis=1)
    spread = sum(
        np.cumsum(weight**2 / safe, axis=1) * _variance(n, total, squares)
        for n, safe, total, squares in (
            (n_t, safe_t, sum_t, squares_t),
            (n_c, safe_c, sum_c, squares_c),
        )
    )
    sums = -gain - REWARD.margin * np.cumsum(weight, axis=1)
    found = means.log_mixture(sums, np.maximum(spread, 1e-12), REWARD.widths)
    few = np.minimum(np.cumsum(n_t, axis=1), np.cumsum(n_c, axis=1)) < REWARD.units_min
    return np.where(few, 0.0, found)


def _variance(units: Array, total: Array, squares: Array) -> Array:
    scatter = np.maximum(squares - total**2 / np.maximum(units, 1), 0)
    freedom = np.cumsum(np.maximum(units - 1, 0), axis=1)
    return np.asarray(np.cumsum(scatter, axis=1) / np.maximum(freedom, 1))


def judge(world: World) -> dict[str, Fired]:
    """For each metric and hour: does the gate fire? Shape (runs, hours)."""
    bar = -np.log(ALPHA_PER_METRIC)
    return {
        "errors": affected_evidence(world) >= bar,
        "latency": slow_evidence(world) >= bar,
        "reward": reward_evidence(world) >= bar,
    }


def judge_requests_only(world: World) -> dict[str, Fired]:
    """Without counters of users: requests, with the margin."""
    bar = -np.log(ALPHA_PER_METRIC)
    return {
        "errors": request_evidence(world) >= bar,
        "latency": latency_evidence(world) >= bar,
    }
