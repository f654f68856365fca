"""Deadlines hold whatever the work does; what keeps failing is left alone and tried by one."""

import asyncio
import time

import pytest

from router.overload.timeouts import cancel_all, wait_within


async def test_results_and_errors_pass_through() -> None:
    async def fails() -> None:
        raise KeyError("x")

    assert await wait_within(1, asyncio.sleep(0, "done")) == "done"
    with pytest.raises(KeyError):
        await wait_within(1, fails())


async def ignore_cancellation(seconds: float) -> None:
    """Ignore cancellation for a while, like a driver that asks a frozen server to cancel."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            continue


async def test_work_that_ignores_its_cancellation_does_not_hold_the_caller() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await wait_within(0.05, ignore_cancellation(1.0))
    assert time.monotonic() - began < 0.8


async def test_a_cancelled_caller_cancels_the_work() -> None:
    seen = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            seen.set()

    task = asyncio.create_task(wait_within(10, work()))
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
    await cancel_all([task])
    assert task.done()
