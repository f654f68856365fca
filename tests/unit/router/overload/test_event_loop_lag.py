"""A process with more to do than it can notices it, and turns away what it could not answer in time."""

import asyncio
import time

import pytest

from router.overload.event_loop_lag import BUSY_SECONDS, SHED_SECONDS, TICKS, EventLoopLag


async def test_a_loop_with_too_much_to_do_is_late_and_an_idle_one_is_not() -> None:
    lag, ticked = EventLoopLag(), asyncio.Event()
    running = asyncio.create_task(lag.run(ticked.set))
    for _ in range(TICKS):
        await _wait_for_tick(ticked)
    before = lag.seconds
    for _ in range(TICKS):
        time.sleep(0.2)  # noqa: ASYNC251 - what the test is about
        await _wait_for_tick(ticked)
    running.cancel()
    assert before < BUSY_SECONDS < lag.seconds


@pytest.mark.parametrize(
    ("times", "share"), [(0.5, 0.0), (1.0, 0.0), (1.5, 0.5), (2.0, 1.0), (9.0, 1.0)]
)
def test_the_later_the_loop_the_more_are_turned_away(times: float, share: float) -> None:
    lag = EventLoopLag()
    for _ in range(TICKS):
        lag.record(times * SHED_SECONDS)
    refused = sum(lag.should_shed() for _ in range(2000)) / 2000
    assert refused == pytest.approx(share, abs=0.1)


def test_a_loop_that_was_held_up_twice_refuses_nobody() -> None:
    lag = EventLoopLag()
    for late in (5.0, 0.001, 0.0, 5.0, 0.002):
        lag.record(late)
        assert not lag.is_busy
        assert not lag.should_shed()


async def _wait_for_tick(ticked: asyncio.Event) -> None:
    ticked.clear()
    await ticked.wait()
