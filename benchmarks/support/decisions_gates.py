"""Gates over many rollouts at once: those of version 0.1, and those that the shipped plans have."""

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.support import gates_peers, gates_sluice
from benchmarks.support.decisions_world import CohortCounters, RolloutCounters
from benchmarks.support.first_failures import FirstFailures
from benchmarks.support.gates_edges import Array
from benchmarks.support.gates_traffic import EDGES, USER_EDGES, Cohort, Fired, SimulatedTraffic
from benchmarks.support.gates_traffic import REWARD as REWARD_USUAL
from sluice.flags.service.user_metrics import EDGE_LABELS
from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.analysis.statistic_adapters import adapter_for
from sluice.rollout.analysis.stats.bounded_means import BoundedMeanTest, log_e_lower_mean
from sluice.rollout.analysis.stats.counts import CountTest, count_log_ratios
from sluice.rollout.analysis.stats.e_process import BettingStrategy, log_sum
from sluice.rollout.analysis.stats.means import MeanTest, log_mixture
from sluice.rollout.analysis.stats.sample_ratio import SampleRatioTest
from sluice.rollout.analysis.stats.user_hazards import UserHazardTest
from sluice.rollout.analysis.stats.user_means import (
    UserMeansTest,
    difference_variance,
    log_e_worse,
)
from sluice.rollout.analysis.tracks import FIRST_ATTEMPT_SHARE, alpha_share
from sluice.rollout.plan.alpha_budget import RuleGroup, gate_alpha
from sluice.rollout.plan.loader import load_plan

Evidence = Mapping[str, Array]
"""Log e-values by gate, each of shape (runs, hours)."""
SURGE = CountTest(margin=3)
SLOW_0_1 = FirstFailures(margin=2)
FIRST_FAILURES = FirstFailures()
PLAN = load_plan(Path(__file__).parents[2] / "plans" / "phase4.yaml")
STEP = PLAN.step("ramp-5")


def shipped_test(name: str) -> Any:  # noqa: ANN401  each statistic has its own
    """Return the test of a red flag or gate of the shipped plan, with its settings, at hourly looks."""
    gate = _shipped_gate(name)[1].model_copy(update={"window": timedelta(hours=1)})
    statistic = PLAN.metrics[gate.metric].statistic
    assert statistic is not None
    return adapter_for(statistic, gate).test


def shipped_alpha(name: str, step: str = STEP.name) -> float:
    """Return the gate's part of α in a step of the shipped plan, at the first attempt."""
    group, gate = _shipped_gate(name)
    statistic = PLAN.metrics[gate.metric].statistic
    assert statistic is not None
    return gate_alpha(PLAN, (group, step), gate) * alpha_share(SequentialState(), statistic)


def _shipped_gate(name: str) -> tuple[RuleGroup, Gate]:
    groups: tuple[RuleGroup, ...] = ("red_flags", "gates")
    return next((g, one) for g in groups for one in getattr(STEP, g) if one.name == name)


FAILURES: UserHazardTest = shipped_test("error_evidence")
SLOW: UserHazardTest = shipped_test("latency_tail_evidence")
SLOW_PLACES = [EDGE_LABELS.index(edge) for edge in SLOW.strata]
LOG_TIME: UserMeansTest = shipped_test("latency_evidence")
REWARD: UserMeansTest = shipped_test("reward_evidence")
FIRST_REWARDS = BoundedMeanTest()
RATIO: SampleRatioTest = shipped_test("sample_ratio")
REWARD_0_1 = MeanTest(margin=0.05)


def evidence_0_1(traffic: RolloutCounters) -> Evidence:
    """Return the red flags and checks of plans/phase4.yaml as of version 0.1."""
    t, c = traffic.treatment, traffic.control
    slow = [
        gates_sluice.user_evidence(
            SLOW_0_1, t.first_slow[..., at], c.first_slow[..., at], traffic.share
        )
        for at in range(len(USER_EDGES))
    ]
    return {
        "error_surge": gates_sluice.count_evidence(
            SURGE, (t.errors, c.errors), (t.requests, c.requests)
        ),
        "error_evidence": gates_sluice.user_evidence(
            FIRST_FAILURES, t.first_failures, c.first_failures, traffic.share
        ),
        "latency_evidence": _average(slow),
        "reward_evidence": mean_evidence(REWARD_0_1, t.rewards, c.rewards),
    }


