"""A sample-ratio mismatch is found in the part that it comes from, and in no other."""

from datetime import timedelta

import pytest

from sluice.rollout.analysis.gate import Metric
from sluice.rollout.review.cohort_split import (
    CohortSplit,
    sample_ratio_metric,
    shared_spans,
    unlike_splits,
)
from tests.unit.rollout.review.test_report import minutes, rolled_back_state


def split(name: str, treatment: float, control: float, share: float = 0.05) -> CohortSplit:
    return CohortSplit(by="process", name=name, share=share, treatment=treatment, control=control)


def test_only_the_part_that_breaks_the_promise_is_unlike_it() -> None:
    parts = [split("a", 52, 950), split("b", 0, 900), split("c", 49, 1010)]
    assert [part.name for part in unlike_splits(parts)] == ["b"]


def test_a_part_states_its_share_and_the_promised_one() -> None:
    assert split("a", 60, 940).text.split() == (
        ["process", "a", "60", "treatment", "940", "control", "6.00%", "of", "5.00%", "promised"]
    )
    assert "unknown of 5.00% promised" in split("b", 0, 0).text


def test_a_plan_without_a_sample_ratio_has_no_parts() -> None:
    state = rolled_back_state()
    assert sample_ratio_metric(state) is None
    ratio = {"query": "x", "unit": "count", "statistic": {"test": "sample_ratio", "users": "u"}}
    metric = Metric.model_validate(ratio)
    plan = state.plan.model_copy(update={"metrics": {"new_users": metric}})
    assert sample_ratio_metric(state.model_copy(update={"plan": plan})) == metric


@pytest.mark.parametrize("users", [0, 10])
def test_few_users_prove_nothing(users: float) -> None:
    assert split("a", users, 0).chance == 1.0


def test_chance_is_the_binomials() -> None:
    """``scipy.stats.binomtest`` gives 0.0574 and 0.3591."""
    assert split("a", 560, 440, 0.53).chance == pytest.approx(0.0617, abs=0.01)
    assert split("a", 515, 485, 0.5).chance == pytest.approx(0.359, abs=0.01)


def test_each_time_with_two_cohorts_is_a_part() -> None:
    state = rolled_back_state()
    found = list(shared_spans(state, minutes(60)))
    assert [(part.step, part.share) for part in found] == [("canary", 0.05)]
    assert found[0].until - found[0].since >= timedelta(minutes=1)
