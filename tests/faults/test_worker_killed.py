"""The worker dies; the rollout doesn't."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg  # type: ignore[import-untyped]  # ships no types
import pytest

from sluice.rollout.engine.state import State, Status
from tests.conftest import StackFactory
from tests.faults.live_rollout import SERVICES, LiveRollout

pytestmark = pytest.mark.integration


@pytest.fixture
async def live(make_stack: StackFactory) -> AsyncIterator[LiveRollout]:
    rollout = await LiveRollout.start(make_stack(SERVICES))
    yield rollout
    await rollout.close()


async def check_keys(live: LiveRollout) -> list[str]:
    connection = await asyncpg.connect(live.stack.environment()["SLUICE_LEDGER_DSN"])
    try:
        rows = await connection.fetch("SELECT key FROM sluice_ledger WHERE kind = 'check'")
    finally:
        await connection.close()
    return [row["key"] for row in rows]


async def test_a_killed_worker_goes_on_where_it_was(live: LiveRollout) -> None:
    """SIGKILL in the middle of a step: the step's clock runs on and nothing is done twice."""
    before = await live.wait_until(lambda s: s.percentage == 5 and s.clock.check is not None)
    await live.kill_worker()
    await asyncio.sleep(1)
    await live.start_worker()
    starts = {before.clock.started_at}

    def healthy(state: State) -> bool:
        if state.step is not None and state.step.name == "ramp-5":
            starts.add(state.clock.started_at)
        return state.status is Status.HEALTHY

    end = await live.wait_until(healthy)
    assert starts - {None} == {before.clock.started_at}, "the step's clock was reset"
    entered = [event.at for event in end.timeline if event.kind == "step"]
    assert len(entered) == 3
    assert entered[1] == before.clock.started_at
    assert end.check_count > before.check_count
    assert end.percentage == 100
    assert await live.percentages() == [0, 5, 100]
    fences = [e.metadata.fence.sequence for e in await live.history() if e.metadata.fence]
    assert fences == sorted(fences), "an older write came after a newer one"
    actions = [(e.action, str(e.after)) for e in await live.history()]
    assert len(set(actions)) == len(actions), f"something was done twice: {actions}"
    keys = await check_keys(live)
    assert len(set(keys)) == len(keys)


async def test_a_red_flag_while_the_worker_is_dead_fires_when_one_is_back(
    live: LiveRollout,
) -> None:
    """Dead guards watch nothing, but the first thing a new worker does is look."""
    await live.wait_until(lambda s: s.percentage == 5)
    await live.kill_worker()
    live.errors.labels("treatment").set(0.5)
    await asyncio.sleep(1)
    await live.start_worker()
    state = await live.wait_until(lambda s: s.status is Status.DEGRADED)
    assert state.percentage == 0
    assert (await live.percentages())[-1] == 0
