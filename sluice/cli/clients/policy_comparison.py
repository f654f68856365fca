"""What `sluice learning evaluate` compares: the log as it was, and policies that did not act."""

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
"""The guide's; only where a policy is asked about under its own weights."""


@dataclass(frozen=True)
class EvaluateOptions:
    """What to compare. ``alphas`` are of learners, ``versions`` of weights as they stand."""

    alphas: Sequence[float]
    versions: Sequence[int]
    arms: Sequence[str]
    epsilon: float


@dataclass(frozen=True)
class PolicyEstimate:
    """A policy and what it would have earned."""

    policy: str
    estimate: Estimate


@dataclass
class PolicyComparison:
    """``logged``: each cohort's count and mean reward; ``impossible``: policies without evidence."""

    logged: dict[str, tuple[int, Interval]] = field(default_factory=dict)
    rows: list[PolicyEstimate] = field(default_factory=list)
    not_estimable: dict[str, str] = field(default_factory=dict)


async def compare_policies(
    redis: Redis, environment: str, options: EvaluateOptions
) -> PolicyComparison:
    """Estimate every policy of the wish, and the warm start, on the feedback that taught.

    Raises:
        NoEvidenceError: nothing was logged or stored yet.
        UnknownVersionError, redis.RedisError.
    """
    everything = await read_log(redis, environment)
    found = PolicyComparison()
    for cohort in (TREATMENT, CONTROL):
        log = [entry for entry in everything if entry.cohort == cohort]
        if len(log) >= SAMPLES_MIN:
            found.logged[cohort] = (len(log), mean_reward(log))
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
            found.rows.append(PolicyEstimate(policy, estimate(log, targets)))
        except NoEvidenceError as error:
            found.not_estimable[policy] = str(error)
    return found


async def _load_weights(
    redis: Redis, environment: str, wish: EvaluateOptions
) -> dict[int, Weights]:
    """The first kept weights, which are the warm start, and those of the wish, by version."""
    store = LearningStore(redis, LearningKeys(environment), LearningOptions())
    kept = await store.list_versions()
    if not kept:
        raise NoEvidenceError(f"environment {environment!r} has no weights: nothing ever learned")
    if missing := sorted(set(wish.versions) - set(kept)):
        raise UnknownVersionError(f"version {missing[0]} is not kept; there are {kept}")
    found: dict[int, Weights] = {}
    for version in (kept[0], *wish.versions):
        weights = await store.load_version(version, ALPHA, wish.epsilon)
        if weights is None:
            raise UnknownVersionError(f"version {version} was dropped meanwhile: try again")
        found[version] = weights
    return found


def _policy_targets(
    log: Sequence[LogEntry], kept: Mapping[int, Weights], wish: EvaluateOptions
) -> Iterator[tuple[str, list[Mapping[str, float]]]]:
    first, weights = next(iter(kept.items()))
    yield (
        f"{weights.note or 'weights'} (version {first})",
        _fixed_weights_targets(log, weights.model),
    )
    for alpha in wish.alphas:
        start = weights.model.with_exploration(alpha, wish.epsilon)
        yield f"learner, α {alpha:g}", progressive_targets(log, start)
    for version in wish.versions:
        yield f"version {version} as it stands", _fixed_weights_targets(log, kept[version].model)
    for arm in wish.arms:
        if arm not in weights.model.arms:
            raise UnknownVersionError(f"no arm {arm!r}; there are {', '.join(weights.model.arms)}")
        yield f"always {arm}", [{arm: 1.0}] * len(log)


def _fixed_weights_targets(log: Sequence[LogEntry], model: LinUCB) -> list[Mapping[str, float]]:
    """What weights that learn nothing more would do."""
    return [model.propensities(entry.context) for entry in log]
