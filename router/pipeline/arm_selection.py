"""Which backends answer a question. An *arm* is one way of answering, and what the bandits choose.

| arm | backends asked |
|---|---|
| graph | graph |
| temporal | graph and Postgres within the time the question speaks of (Graphiti when given) |
| postgres | Postgres |
| qdrant | Qdrant |

Control takes the intent's default unless the phase-2 bandit (LinUCB, warm-started to the defaults)
is sure that another arm is better (benchmarks/adaptive_routing.py). Treatment takes what the online learner chooses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.answer import Cohort
from router.backends.base import Vector
from router.learning import (
    DIMENSION,
    Choice,
    LinUCB,
    Observation,
    OnlineLearningRouter,
    build_context,
)

ARMS = ("graph", "temporal", "postgres", "qdrant")
ARM_BACKENDS: Mapping[str, tuple[str, ...]] = {
    "graph": ("graph",),
    "temporal": ("graphiti", "graph", "postgres"),
    "postgres": ("postgres",),
    "qdrant": ("qdrant",),
}
DEFAULT_ARM: Mapping[str, str] = {
    "graph": "graph",
    "temporal": "temporal",
    "metadata": "postgres",
    "semantic": "qdrant",
    "out_of_scope": "qdrant",
}
SECOND_ARM: Mapping[str, str] = {
    "graph": "qdrant",
    "temporal": "qdrant",
    "postgres": "graph",
    "qdrant": "graph",
}
_PRIOR_WEIGHT = 4.0
_PRIOR_REWARD, _PRIOR_OTHER = 0.75, 0.25


@dataclass(frozen=True, slots=True)
class RoutingPlan:
    """Arms to ask, the first being the choice that rewards are credited to."""

    arms: tuple[str, ...]
    context: NDArray[np.float64]
    choice: Choice
    cohort: Cohort


@dataclass(frozen=True, slots=True)
class QueryFeatures:
    """What the choice depends on. ``complexity`` is 0 to 1; ``several``: ask more than one arm."""

    embedding: Vector
    intent: str
    confidence: float
    complexity: float
    multi_arm: bool = False


def warm_started_bandit(alpha: float) -> LinUCB:
    """A bandit that begins where the intents' defaults are: no cold start, no random weeks."""
    return LinUCB(ARMS, DIMENSION, alpha).warm_start(_prior_observations(), _PRIOR_WEIGHT)


def _prior_observations() -> Iterator[Observation]:
    """Every arm is seen equally often in every intent, so none looks more uncertain at first."""
    nothing = np.zeros(1)
    for intent, default in DEFAULT_ARM.items():
        for confidence in (0.5, 0.8, 1.0):
            for complexity in (0.1, 0.5, 0.9):
                context = build_context(nothing, intent, confidence, complexity)
                for arm in ARMS:
                    yield Observation(
                        arm, context, _PRIOR_REWARD if arm == default else _PRIOR_OTHER
                    )


class ArmSelector:
    """Plans for both cohorts. Free of I/O."""

    def __init__(self, bandit: LinUCB | None) -> None:
        """``bandit`` is phase 2's; None (adaptive routing off) leaves the intents' defaults."""
        self._bandit = bandit

    def plan(
        self, question: QueryFeatures, cohort: Cohort, learner: OnlineLearningRouter | None
    ) -> RoutingPlan:
        """The treatment's plan needs the learner; without one it is the control's."""
        context = build_context(
            question.embedding, question.intent, question.confidence, question.complexity
        )
        if cohort == "treatment" and learner is not None:
            choice = learner.select(context)
        else:
            choice = self._select_for_control(question.intent, context)
        return RoutingPlan(
            _arms_to_query(choice.arm, several=question.multi_arm), context, choice, cohort
        )

    def _select_for_control(self, intent: str, context: NDArray[np.float64]) -> Choice:
        """Never for curiosity: at its worst the other arm must beat what the default should bring."""
        default, bandit = DEFAULT_ARM[intent], self._bandit
        if bandit is None:
            return Choice(default, 1.0, {})
        bounds = dict(zip(bandit.arms, bandit.scores(context), strict=True))
        expected = {arm: bandit.estimate(arm, context) for arm in bandit.arms}
        best = max(bandit.arms, key=lambda arm: expected[arm])
        worst_of_best = 2 * expected[best] - bounds[best]
        return Choice(best if worst_of_best > expected[default] else default, 1.0, bounds)


def _arms_to_query(chosen: str, *, several: bool) -> tuple[str, ...]:
    """Who asks several asks Qdrant: whatever a question was taken for, its meaning is known there."""
    if not several:
        return (chosen,)
    return tuple(dict.fromkeys((chosen, SECOND_ARM[chosen], "qdrant")))


def explain_plan(plan: RoutingPlan, intent: str) -> dict[str, Any]:
    """Why these arms, for a person: scores are rewards expected (with the bonus for the unknown)."""
    choice = plan.choice
    return {
        "arms": list(plan.arms),
        "default_of_intent": DEFAULT_ARM[intent],
        "by": "online learner" if plan.cohort == "treatment" else "intent, bandit if sure",
        "propensity": round(choice.propensity, 4),
        "scores": {arm: round(score, 4) for arm, score in choice.scores.items()},
    }


def greedy_arm(learner: OnlineLearningRouter, question: QueryFeatures) -> str:
    """The arm the learner believes in, exploration left out: what a probe judges."""
    context = build_context(
        question.embedding, question.intent, question.confidence, question.complexity
    )
    model = learner.weights.model
    return max(model.arms, key=lambda arm: model.estimate(arm, context))
