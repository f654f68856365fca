"""Off-policy comparison for `sluice learning evaluate`: the logged policy beside others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from redis.asyncio import Redis

from router.learning import (
    LearningKeys,
    LearningOptions,
    LinUCB,
    NoEvidenceError,
    UnknownVersionError,
)
from router.learning.off_policy import (
    SAMPLES_MIN,
    Estimate,
    Interval,
    estimate,
    mean_reward,
    progressive_targets,
)
from router.learning.propensity_log import LogEntry, read_log
from router.learning.store import LearningStore
from router.learning.weights import Weights

TREATMENT, CONTROL = "treatment", "control"
ALPHA = 0.5
"""The guide's value, for a policy that runs under its own weights."""


@dataclass(frozen=True)
class EvaluateOptions:
    """The policies to compare: learners by their ``alphas``, fixed weights by their ``versions``."""

    alphas: Sequence[float]
    versions: Sequence[int]
    arms: Sequence[str]
    epsilon: float


@dataclass(frozen=True)
class PolicyEstimate:
    """The estimated reward of one policy."""

    policy: str
    estimate: Estimate


@dataclass
class PolicyComparison:
    """The logged reward of each cohort, the estimates, and the policies without evidence."""

    logged: dict[str, tuple[int, Interval]] = field(default_factory=dict)
    rows: list[PolicyEstimate] = field(default_factory=list)
    not_estimable: dict[str, str] = field(default_factory=dict)


async def compare_policies(
    redis: Redis, environment: str, options: EvaluateOptions
) -> PolicyComparison:
    """Estimate every policy of the options, and the warm start, on the learned feedback.

    Raises:
        NoEvidenceError: nothing was logged or stored yet.
        UnknownVersionError, redis.RedisError.
    """
    everything = await read_log(redis, environment)
    comparison = PolicyComparison()
    for cohort in (TREATMENT, CONTROL):
        log = [entry for entry in everything if entry.cohort == cohort]
        if len(log) >= SAMPLES_MIN:
            comparison.logged[cohort] = (len(log), mean_reward(log))
    log = [entry for entry in everything if entry.cohort == TREATMENT]
    if len(log) < SAMPLES_MIN:
        raise NoEvidenceError(
            f"environment {environment!r} has {len(log)} learned feedbacks in its log; estimates"
            f" need at least {SAMPLES_MIN}. They come once the flag treats users who give feedback"
        )
    for policy, targets in _policy_targets(
        log, await _load_weights(redis, environment, options), options
    ):
        try:
            comparison.rows.append(PolicyEstimate(policy, estimate(log, targets)))
        except NoEvidenceError as error:
            comparison.not_estimable[policy] = str(error)
    return comparison


async def _load_weights(
    redis: Redis, environment: str, options: EvaluateOptions
) -> dict[int, Weights]:
    """Return the first stored weights (the warm start) and those of the options, by version."""
    store = LearningStore(redis, LearningKeys(environment), LearningOptions())
    stored = await store.list_versions()
    if not stored:
        raise NoEvidenceError(
            f"environment {environment!r} has no weights yet; they come with the first learned feedback"
        )
    if missing := sorted(set(options.versions) - set(stored)):
        raise UnknownVersionError(f"version {missing[0]} is not stored; stored versions: {stored}")
    loaded: dict[int, Weights] = {}
    for version in (stored[0], *options.versions):
        weights = await store.load_version(version, ALPHA, options.epsilon)
        if weights is None:
            raise UnknownVersionError(
                f"version {version} was dropped meanwhile; run the command again"
            )
        loaded[version] = weights
    return loaded


def _policy_targets(
    log: Sequence[LogEntry], stored: Mapping[int, Weights], options: EvaluateOptions
) -> Iterator[tuple[str, list[Mapping[str, float]]]]:
    first, weights = next(iter(stored.items()))
    yield (
        f"{weights.note or 'weights'} (version {first})",
        _fixed_weights_targets(log, weights.model),
    )
    for alpha in options.alphas:
        start = weights.model.with_exploration(alpha, options.epsilon)
        yield f"learner, α {alpha:g}", progressive_targets(log, start)
    for version in options.versions:
        yield f"version {version}, unchanged", _fixed_weights_targets(log, stored[version].model)
    for arm in options.arms:
        if arm not in weights.model.arms:
            raise UnknownVersionError(
                f"no arm {arm!r}; known arms: {', '.join(weights.model.arms)}"
            )
        yield f"always {arm}", [{arm: 1.0}] * len(log)


def _fixed_weights_targets(log: Sequence[LogEntry], model: LinUCB) -> list[Mapping[str, float]]:
    """Return the choices of weights that do not change."""
    return [model.propensities(entry.context) for entry in log]
