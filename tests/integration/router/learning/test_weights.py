"""Weights on a real Redis: one learner, versioned, pushed, repaired."""

import asyncio
import time

import numpy as np
import pytest
from redis.asyncio import Redis

from router.learning import LearningOptions, LinUCB, UnknownVersionError, WeightsError
from tests.integration.router.learning.learner_fixtures import (
    ARMS,
    CONTEXT,
    KEYS,
    StartRouter,
    feedback_count_equals,
    send_clicks,
    stored_bytes,
    wait_until,
)

pytestmark = pytest.mark.integration


async def test_one_of_two_routers_learns_and_the_other_takes_over(
    start_router: StartRouter,
) -> None:
    async with start_router() as first:
        await wait_until(lambda: first.snapshot.is_learner)
        async with start_router() as second:
            await send_clicks(second, *(f"a{n}" for n in range(25)))
            await wait_until(feedback_count_equals(first, 25))
            await wait_until(feedback_count_equals(second, 25))
            assert (first.snapshot.is_learner, second.snapshot.is_learner) == (True, False)
            assert second.snapshot.last_batch_timestamp == 0.0
            first.pause()
            await wait_until(lambda: second.snapshot.is_learner)
            await send_clicks(first, *(f"b{n}" for n in range(25)))
            await wait_until(feedback_count_equals(first, 50))
            assert not first.snapshot.is_learner


async def test_a_learner_that_lost_its_lock_is_fenced_off(
    start_router: StartRouter, redis: Redis
) -> None:
    async with start_router() as router:
        await wait_until(lambda: router.snapshot.is_learner)
        token = await stored_bytes(redis, KEYS.lock)
        await redis.set(KEYS.lock, "999 somebody else", px=700)
        await send_clicks(router, "q1")
        await asyncio.sleep(0.4)
        assert router.get_stats()["feedback_count"] == 0
        await wait_until(feedback_count_equals(router, 1))
        assert int((await stored_bytes(redis, KEYS.lock)).split()[0]) > int(token.split()[0])


async def test_a_pushed_version_is_picked_up_at_once_and_an_older_one_never(
    start_router: StartRouter, redis: Redis
) -> None:
    slow_poll = LearningOptions(poll_seconds=30)
    async with start_router(slow_poll) as router:
        await wait_until(lambda: router.snapshot.stored_version == 1)
        old = await stored_bytes(redis, KEYS.weights)
        asked = time.monotonic()
        version = await router.rollback_weights(1)
        async with start_router(slow_poll) as other:
            await other.rollback_weights(1)
            await wait_until(lambda: router.weights.version == version + 1)
            assert time.monotonic() - asked < 1.0
            await redis.set(KEYS.weights, old)
            await redis.publish(KEYS.changes, "1")
            await asyncio.sleep(0.2)
            assert router.weights.version == version + 1


async def test_a_lost_push_is_made_good_by_the_poll(
    start_router: StartRouter, redis: Redis
) -> None:
    async with start_router() as router:
        head, body = (await stored_bytes(redis, KEYS.weights)).split(b" ", 1)
        await redis.set(KEYS.weights, b"%d " % (int(head) + 5) + body)
        await wait_until(lambda: router.weights.version == int(head) + 5)


async def test_a_rollback_restores_the_weights_as_a_new_version_and_keeps_the_counters(
    start_router: StartRouter,
) -> None:
    async with start_router() as router:
        before = router.weights
        await send_clicks(router, *(f"q{n}" for n in range(10)))
        await wait_until(feedback_count_equals(router, 10))
        learned_version = router.weights.version
        version = await router.rollback_weights(before.version)
        assert version == learned_version + 1
        await wait_until(lambda: router.weights.version == version)
        assert router.weights.note == f"rollback to version {before.version}"
        assert np.array_equal(
            router.weights.model.to_arrays()["theta"], before.model.to_arrays()["theta"]
        )
        assert router.get_stats()["feedback_count"] == 10
        assert await router.list_versions() == [*range(before.version, version + 1)]
        with pytest.raises(UnknownVersionError, match="999"):
            await router.rollback_weights(999)


async def test_damaged_weights_stop_learning_not_serving_and_a_rollback_repairs(
    start_router: StartRouter, redis: Redis
) -> None:
    async with start_router() as router:
        await redis.set(KEYS.weights, b"2 00000000\n{}")
        await wait_until(lambda: router.snapshot.errors > 0)
        router.select(CONTEXT)
        version = await router.rollback_weights(1)
        await send_clicks(router, "q1")
        await wait_until(feedback_count_equals(router, 1))
        assert router.weights.version > version


async def test_the_warm_start_and_the_newest_versions_are_kept(start_router: StartRouter) -> None:
    async with start_router(LearningOptions(history_max=3)) as router:
        last = [await router.rollback_weights(1) for _ in range(2)]
        last += [await router.rollback_weights(last[-1]) for _ in range(3)]
        assert await router.list_versions() == [1, *last[-3:]]


async def test_an_emptied_redis_gets_the_last_known_weights_back(
    start_router: StartRouter, redis: Redis
) -> None:
    async with start_router() as router:
        await send_clicks(router, *(f"q{n}" for n in range(10)))
        await wait_until(feedback_count_equals(router, 10))
        theta = router.weights.model.to_arrays()["theta"]
        await redis.flushall()
        await wait_until(lambda: router.weights.version > 2)
        assert np.array_equal(router.weights.model.to_arrays()["theta"], theta)
        await send_clicks(router, "again")
        await wait_until(feedback_count_equals(router, 11))


async def test_a_killed_connection_is_followed_by_a_new_one(
    start_router: StartRouter, redis: Redis
) -> None:
    async with start_router() as router:
        await wait_until(lambda: router.snapshot.is_learner)
        for _ in range(3):
            await redis.client_kill_filter(_type="pubsub")
            await redis.client_kill_filter(_type="normal", skipme=True)
            await asyncio.sleep(0.1)
        await send_clicks(router, "q1")
        await wait_until(feedback_count_equals(router, 1))


async def test_weights_of_another_setup_stop_the_start(start_router: StartRouter) -> None:
    async with start_router():
        pass
    with pytest.raises(WeightsError, match="vectors"):
        async with start_router(arms=("graph", "elsewhere")):
            pass


async def test_the_warm_start_decides_until_enough_feedback(start_router: StartRouter) -> None:
    """At rate 0.01 the prior counts as a hundred feedbacks."""
    prior = LinUCB(ARMS, 3)
    for _ in range(50):
        prior.update("vectors", CONTEXT, 0.9)
        prior.update("graph", CONTEXT, 0.1)
    async with start_router(prior=prior) as router:
        choice = router.weights.model
        assert choice.estimate("vectors", CONTEXT) > 0.8
        assert choice.propensities(CONTEXT)["vectors"] == pytest.approx(0.975)
