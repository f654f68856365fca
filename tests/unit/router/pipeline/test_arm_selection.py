"""Arm selection: the intent's default unless another arm is surely better."""

import numpy as np
import pytest

from router.intent import Intent
from router.learning import DIMENSION, LinUCB, Observation
from router.pipeline.arm_selection import (
    ARMS,
    DEFAULT_ARM,
    ArmSelector,
    RoutingPlan,
    warm_started_bandit,
)
from router.pipeline.complexity import Complexity
from router.pipeline.query_understanding import AnalyzedQuery

VECTOR = np.ones(384, dtype=np.float32) / np.float32(np.sqrt(384))


def routing_plan(bandit: LinUCB | None, intent: str, *, several: bool = False) -> RoutingPlan:
    complexity = Complexity("moderate" if several else "simple", 0.5, ())
    query = AnalyzedQuery("q", VECTOR, Intent(intent, 0.9, "rules"), complexity)
    return ArmSelector(bandit, multi_arm=True).plan(query, "control", None)


@pytest.mark.parametrize("intent", DEFAULT_ARM)
def test_a_bandit_that_knows_nothing_changes_nothing(intent: str) -> None:
    cold = LinUCB(ARMS, DIMENSION, 0.5)
    assert (
        routing_plan(cold, intent).arms == routing_plan(None, intent).arms == (DEFAULT_ARM[intent],)
    )
    assert routing_plan(warm_started_bandit(0.5), intent).arms == (DEFAULT_ARM[intent],)


def test_an_arm_is_taken_when_its_worst_beats_what_the_default_should_bring() -> None:
    context = routing_plan(None, "semantic").context
    bandit = LinUCB(ARMS, DIMENSION, 0.5)
    bandit.update("qdrant", context, 0.6)
    bandit.update("graph", context, 0.9)
    assert routing_plan(bandit, "semantic").arms == ("qdrant",), "one reward is luck"
    bandit.warm_start([Observation("graph", context, 0.9)] * 50)
    assert routing_plan(bandit, "semantic").arms == ("graph",)
    assert routing_plan(bandit, "semantic").choice.propensity == 1.0


@pytest.mark.parametrize("intent", DEFAULT_ARM)
def test_several_arms_always_include_vector_search(intent: str) -> None:
    arms = routing_plan(None, intent, several=True).arms
    assert arms[0] == DEFAULT_ARM[intent]
    assert "qdrant" in arms
    assert 1 < len(arms) == len(set(arms))
