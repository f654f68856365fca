"""Deadlines hold whatever the work does; what keeps failing is left alone and tried by one."""

import asyncio
import time
from unittest.mock import patch

import pytest

from router.breaker import Breaker
from router.patience import end, within


async def test_results_and_errors_pass_through() -> None:
    async def fails() -> None:
        raise KeyError("x")

    assert await within(1, asyncio.sleep(0, "done")) == "done"
    with pytest.raises(KeyError):
        await within(1, fails())


async def stubborn(seconds: float) -> None:
    """Ends when it likes, as a driver that asks a frozen server to cancel."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            continue


async def test_work_that_ignores_its_cancellation_does_not_hold_the_caller() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await within(0.05, stubborn(1.0))
    assert time.monotonic() - began < 0.8


async def test_a_cancelled_caller_cancels_the_work() -> None:
    seen = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            seen.set()

    task = asyncio.create_task(within(10, work()))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait_for(seen.wait(), 1)


async def test_a_task_that_swallows_the_first_cancellation_is_ended_by_the_next() -> None:
    async def swallows() -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                continue
        await asyncio.sleep(10)

    task = asyncio.create_task(swallows())
    await asyncio.sleep(0)
    await end([task])
    assert task.done()


def test_a_breaker_opens_lets_one_try_and_closes_again() -> None:
    now = 100.0
    with patch("router.breaker.time.monotonic", lambda: now):
        breaker = Breaker(failures_max=2, open_seconds=2.0)
        breaker.failed()
        assert breaker.admits()
        breaker.failed()
        assert not breaker.admits()
        now = 102.1
        assert [breaker.admits() for _ in range(3)] == [True, False, False]
        breaker.failed()
        assert not breaker.admits()
        now = 104.2
        assert breaker.admits()
        breaker.succeeded()
        assert [breaker.admits() for _ in range(3)] == [True, True, True]


def test_a_trial_that_never_reports_is_forgotten() -> None:
    now = 0.0
    with patch("router.breaker.time.monotonic", lambda: now):
        breaker = Breaker(failures_max=1)
        breaker.failed()
        now = 3.0
        assert breaker.admits()
        now = 14.0
        assert breaker.admits()
