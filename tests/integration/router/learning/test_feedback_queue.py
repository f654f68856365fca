"""Feedback on a real Redis: durable, exactly once, in its right place; and what it lets one ask."""

import asyncio

import pytest
from redis.asyncio import Redis

from router.learning import (
    Choice,
    Decision,
    LearningError,
    LearningOptions,
    OnlineLearningRouter,
    QueueFullError,
    UserFeedback,
)
from router.learning.off_policy import evaluate_policy, fixed_policy, load_policy
from router.learning.propensity_log import read_log
from tests.integration.router.learning.learner_fixtures import (
    ARMS,
    CONTEXT,
    KEYS,
    StartRouter,
    feedback_count_equals,
    remember_answer,
    send_clicks,
    wait_until,
)

pytestmark = pytest.mark.integration


async def test_feedback_is_in_redis_before_the_answer_and_survives_without_a_learner(
    start_router: StartRouter, redis: Redis
) -> None:
    async with start_router() as router:
        router.pause()
        await asyncio.sleep(0.3)
        await send_clicks(router, "q1", "q2")
        assert await redis.xlen(KEYS.feedback) == 2
        await wait_until(lambda: router.get_stats()["queue_size"] == 2)
    async with start_router() as other:
        await wait_until(feedback_count_equals(other, 2))
        assert await redis.xlen(KEYS.feedback) == 0


async def test_get_stats_has_the_guides_fields(start_router: StartRouter) -> None:
    async with start_router() as router:
        choice = await remember_answer(router, "q1")
        await router.record_feedback(UserFeedback("q1", clicked=True, explicit_rating=1))
        await wait_until(feedback_count_equals(router, 1))
        stats = router.get_stats()
        assert stats["batch_update_count"] == 1
        assert stats["avg_reward"] == pytest.approx(2 / 3)
        assert stats["learning_rate"] == 0.01
        assert stats["databases"][choice.arm] == {"n_pulls": 1, "avg_reward": stats["avg_reward"]}
        assert set(stats["databases"]) == set(ARMS)
        await wait_until(lambda: router.get_stats()["queue_size"] == 0)


async def test_a_second_feedback_for_a_query_counts_once_before_and_after_learning(
    start_router: StartRouter,
) -> None:
    async with start_router() as router:
        await send_clicks(router, "q1")
        first = await router.record_feedback(UserFeedback("q1", clicked=False))
        await wait_until(feedback_count_equals(router, 1))
        await remember_answer(
            router, "q1"
        )  # the id was used: remembering it again must not reopen it
        second = await router.record_feedback(UserFeedback("q1", clicked=False))
        assert [first.outcome, second.outcome, first.cohort] == ["duplicate"] * 2 + ["treatment"]
        await wait_until(lambda: router.get_stats().get("duplicate_feedback") == 2)
        assert router.get_stats()["avg_reward"] == 1.0


async def test_unknown_late_and_empty_feedback_have_distinct_outcomes_and_no_update(
    start_router: StartRouter, redis: Redis
) -> None:
    options = LearningOptions(decision_seconds=0.05, late_seconds=60, poll_seconds=0.1)
    async with start_router(options) as router:
        await remember_answer(router, "old")
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
        await wait_until(lambda: router.get_stats().get("late_feedback") == 1)


async def test_a_decision_can_be_read_until_it_is_used(start_router: StartRouter) -> None:
    async with start_router() as router:
        choice = await remember_answer(router, "q1")
        kept = await router.load_decision("q1")
        assert kept is not None
        assert (kept.arm, kept.propensity, kept.cohort) == (
            choice.arm,
            choice.propensity,
            "treatment",
        )
        assert kept.context.tolist() == CONTEXT.tolist()
        assert await router.load_decision("q2") is None
        await router.record_feedback(UserFeedback("q1", clicked=True))
        assert await router.load_decision("q1") is None


async def test_several_decisions_take_one_round_trip(start_router: StartRouter) -> None:
    async with start_router() as router:
        decision = Decision.from_choice(CONTEXT, router.select(CONTEXT), "control")
        await router.store_decisions({"a": decision, "b": decision})
        kept = await router.load_decision("b")
        assert kept is not None
        assert kept.cohort == "control"


async def test_a_full_queue_refuses_feedback_and_keeps_the_decision_open(
    start_router: StartRouter,
) -> None:
    async with start_router(LearningOptions(queue_max=1)) as router:
        router.pause()
        await asyncio.sleep(0.3)
        await send_clicks(router, "q1")
        await remember_answer(router, "q2")
        with pytest.raises(QueueFullError):
            await router.record_feedback(UserFeedback("q2", clicked=True))
        assert await router.load_decision("q2") is not None


async def test_poison_goes_to_the_dead_letters_and_the_rest_is_learned(
    start_router: StartRouter, redis: Redis
) -> None:
    async with start_router() as router:
        await send_clicks(router, "q1")
        await redis.xadd(KEYS.feedback, {b"\xff\xfe": b"\x80not utf-8"})
        await redis.xadd(KEYS.feedback, {"feedback": "{}", "decision": "{}"})
        decision = Decision.from_choice(CONTEXT, Choice("nowhere", 0.5, {}), "treatment")
        await router.store_decisions({"q2": decision})
        await router.record_feedback(UserFeedback("q2", clicked=True))
        await send_clicks(router, "q3")
        await wait_until(lambda: router.get_stats()["dead_letters"] == 3)
        await wait_until(feedback_count_equals(router, 2))
        assert router.get_stats()["refused_updates"] == 1
        assert "unknown arm" in str(await redis.xrange(KEYS.dead_letters))
        assert router.snapshot.errors == 0


async def test_the_log_supports_off_policy_evaluation(
    start_router: StartRouter, redis: Redis
) -> None:
    async with start_router(LearningOptions(epsilon=1.0, seed=3)) as router:
        for number in range(60):
            choice = await remember_answer(router, f"q{number}")
            clicked = choice.arm == "vectors"
            await router.record_feedback(UserFeedback(f"q{number}", clicked=clicked))
        await remember_answer(router, "control", cohort="control")
        await router.record_feedback(UserFeedback("control", clicked=True))
        await wait_until(feedback_count_equals(router, 60))
        await wait_until(lambda: router.get_stats()["queue_size"] == 0)
        good = await evaluate_policy(redis, "test", fixed_policy("vectors"))
        bad = await evaluate_policy(redis, "test", fixed_policy("graph"))
        assert (good.snips.value, bad.snips.value, good.samples) == (1.0, 0.0, 60)
        current = await evaluate_policy(redis, "test", await load_policy(redis, "test"))
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
