"""A query id tells its cohort, its age and its member without a store."""

import math
import uuid

import pytest

from router.query_ids import age_of, cohort_of, member_of, new_query_id
from router.users import Member


def test_an_id_carries_cohort_time_and_member() -> None:
    member = Member.of(7, "alice")
    query_id = new_query_id("treatment", member)
    assert cohort_of(query_id) == "treatment"
    assert member_of(query_id) == member
    assert member_of(new_query_id("control")) is None
    assert 0 <= age_of(query_id) < 10
    number = uuid.UUID(query_id[2:34])
    assert (number.version, number.variant) == (7, uuid.RFC_4122)


OURS = "-0197c3f2a1b27c3d8e4f5a6b7c8d9e0f"


@pytest.mark.parametrize("other", ["", "c-", "c-never", f"x{OURS}", f"c-{uuid.UUID(int=1).hex}"])
def test_an_id_of_somebody_else_is_of_no_cohort_and_no_age(other: str) -> None:
    assert cohort_of(f"c{OURS}") == "control"
    assert cohort_of(other) is None
    assert math.isnan(age_of(other))
