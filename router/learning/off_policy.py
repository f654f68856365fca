"""Off-policy evaluation: the mean reward of another policy, estimated from this one's log.

Three estimators, each with a 95 % interval from the central limit theorem:

* IPS (Horvitz and Thompson 1952): mean of ``w·r`` with ``w = π(arm|x) / propensity``. Unbiased.
* SNIPS (Swaminathan and Joachims 2015): ``Σw·r / Σw``. It has a little bias and far less variance.
* DR (Dudik, Langford, Li 2011): a reward model's prediction, corrected by IPS on its errors. The
  model (ridge regression per arm) is fitted on the other half of the log.

All need correct propensities. ``effective_samples`` measures the log's evidence about the policy.
Below EFFECTIVE_SAMPLES_MIN the intervals are unreliable, and ``Estimate.is_reliable`` is False.
"""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from redis.asyncio import Redis

from router.learning.errors import NoEvidenceError, UpdateRefusedError
from router.learning.linucb import LinUCB, Vector
from router.learning.options import LearningKeys, LearningOptions
from router.learning.propensity_log import LogEntry, read_log
from router.learning.store import LearningStore

Policy = Callable[[Vector], Mapping[str, float]]
"""Context of shape (d,) → the probability of each arm; missing arms have probability 0."""

Z_95 = 1.959963984540054
EFFECTIVE_SAMPLES_MIN = 50.0
SAMPLES_MIN = 2
SUM_TOLERANCE = 1e-6
MODEL_RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimated mean reward and its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated mean reward of a policy per feedback, in [0, 1].

    ``logged_policy`` is the mean reward of the logging policy. ``weight_mean`` should be near 1.
    If it is far from 1, the propensities are wrong or the log does not cover the policy.
    """

    ips: Interval
    snips: Interval
    dr: Interval
    logged_policy: Interval
    samples: int
    effective_samples: float
    weight_mean: float

    @property
    def is_reliable(self) -> bool:
        return self.effective_samples >= EFFECTIVE_SAMPLES_MIN


def evaluate(log: Sequence[LogEntry], policy: Policy) -> Estimate:
    """Estimate a policy's mean reward.

    Raises NoEvidenceError for a log of fewer than two entries, or one that cannot be used.
    """
    return estimate(log, [policy(entry.context) for entry in log])


def estimate(log: Sequence[LogEntry], targets: Sequence[Mapping[str, float]]) -> Estimate:
    """Estimate as ``evaluate`` does, from the policy's probabilities at each entry.

    Raises NoEvidenceError.
    """
    if len(log) < SAMPLES_MIN:
        raise NoEvidenceError(f"the log has {len(log)} entries; at least {SAMPLES_MIN} are needed")
    rewards, propensities = _columns(log)
    for target in targets:
        _check_probabilities(target)
    target_probabilities = np.array(
        [target.get(entry.arm, 0.0) for entry, target in zip(log, targets, strict=True)]
    )
    weights = target_probabilities / propensities
    if not weights.any():
        raise NoEvidenceError("the log never took an arm that this policy would take")
    return Estimate(
        ips=_mean_interval(weights * rewards),
        snips=_self_normalised_interval(weights, rewards),
        dr=_mean_interval(_doubly_robust(log, targets, weights, rewards)),
        logged_policy=_mean_interval(rewards),
        samples=len(log),
        effective_samples=float(weights.sum() ** 2 / (weights**2).sum()),
        weight_mean=float(weights.mean()),
    )


async def evaluate_policy(
    redis: Redis, environment: str, policy: Policy, *, cohort: str = "treatment"
) -> Estimate:
    """Run ``evaluate`` on an environment's stored log. Raises NoEvidenceError."""
    return evaluate(await read_log(redis, environment, cohort), policy)


def bandit_policy(
    model: LinUCB, alpha: float | None = None, epsilon: float | None = None
) -> Policy:
    """Return the policy of this model without further learning, optionally with another α or ε."""
    policy_model = model.with_exploration(
        model.alpha if alpha is None else alpha, model.epsilon if epsilon is None else epsilon
    )
    return policy_model.propensities


def fixed_policy(arm: str) -> Policy:
    """Return the policy that always chooses one arm."""
    return lambda _context: {arm: 1.0}


