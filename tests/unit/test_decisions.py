"""Which stores a question goes to: the intent's default unless another arm is surely better."""

import numpy as np
import pytest

from router.decisions import ARMS, DEFAULT_ARM, Chooser, Plan, Question, warm_start
from router.learning import DIMENSION, LinUCB, Observation

VECTOR = np.ones(384, dtype=np.float32) / np.float32(np.sqrt(384))


def plan(bandit: LinUCB | None, intent: str, *, several: bool = False) -> Plan:
    return Chooser(bandit).plan(Question(VECTOR, intent, 0.9, 0.5, several), "control", None)


@pytest.mark.parametrize("intent", DEFAULT_ARM)
def test_a_bandit_that_knows_nothing_changes_nothing(intent: str) -> None:
    cold = LinUCB(ARMS, DIMENSION, 0.5)
    assert plan(cold, intent).arms == plan(None, intent).arms == (DEFAULT_ARM[intent],)
    assert plan(warm_start(0.5), intent).arms == (DEFAULT_ARM[intent],)


def test_an_arm_is_taken_when_its_worst_beats_what_the_default_should_bring() -> None:
    context = plan(None, "semantic").context
    bandit = LinUCB(ARMS, DIMENSION, 0.5)
    bandit.update("qdrant", context, 0.6)
    bandit.update("graph", context, 0.9)
    assert plan(bandit, "semantic").arms == ("qdrant",), "one reward is luck"
    bandit.warm_start([Observation("graph", context, 0.9)] * 50)
    assert plan(bandit, "semantic").arms == ("graph",)
    assert plan(bandit, "semantic").choice.propensity == 1.0


@pytest.mark.parametrize("intent", DEFAULT_ARM)
def test_who_asks_several_asks_the_store_that_knows_meaning(intent: str) -> None:
    arms = plan(None, intent, several=True).arms
    assert arms[0] == DEFAULT_ARM[intent]
    assert "qdrant" in arms
    assert 1 < len(arms) == len(set(arms))
