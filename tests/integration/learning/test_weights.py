"""Weights on a real Redis: one learner, versioned, pushed, repaired."""

import asyncio
import time

import numpy as np
import pytest
from redis.asyncio import Redis

from router.learning import LearningOptions, LinUCB, UnknownVersionError, WeightsError
from tests.integration.learning.kit import ARMS, CONTEXT, KEYS, Make, click, learned, stored, until

pytestmark = pytest.mark.integration


async def test_one_of_two_routers_learns_and_the_other_takes_over(make: Make) -> None:
    async with make() as first:
        await until(lambda: first.state.learner)
        async with make() as second:
            await click(second, *(f"a{n}" for n in range(25)))
            await until(learned(first, 25))
            await until(learned(second, 25))
            assert (first.state.learner, second.state.learner) == (True, False)
            assert second.state.last_batch_timestamp == 0.0
            first.pause()
            await until(lambda: second.state.learner)
            await click(first, *(f"b{n}" for n in range(25)))
            await until(learned(first, 50))
            assert not first.state.learner


async def test_a_learner_that_lost_its_lock_is_fenced_off(make: Make, redis: Redis) -> None:
    async with make() as router:
        await until(lambda: router.state.learner)
        token = await stored(redis, KEYS.lock)
        await redis.set(KEYS.lock, "999 somebody else", px=700)
        await click(router, "q1")
        await asyncio.sleep(0.4)
        assert router.get_stats()["feedback_count"] == 0
        await until(learned(router, 1))
        assert int((await stored(redis, KEYS.lock)).split()[0]) > int(token.split()[0])


async def test_a_pushed_version_is_picked_up_at_once_and_an_older_one_never(
    make: Make, redis: Redis
) -> None:
    slow_poll = LearningOptions(poll_seconds=30)
    async with make(slow_poll) as router:
        await until(lambda: router.state.stored_version == 1)
        old = await stored(redis, KEYS.weights)
        asked = time.monotonic()
        version = await router.rollback_weights(1)
        async with make(slow_poll) as other:
            await other.rollback_weights(1)
            await until(lambda: router.weights.version == version + 1)
            assert time.monotonic() - asked < 1.0
            await redis.set(KEYS.weights, old)
            await redis.publish(KEYS.changes, "1")
            await asyncio.sleep(0.2)
            assert router.weights.version == version + 1


async def test_a_lost_push_is_made_good_by_the_poll(make: Make, redis: Redis) -> None:
    async with make() as router:
        head, body = (await stored(redis, KEYS.weights)).split(b" ", 1)
        await redis.set(KEYS.weights, b"%d " % (int(head) + 5) + body)
        await until(lambda: router.weights.version == int(head) + 5)


async def test_a_rollback_restores_the_weights_as_a_new_version_and_keeps_the_counters(
    make: Make,
) -> None:
    async with make() as router:
        before = router.weights
        await click(router, *(f"q{n}" for n in range(10)))
        await until(learned(router, 10))
        learned_version = router.weights.version
        version = await router.rollback_weights(before.version)
        assert version == learned_version + 1
        await until(lambda: router.weights.version == version)
        assert router.weights.note == f"rollback to version {before.version}"
        assert np.array_equal(
            router.weights.model.to_arrays()["theta"], before.model.to_arrays()["theta"]
        )
        assert router.get_stats()["feedback_count"] == 10
        assert await router.versions() == [*range(before.version, version + 1)]
        with pytest.raises(UnknownVersionError, match="999"):
            await router.rollback_weights(999)


async def test_damaged_weights_stop_learning_not_serving_and_a_rollback_repairs(
    make: Make, redis: Redis
) -> None:
    async with make() as router:
        await redis.set(KEYS.weights, b"2 00000000\n{}")
        await until(lambda: router.state.errors > 0)
        router.select(CONTEXT)
        version = await router.rollback_weights(1)
        await click(router, "q1")
        await until(learned(router, 1))
        assert router.weights.version > version


async def test_the_warm_start_and_the_newest_versions_are_kept(make: Make) -> None:
    async with make(LearningOptions(history_max=3)) as router:
        last = [await router.rollback_weights(1) for _ in range(2)]
        last += [await router.rollback_weights(last[-1]) for _ in range(3)]
        assert await router.versions() == [1, *last[-3:]]


async def test_an_emptied_redis_gets_the_last_known_weights_back(make: Make, redis: Redis) -> None:
    async with make() as router:
        await click(router, *(f"q{n}" for n in range(10)))
        await until(learned(router, 10))
        theta = router.weights.model.to_arrays()["theta"]
        await redis.flushall()
        await until(lambda: router.weights.version > 2)
        assert np.array_equal(router.weights.model.to_arrays()["theta"], theta)
        await click(router, "again")
        await until(learned(router, 11))


async def test_a_killed_connection_is_followed_by_a_new_one(make: Make, redis: Redis) -> None:
    async with make() as router:
        await until(lambda: router.state.learner)
        for _ in range(3):
            await redis.client_kill_filter(_type="pubsub")
            await redis.client_kill_filter(_type="normal", skipme=True)
            await asyncio.sleep(0.1)
        await click(router, "q1")
        await until(learned(router, 1))


async def test_weights_of_another_setup_stop_the_start(make: Make) -> None:
    async with make():
        pass
    with pytest.raises(WeightsError, match="vectors"):
        async with make(arms=("graph", "elsewhere")):
            pass


async def test_the_warm_start_decides_until_feedback_does(make: Make) -> None:
    """At rate 0.01 the prior counts as a hundred feedbacks."""
    prior = LinUCB(ARMS, 3)
    for _ in range(50):
        prior.update("vectors", CONTEXT, 0.9)
        prior.update("graph", CONTEXT, 0.1)
    async with make(prior=prior) as router:
        choice = router.weights.model
        assert choice.estimate("vectors", CONTEXT) > 0.8
        assert choice.propensities(CONTEXT)["vectors"] == pytest.approx(0.975)
