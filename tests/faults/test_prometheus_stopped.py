"""Prometheus stops in the middle of a step."""

import asyncio

import pytest

from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine.state import Status
from tests.conftest import StackFactory
from tests.faults.live_rollout import FLAG, SERVICES, LiveRollout

pytestmark = pytest.mark.integration


async def test_without_prometheus_nothing_advances_and_it_says_why(
    make_stack: StackFactory,
) -> None:
    """An Error holds; the rollout says so in words, and goes on when Prometheus is back."""
    stack = make_stack(SERVICES)
    live = await LiveRollout.start(stack)
    try:
        await live.wait_until(lambda s: s.percentage == 5)
        await stack.stop("prometheus")
        state = await live.wait_until(
            lambda s: s.clock.check is not None and s.clock.check.outcome is Outcome.ERROR
        )
        await asyncio.sleep(10)  # longer than the step's hold
        state = await live.rollouts.fetch_state(FLAG)
        because, _ = await live.rollouts.fetch_waiting(FLAG)
        assert (state.percentage, state.status) == (5, Status.PROGRESSING)
        assert "could not measure" in because
        await stack.up(["prometheus"])
        end = await live.wait_until(lambda s: s.status is Status.HEALTHY, seconds=60)
        assert end.percentage == 100
        assert await live.percentages() == [0, 5, 100]
    finally:
        await live.close()
