"""Our statistical gates over many runs at once, hour by hour: the kernels of ``analysis.stats``.

``tests/unit/rollout/analysis/test_stats_benchmark.py`` proves that this gives what the tests' own ``update`` gives.
"""

from collections.abc import Callable

import numpy as np

from benchmarks.support.first_failures import FirstFailures, first_failure_log_ratios
from benchmarks.support.gates_edges import Array
from benchmarks.support.gates_traffic import EDGES, USER_EDGES, Fired, SimulatedTraffic
from sluice.rollout.analysis.stats import counts, means
from sluice.rollout.analysis.stats.counts import CountTest
from sluice.rollout.analysis.stats.e_process import BettingStrategy, log_sum
from sluice.rollout.analysis.stats.latency_tail import LatencyTailTest
from sluice.rollout.analysis.stats.means import MeanTest

ALPHA_PER_METRIC = 0.01
ERRORS = CountTest()
AFFECTED = FirstFailures()
TAIL = LatencyTailTest()
SLOW = FirstFailures(bets=BettingStrategy(odds=(1.5, 3, 8)))
REWARD = MeanTest()


def wealth(bets: BettingStrategy, ratios: Callable[[int], Array], hours: int) -> Array:
    """Log e-values after each hour, shape (runs, hours); ``ratios`` gives one hour's."""
    start = bets.start()
    reserve, stakes, found = start.log_reserve, np.array(start.log_stakes), []
    for hour in range(hours):
        stakes = np.logaddexp(stakes, reserve + bets.log_restart) + ratios(hour)
        reserve += bets.log_retained
        found.append(np.logaddexp(log_sum(stakes), reserve))
    return np.stack(found, axis=1)


def count_evidence(
    test: CountTest, events: tuple[Array, Array], units: tuple[Array, Array]
) -> Array:
    """``events`` and ``units`` are (treatment, control), each of shape (runs, hours)."""
    rates = test.control_rate(
        fading_sums(events[1], test.memory), fading_sums(units[1], test.memory)
    )

    def ratios(hour: int) -> Array:
        cohorts = [(k[:, hour], n[:, hour]) for k, n in zip(events, units, strict=True)]
        return counts.count_log_ratios(cohorts[0], cohorts[1], rates[:, hour], test)

    return wealth(test.bets, ratios, events[0].shape[1])


def fading_sums(values: Array, memory: float) -> Array:
    """Fading sums of what came before each hour."""
    found, total = [], np.zeros(len(values))
    for hour in range(values.shape[1]):
        found.append(total)
        total = total * memory + values[:, hour]
    return np.stack(found, axis=1)


def user_evidence(test: FirstFailures, treatment: Array, control: Array, share: float) -> Array:
    """Users hit for the first time; both cohorts of shape (runs, hours)."""

    def ratios(hour: int) -> Array:
        return first_failure_log_ratios(treatment[:, hour], control[:, hour], np.array(share), test)

    return wealth(test.bets, ratios, treatment.shape[1])


def affected_evidence(traffic: SimulatedTraffic) -> Array:
    t, c = traffic.treatment.first_errors, traffic.control.first_errors
    return user_evidence(AFFECTED, t, c, traffic.share)


def slow_evidence(traffic: SimulatedTraffic) -> Array:
    t, c = traffic.treatment.first_above_edge, traffic.control.first_above_edge
    found = [
        user_evidence(SLOW, t[..., at], c[..., at], traffic.share) for at in range(len(USER_EDGES))
    ]
    return np.asarray(log_sum(np.stack(found, axis=-1)) - np.log(len(found)))


def request_evidence(traffic: SimulatedTraffic) -> Array:
    t, c = traffic.treatment, traffic.control
    return count_evidence(ERRORS, (t.errors, c.errors), (t.requests, c.requests))


def latency_evidence(traffic: SimulatedTraffic) -> Array:
    t, c = traffic.treatment, traffic.control
    found = []
    for edge in TAIL.edges:
        at = int(np.flatnonzero(np.isclose(EDGES, edge))[0])
        events = (t.requests_above_edge[..., at], c.requests_above_edge[..., at])
        found.append(count_evidence(TAIL.edge_test(edge), events, (t.requests, c.requests)))
    return np.asarray(log_sum(np.stack(found, axis=-1)) - np.log(len(found)))


def reward_evidence(traffic: SimulatedTraffic) -> Array:
    (n_t, sum_t, squares_t), (n_c, sum_c, squares_c) = (
        np.moveaxis(cohort.reward_moments, -1, 0) for cohort in (traffic.treatment, traffic.control)
    )
    safe_t, safe_c = np.maximum(n_t, 1), np.maximum(n_c, 1)
    weight = n_t * n_c / np.maximum(n_t + n_c, 1)
    gain = np.cumsum(weight * (sum_t / safe_t - sum_c / safe_c), axis=1)
    spread = sum(
        np.cumsum(weight**2 / safe, axis=1) * variance_so_far(n, total, squares)
        for n, safe, total, squares in (
            (n_t, safe_t, sum_t, squares_t),
            (n_c, safe_c, sum_c, squares_c),
        )
    )
    sums = -gain - REWARD.margin * np.cumsum(weight, axis=1)
    found = means.log_mixture(sums, np.maximum(spread, 1e-12), REWARD.widths)
    few = np.minimum(np.cumsum(n_t, axis=1), np.cumsum(n_c, axis=1)) < REWARD.units_min
    return np.where(few, 0.0, found)


def variance_so_far(units: Array, total: Array, squares: Array) -> Array:
    scatter = np.maximum(squares - total**2 / np.maximum(units, 1), 0)
    freedom = np.cumsum(np.maximum(units - 1, 0), axis=1)
    return np.asarray(np.cumsum(scatter, axis=1) / np.maximum(freedom, 1))


def fired_gates(traffic: SimulatedTraffic) -> dict[str, Fired]:
    """For each metric and hour: does the gate fire? Shape (runs, hours)."""
    bar = -np.log(ALPHA_PER_METRIC)
    return {
        "errors": affected_evidence(traffic) >= bar,
        "latency": slow_evidence(traffic) >= bar,
        "reward": reward_evidence(traffic) >= bar,
    }


def fired_request_gates(traffic: SimulatedTraffic) -> dict[str, Fired]:
    """Without counters of users: requests, with the margin."""
    bar = -np.log(ALPHA_PER_METRIC)
    return {
        "errors": request_evidence(traffic) >= bar,
        "latency": latency_evidence(traffic) >= bar,
    }
