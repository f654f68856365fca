"""Off-policy estimates against a world whose truth is known."""

import math

import numpy as np
import pytest

from router.learning import LinUCB, NoEvidenceError
from router.learning.off_policy import Policy, bandit_policy, evaluate, fixed_policy
from router.learning.propensity_log import LogEntry

ARMS = ("graph", "vectors")


def logged_world(samples: int, seed: int = 0) -> list[LogEntry]:
    """Arm ``graph`` earns 0.2 + 0.6 x, ``vectors`` 0.5; logged with 0.7 on graph."""
    rng = np.random.default_rng(seed)
    log = []
    for x in rng.uniform(size=samples):
        arm, propensity = ("graph", 0.7) if rng.random() < 0.7 else ("vectors", 0.3)
        mean = 0.2 + 0.6 * x if arm == "graph" else 0.5
        reward = float(rng.random() < mean)
        log.append(LogEntry(np.array([x, 1.0]), arm, propensity, reward))
    return log


def best_arm(context: np.ndarray) -> dict[str, float]:
    return {"graph": 1.0} if context[0] > 0.5 else {"vectors": 1.0}


POLICIES = [(fixed_policy("graph"), 0.5), (fixed_policy("vectors"), 0.5), (best_arm, 0.575)]


@pytest.mark.parametrize(("policy", "truth"), POLICIES, ids=["graph", "vectors", "best"])
def test_all_three_estimators_cover_the_truth(policy: Policy, truth: float) -> None:
    """95 % intervals over 100 worlds: at least 88 hits, and short ones."""
    estimates = [evaluate(logged_world(600, seed), policy) for seed in range(100)]
    for name in ("ips", "snips", "dr"):
        intervals = [getattr(estimate, name) for estimate in estimates]
        assert sum(i.low <= truth <= i.high for i in intervals) >= 88, name
        assert np.mean([i.high - i.low for i in intervals]) < 0.25, name


def test_the_logging_policy_itself_is_estimated_as_what_it_earned() -> None:
    estimate = evaluate(logged_world(500), lambda _context: {"graph": 0.7, "vectors": 0.3})
    assert estimate.ips.value == pytest.approx(estimate.logged_policy.value)
    assert estimate.effective_samples == pytest.approx(500)
    assert estimate.is_reliable


def test_few_effective_samples_are_not_trusted() -> None:
    assert not evaluate(logged_world(40), fixed_policy("vectors")).is_reliable


def test_another_alpha_can_be_asked_for() -> None:
    model = LinUCB(ARMS, 2, alpha=0.5, epsilon=0.1)
    estimate = evaluate(logged_world(300), bandit_policy(model, alpha=0.0, epsilon=0.5))
    assert 0.0 < estimate.snips.value < 1.0


@pytest.mark.parametrize(
    ("log", "policy", "message"),
    [
        ([], best_arm, "0 entries"),
        (logged_world(1), best_arm, "1 entries"),
        (logged_world(9), fixed_policy("elsewhere"), "never took"),
        (logged_world(9), lambda _context: {"graph": 0.4}, "sum to 0.4"),
        (logged_world(9), lambda _context: {}, "sum to 0"),
        ([LogEntry(np.ones(2), "graph", 0.0, 1.0)] * 3, best_arm, "propensities"),
        ([LogEntry(np.ones(2), "graph", 0.5, math.nan)] * 3, best_arm, "finite rewards"),
        (
            [*logged_world(3), LogEntry(np.ones(3), "graph", 0.5, 1.0)],
            best_arm,
            "different lengths",
        ),
    ],
    ids=range(8),
)
def test_no_evidence_is_an_error_not_a_number(
    log: list[LogEntry], policy: Policy, message: str
) -> None:
    with pytest.raises(NoEvidenceError, match=message):
        evaluate(log, policy)