def evidence_now(traffic: RolloutCounters, since: int = 0) -> Evidence:
    """Return the red flags and checks of the shipped plans, on a track that begins at the hour ``since``."""
    whole = traffic.treatment, traffic.control
    t, c = (cohort.between(since, None) for cohort in whole)
    return {
        "sample_ratio": ratio_evidence(RATIO, t.new, c.new, traffic.share),
        "error_evidence": hazard_evidence(
            FAILURES, (t.failures, t.failure_risk), (c.failures, c.failure_risk)
        ),
        "latency_tail_evidence": hazard_evidence(
            SLOW,
            (t.slow[..., SLOW_PLACES], t.slow_risk[..., SLOW_PLACES]),
            (c.slow[..., SLOW_PLACES], c.slow_risk[..., SLOW_PLACES]),
        ),
        "latency_evidence": user_means_evidence(
            LOG_TIME, whole[0].mean_log_times, whole[1].mean_log_times, since
        ),
        "reward_evidence": user_means_evidence(
            REWARD, whole[0].mean_rewards, whole[1].mean_rewards, since
        ),
    }


def hazard_evidence(
    test: UserHazardTest, treatment: tuple[Array, Array], control: tuple[Array, Array]
) -> Array:
    """``treatment`` and ``control`` are (users hit, requests at risk), by column of counts."""
    columns, groups = treatment[0].shape[-1], len(test.groups)
    logs = [_group_evidence(test, treatment, control)] if groups else []
    logs += [
        gates_sluice.count_evidence(
            test.stratum_test(),
            (treatment[0][..., at], control[0][..., at]),
            (treatment[1][..., at], control[1][..., at]),
        )
        for at in range(groups, columns)
    ]
    return log_sum(np.stack(logs, axis=-1) + np.log(test.parts))


def _group_evidence(
    test: UserHazardTest, treatment: tuple[Array, Array], control: tuple[Array, Array]
) -> Array:
    t, c = (np.stack(x, axis=-1)[:, :, : len(test.groups)] for x in (treatment, control))
    paid = test.group_log_ratios(t, c, np.cumsum(c, axis=1) - c)
    return gates_sluice.wealth(test.bets, lambda hour: paid[:, hour], paid.shape[1])


def _average(logs: list[Array]) -> Array:
    return np.asarray(log_sum(np.stack(logs, axis=-1)) - np.log(len(logs)))


def evidence_of_attempts(traffic: Iterable[tuple[RolloutCounters, int]]) -> Evidence:
    """Return the evidence of tracks one after the other, less the α that those before have spent."""
    tracks = [evidence_now(*one) for one in traffic]
    spent = [number * math.log(1 / (1 - FIRST_ATTEMPT_SHARE)) for number in range(len(tracks))]
    return {
        gate: np.concatenate([one[gate] - s for one, s in zip(tracks, spent, strict=True)], axis=1)
        for gate in tracks[0]
    }


def oracle_evidence(traffic: RolloutCounters, rates: tuple[float, float]) -> Array:
    """Return the likelihood ratio of failed requests for someone who knows both ``rates``, control's first."""
    t, c = traffic.treatment, traffic.control
    odds = [rate / (1 - rate) for rate in rates]
    test = CountTest(margin=1, bets=BettingStrategy(odds=(odds[1] / odds[0],)))
    known = np.full(t.errors.shape, rates[0])
    ratios = count_log_ratios((t.errors, t.requests), (c.errors, c.requests), known, test)
    return np.cumsum(ratios[..., 0], axis=1)


def fired_of_peers(traffic: RolloutCounters) -> dict[str, dict[str, Fired]]:
    """Return by tool and metric where its rule fires: fixed limits, Kayenta, GrowthBook."""
    shown = SimulatedTraffic(
        traffic.share,
        traffic.treatment.requests.shape[1],
        *(_as_peers_see(cohort) for cohort in (traffic.treatment, traffic.control)),
    )
    return {
        "fixed": gates_peers.argo(shown),
        "Kayenta": gates_peers.kayenta(shown),
        "GrowthBook": gates_peers.growthbook(shown),
    }


def _as_peers_see(cohort: CohortCounters) -> Cohort:
    """Return the counters in the peers' form; latency is left out, `benchmarks.gates` has it."""
    count, total = cohort.rewards[..., 0], cohort.rewards[..., 1]
    none = np.zeros((*count.shape, len(EDGES)))
    return Cohort(
        errors=cohort.errors,
        requests=cohort.requests,
        first_errors=cohort.first_failures,
        first_seen=cohort.seen,
        requests_above_edge=none,
        first_above_edge=none,
        reward_moments=cohort.rewards,
        mean_reward=np.where(count > 0, total / np.maximum(count, 1), REWARD_USUAL),
    )


