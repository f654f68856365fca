"""A sample-ratio mismatch is found in the part that it comes from, and in no other."""

from datetime import timedelta

import pytest

from sluice.rollout.review.cohort_split import CohortSplit, exposures, unlike_splits
from tests.unit.rollout.review.test_report import minutes, rolled_back_state


def split(name: str, treatment: float, control: float, share: float = 0.05) -> CohortSplit:
    return CohortSplit(by="process", name=name, share=share, treatment=treatment, control=control)


def test_only_the_part_that_breaks_the_promise_is_unlike_it() -> None:
    parts = [split("a", 52, 950), split("b", 0, 900), split("c", 49, 1010)]
    assert [part.name for part in unlike_splits(parts)] == ["b"]


@pytest.mark.parametrize("users", [0, 10])
def test_few_users_prove_nothing(users: float) -> None:
    assert split("a", users, 0).chance == 1.0


def test_chance_is_the_binomials() -> None:
    """``scipy.stats.binomtest`` gives 0.0574 and 0.3591."""
    assert split("a", 560, 440, 0.53).chance == pytest.approx(0.0617, abs=0.01)
    assert split("a", 515, 485, 0.5).chance == pytest.approx(0.359, abs=0.01)


def test_each_time_with_two_cohorts_is_a_part() -> None:
    state = rolled_back_state()
    found = list(exposures(state, minutes(60)))
    assert [(part.step, part.share) for part in found] == [("canary", 0.05)]
    assert found[0].until - found[0].since >= timedelta(minutes=1)
