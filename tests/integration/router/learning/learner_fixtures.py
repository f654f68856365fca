"""Fixtures of the online learner: its settings, and a user who clicks."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import numpy as np
from redis.asyncio import Redis

from router.learning import (
    Choice,
    LearningKeys,
    LearningOptions,
    OnlineLearningRouter,
    UserFeedback,
)

ARMS = ("graph", "vectors")
CONTEXT = np.array([0.5, 0.25, 1.0])
KEYS = LearningKeys("test")
FAST_OPTIONS = LearningOptions(lease_seconds=0.6, poll_seconds=0.1, retry_seconds=0.05, seed=1)
StartRouter = Callable[..., AbstractAsyncContextManager[OnlineLearningRouter]]


def wait_for_port(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)


async def stored_bytes(redis: Redis, key: str) -> bytes:
    value = await redis.get(key)
    assert isinstance(value, bytes)
    return value


async def wait_until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


async def remember_answer(
    router: OnlineLearningRouter, query_id: str, cohort: str = "treatment"
) -> Choice:
    choice = router.select(CONTEXT)
    await router.store_decision(query_id, CONTEXT, choice, cohort)
    return choice


async def send_clicks(router: OnlineLearningRouter, *names: str) -> None:
    for name in names:
        await remember_answer(router, name)
        receipt = await router.record_feedback(UserFeedback(name, clicked=True))
        assert receipt.outcome == "accepted"


def feedback_count_equals(router: OnlineLearningRouter, count: int) -> Callable[[], bool]:
    return lambda: router.get_stats()["feedback_count"] == count
