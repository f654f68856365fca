"""A query id tells its cohort, its age and its member without a store."""

import math
import uuid

import pytest

from router.users.query_ids import (
    age_seconds,
    new_query_id,
    parse_cohort,
    parse_counted_user,
)
from sluice.flags.service.unique_users import CountedUser


def test_an_id_carries_cohort_time_and_member() -> None:
    member = CountedUser.from_user_id(7, "alice")
    query_id = new_query_id("treatment", member)
    assert parse_cohort(query_id) == "treatment"
    assert parse_counted_user(query_id) == member
    assert parse_counted_user(new_query_id("control")) is None
    assert 0 <= age_seconds(query_id) < 10
    number = uuid.UUID(query_id[2:34])
    assert (number.version, number.variant) == (7, uuid.RFC_4122)


OURS = "-0197c3f2a1b27c3d8e4f5a6b7c8d9e0f"


@pytest.mark.parametrize("other", ["", "c-", "c-never", f"x{OURS}", f"c-{uuid.UUID(int=1).hex}"])
def test_a_foreign_id_has_no_cohort_and_no_age(other: str) -> None:
    assert parse_cohort(f"c{OURS}") == "control"
    assert parse_cohort(other) is None
    assert math.isnan(age_seconds(other))