async def load_policy(
    redis: Redis,
    environment: str,
    version: int | None = None,
    *,
    alpha: float = 0.5,
    epsilon: float = 0.05,
) -> Policy:
    """Return the policy of the current weights, or of a stored version. Raises NoEvidenceError."""
    store = LearningStore(redis, LearningKeys(environment), LearningOptions())
    if version is None:
        weights = await store.load_weights(alpha, epsilon)
    else:
        weights = await store.load_version(version, alpha, epsilon)
    if weights is None:
        raise NoEvidenceError(f"no weights of version {version or 'now'} in {environment!r}")
    return weights.model.propensities


def _columns(log: Sequence[LogEntry]) -> tuple[Vector, Vector]:
    rewards = np.array([entry.reward for entry in log])
    propensities = np.array([entry.propensity for entry in log])
    if not (np.isfinite(rewards).all() and (propensities > 0).all() and (propensities <= 1).all()):
        raise NoEvidenceError("the log needs finite rewards and propensities in (0, 1]")
    if len({entry.context.shape for entry in log}) != 1:
        raise NoEvidenceError("the log mixes contexts of different lengths")
    return rewards, propensities


def progressive_targets(log: Sequence[LogEntry], start: LinUCB) -> list[Mapping[str, float]]:
    """Return a learner's probabilities at each entry, after it learned the entries before.

    The learner starts at ``start``. The policy at an entry has not learned that entry's reward, so
    the estimate is not biased by it. A refused update is skipped, as in the learner.
    """
    model = start.copy()
    targets: list[Mapping[str, float]] = []
    for entry in log:
        targets.append(model.propensities(entry.context))
        with contextlib.suppress(UpdateRefusedError):
            model.update(entry.arm, entry.context, entry.reward)
    return targets


def mean_reward(log: Sequence[LogEntry]) -> Interval:
    """Return the mean reward of the logged policy itself. Raises NoEvidenceError."""
    if len(log) < SAMPLES_MIN:
        raise NoEvidenceError(f"the log has {len(log)} entries; at least {SAMPLES_MIN} are needed")
    return _mean_interval(_columns(log)[0])


def _check_probabilities(target: Mapping[str, float]) -> None:
    total = math.fsum(target.values())
    if min(target.values(), default=-1.0) < 0 or abs(total - 1.0) > SUM_TOLERANCE:
        raise NoEvidenceError(f"the policy's probabilities sum to {total}, not to 1")


def _mean_interval(values: Vector) -> Interval:
    centre = float(values.mean())
    half = Z_95 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Interval(centre, centre - half, centre + half)


def _self_normalised_interval(weights: Vector, rewards: Vector) -> Interval:
    """Return the ratio's interval, with its variance by the delta method."""
    centre = float(weights @ rewards / weights.sum())
    spread = math.sqrt(float((weights**2) @ ((rewards - centre) ** 2))) / float(weights.sum())
    return Interval(centre, centre - Z_95 * spread, centre + Z_95 * spread)


def _doubly_robust(
    log: Sequence[LogEntry],
    targets: Sequence[Mapping[str, float]],
    weights: Vector,
    rewards: Vector,
) -> Vector:
    """Return one value per entry; a model of one half of the log predicts the other half."""
    values = np.zeros(len(log))
    for half in (0, 1):
        model = _fit_reward_model([entry for at, entry in enumerate(log) if at % 2 != half])
        for at in range(half, len(log), 2):
            context = log[at].context
            expected = sum(p * model(arm, context) for arm, p in targets[at].items())
            error = rewards[at] - model(log[at].arm, context)
            values[at] = expected + weights[at] * error
    return values


def _fit_reward_model(log: Sequence[LogEntry]) -> Callable[[str, Vector], float]:
    """Fit a ridge regression per arm around the mean reward; an arm without entries gets the mean."""
    mean = float(np.mean([entry.reward for entry in log]))
    fitted: dict[str, Vector] = {}
    for arm in {entry.arm for entry in log}:
        x = np.array([entry.context for entry in log if entry.arm == arm])
        y = np.array([entry.reward for entry in log if entry.arm == arm]) - mean
        fitted[arm] = np.linalg.solve(x.T @ x + MODEL_RIDGE * np.eye(x.shape[1]), x.T @ y)
    return lambda arm, context: mean + (float(fitted[arm] @ context) if arm in fitted else 0.0)
