"""Only ids that this environment issued to the same tenant are accepted."""

import uuid

import pytest
from redis.asyncio import Redis

from router.errors import UnknownQueryId
from router.users.query_ids import QueryIdSigner
from sluice.flags.service.counted_user import CountedUser

MEMBER = CountedUser.from_user_id(7, "alice")
KEY = b"k" * 32


def issued(signer: QueryIdSigner) -> str:
    return signer.issue("acme", "treatment", "alice", MEMBER)


def test_an_id_carries_cohort_time_and_user() -> None:
    signer = QueryIdSigner(KEY)
    query_id = signer.verify(issued(signer), "acme", 3600)
    assert (query_id.cohort, query_id.counted_user) == ("treatment", MEMBER)
    assert 0 <= query_id.age_seconds() < 10
    assert "alice" not in query_id.text
    number = uuid.UUID(query_id.text[2:34])
    assert (number.version, number.variant) == (7, uuid.RFC_4122)
    again = signer.verify(issued(signer), "acme", 3600)
    assert again.user == query_id.user, "one user has one tag"
    other = signer.verify(signer.issue("acme", "control", "bob", None), "acme", 3600)
    assert (other.user != query_id.user, other.counted_user) == (True, None)


def test_another_tenant_may_not_use_it_and_age_ends_it() -> None:
    signer = QueryIdSigner(KEY)
    with pytest.raises(UnknownQueryId, match="not issued to this tenant"):
        signer.verify(issued(signer), "other", 3600)
    with pytest.raises(UnknownQueryId):
        signer.verify(issued(signer), "acme", -1)
    with pytest.raises(UnknownQueryId):
        QueryIdSigner(b"x" * 32).verify(issued(signer), "acme", 3600)


def test_each_changed_character_is_refused() -> None:
    signer = QueryIdSigner(KEY)
    text = issued(signer)
    for place, character in enumerate(text):
        changed = "1" if character == "0" else "0"
        with pytest.raises(UnknownQueryId):
            signer.verify(text[:place] + changed + text[place + 1 :], "acme", 3600)


@pytest.mark.parametrize(
    "change",
    ["{}-anything", "{} ", "{}\n", " {}", "", "c-", "t-never", "c-{}", "\ud800", "x" * 200],
)
def test_anything_else_is_refused(change: str) -> None:
    signer = QueryIdSigner(KEY)
    with pytest.raises(UnknownQueryId):
        signer.verify(change.format(issued(signer)), "acme", 3600)


@pytest.mark.integration
async def test_processes_share_one_key_through_redis(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    first, second = QueryIdSigner(), QueryIdSigner()
    early = issued(second)
    await first.share_key(redis, "ids")
    await second.share_key(redis, "ids")
    first.verify(issued(second), "acme", 3600)
    second.verify(issued(first), "acme", 3600)
    second.verify(early, "acme", 3600)
    await redis.flushall()
    await second.share_key(redis, "ids")
    await first.share_key(redis, "ids")
    first.verify(issued(second), "acme", 3600)
    await redis.aclose()