def user_means_evidence(
    test: UserMeansTest, treatment: Array, control: Array, since: int = 0
) -> Array:
    """Of sums over users, in the order of ``SUMS``, in blocks of one hour, from the hour ``since``."""
    whole = [np.moveaxis(np.cumsum(one, axis=1), -1, 0) for one in (treatment, control)]
    t, c = (list(one[..., since:]) for one in whole)
    before = [list(one[..., max(since - 1, 0)][..., None] * bool(since)) for one in whole]
    weights = [np.maximum(x[0] - b[0], 1e-9) for x, b in zip((t, c), before, strict=True)]
    means = [(x[1] - b[1]) / w for x, b, w in zip((t, c), before, weights, strict=True)]
    worse_by = means[0] - means[1]
    worse_by = (-worse_by if test.higher_is_better else worse_by) - test.margin
    variance = difference_variance(t, c, weights)
    if since:
        variance = 2 * (variance + difference_variance(before[0], before[1], weights))
    information = 1 / np.maximum(variance, 1e-12)
    users = np.minimum(*(one[0] ** 2 / np.maximum(one[4], 1e-9) for one in (t, c)))
    found = log_e_worse(worse_by, information, test.effect)
    return np.asarray(np.where(users < test.users_min, 0.0, found))


def mean_evidence(test: MeanTest, treatment: Array, control: Array) -> Array:
    """Of moments, in blocks of one hour."""
    (n_t, sum_t, squares_t), (n_c, sum_c, squares_c) = (
        np.moveaxis(one, -1, 0) for one in (treatment, control)
    )
    weight = n_t * n_c / np.maximum(n_t + n_c, 1)
    gain = np.cumsum(weight * (sum_t / np.maximum(n_t, 1) - sum_c / np.maximum(n_c, 1)), axis=1)
    gain = gain if test.higher_is_better else -gain
    spread = sum(
        np.cumsum(weight**2 / np.maximum(n, 1), axis=1) * gates_sluice.variance_so_far(n, s, q)
        for n, s, q in ((n_t, sum_t, squares_t), (n_c, sum_c, squares_c))
    )
    sums = -gain - test.margin * np.cumsum(weight, axis=1)
    found = log_mixture(sums, np.maximum(spread, 1e-12), test.widths)
    few = np.minimum(np.cumsum(n_t, axis=1), np.cumsum(n_c, axis=1)) < test.units_min
    return np.asarray(np.where(few, 0.0, found))


def bounded_mean_evidence(
    test: BoundedMeanTest, treatment: Array, control: Array, share: float
) -> Array:
    """Of moments of values between 0 and 1."""
    columns = [_bounded_columns(one) for one in (treatment, control)]
    return log_e_lower_mean(columns[0], columns[1], -test.margin, share)


def _bounded_columns(moments: Array) -> tuple[Array, Array, Array]:
    n, total, squares = np.moveaxis(moments, -1, 0)
    units, totals = np.cumsum(n, axis=1), np.cumsum(total, axis=1)
    guess = (totals - total + 0.5) / (units - n + 1)
    spread = np.maximum(squares - 2 * guess * total + n * guess**2, 0)
    return units, totals, np.cumsum(spread, axis=1)


def ratio_evidence(test: SampleRatioTest, treatment: Array, control: Array, share: float) -> Array:
    """Of users by hour, of shape (runs, hours)."""
    t, c = np.cumsum(treatment, axis=1), np.cumsum(control, axis=1)
    a, b = test.concentration * share, test.concentration * (1 - share)
    prior = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    marginal = _log_gamma(a + t) + _log_gamma(b + c) - _log_gamma(a + b + t + c) - prior
    return np.asarray(marginal - t * np.log(share) - c * np.log1p(-share), dtype=np.float64)


_log_gamma = np.frompyfunc(math.lgamma, 1, 1)


def fired_share(evidence: Array, alpha: float) -> float:
    """Share of runs in which the gate ever fires."""
    return float((evidence >= -np.log(alpha)).any(axis=1).mean())


def first_hours(evidence: Array, alpha: float) -> NDArray[np.float64]:
    """Return the hour (from 1) at which each run fires, infinite when never."""
    fired = evidence >= -np.log(alpha)
    return np.where(fired.any(axis=1), fired.argmax(axis=1) + 1.0, np.inf)
