"""Choice of the backends that answer a question.

An *arm* is one way of answering, and the unit that the bandits choose.

| arm | backends queried |
|---|---|
| graph | graph |
| temporal | graph and Postgres, within the question's time range (Graphiti if supplied) |
| postgres | Postgres |
| qdrant | Qdrant |

The control cohort gets the intent's default. The phase-2 bandit (LinUCB, warm-started to the
defaults) replaces it only if another arm is better with confidence
(benchmarks/adaptive_routing.py). The treatment cohort gets the online learner's choice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.answer import Cohort
from router.learning import (
    DIMENSION,
    Choice,
    LinUCB,
    Observation,
    OnlineLearningRouter,
    build_context,
)
from router.pipeline.query_understanding import AnalyzedQuery

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
    """Arms to query; rewards are credited to the first one, which is ``choice.arm``."""

    arms: tuple[str, ...]
    context: NDArray[np.float64]
    choice: Choice
    cohort: Cohort


def warm_started_bandit(alpha: float) -> LinUCB:
    """Return a bandit whose prior prefers each intent's default arm, so it needs no random phase."""
    return LinUCB(ARMS, DIMENSION, alpha).warm_start(_prior_observations(), _PRIOR_WEIGHT)


def _prior_observations() -> Iterator[Observation]:
    """Yield each arm equally often per intent, so that all start equally uncertain."""
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
    """Routing plans for both cohorts, free of I/O."""

    def __init__(self, bandit: LinUCB | None, *, multi_arm: bool = False) -> None:
        """Plan with phase 2's ``bandit``, or with the intents' defaults if it is None.

        ``multi_arm`` queries several arms for a hard question.
        """
        self._bandit = bandit
        self._multi_arm = multi_arm

    def plan(
        self, query: AnalyzedQuery, cohort: Cohort, learner: OnlineLearningRouter | None
    ) -> RoutingPlan:
        """Return the plan of a cohort; without a learner the treatment gets the control's."""
        context = query.context()
        if cohort == "treatment" and learner is not None:
            choice = learner.select(context)
        else:
            choice = self._select_for_control(query.intent.intent, context)
        several = self._multi_arm and query.is_hard
        arms = _arms_to_query(choice.arm, several=several)
        return RoutingPlan(arms, context, choice, cohort)

    def _select_for_control(self, intent: str, context: NDArray[np.float64]) -> Choice:
        """Leave the default only for an arm whose lower bound beats the default's estimate."""
        default, bandit = DEFAULT_ARM[intent], self._bandit
        if bandit is None:
            return Choice(default, 1.0, {})
        bounds = dict(zip(bandit.arms, bandit.scores(context), strict=True))
        expected = {arm: bandit.estimate(arm, context) for arm in bandit.arms}
        best = max(bandit.arms, key=lambda arm: expected[arm])
        lower_bound = 2 * expected[best] - bounds[best]
        return Choice(best if lower_bound > expected[default] else default, 1.0, bounds)


def _arms_to_query(arm: str, *, several: bool) -> tuple[str, ...]:
    """When several arms are queried, always include Qdrant.

    Vector search still works if the intent was misclassified.
    """
    if not several:
        return (arm,)
    return tuple(dict.fromkeys((arm, SECOND_ARM[arm], "qdrant")))


def explain_plan(plan: RoutingPlan, intent: str) -> dict[str, Any]:
    """Describe the choice for a person; scores are expected rewards plus the exploration bonus."""
    choice = plan.choice
    return {
        "arms": list(plan.arms),
        "default_of_intent": DEFAULT_ARM[intent],
        "by": "online learner" if plan.cohort == "treatment" else "intent, bandit if sure",
        "propensity": round(choice.propensity, 4),
        "scores": {arm: round(score, 4) for arm, score in choice.scores.items()},
    }


def greedy_arm(learner: OnlineLearningRouter, query: AnalyzedQuery) -> str:
    """Return the arm with the highest estimate, without exploration. Probes judge this arm."""
    context = query.context()
    model = learner.weights.model
    return max(model.arms, key=lambda arm: model.estimate(arm, context))
