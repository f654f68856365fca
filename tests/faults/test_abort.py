"""``sluice abort`` works whatever is down but Redis: update, else signal, else the kill latch."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rollout.state import Status
from router.flags import FeatureFlags
from tests.conftest import StackFactory
from tests.faults.live_rollout import FLAG, SERVICES, SLOW, LiveRollout

pytestmark = [pytest.mark.integration, pytest.mark.slow]
KILLED = {"flag": FLAG, "percentage": 0, "killed": True}


@pytest.fixture
async def live(make_stack: StackFactory) -> AsyncIterator[LiveRollout]:
    rollout = await LiveRollout.begin(make_stack(SERVICES), plan=SLOW)
    await rollout.reaches(lambda s: s.percentage == 5)
    yield rollout
    await rollout.end()


async def abort(live: LiveRollout) -> Any:  # noqa: ANN401  any JSON document
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "sluice"),
        *("abort", FLAG, "-m", "it hurts", "--json"),
        env={**os.environ, **live.stack.environment(), "SLUICE_ACTOR": "ann"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)


async def test_abort_takes_traffic_away_without_worker_and_without_temporal(
    live: LiveRollout,
) -> None:
    """The latch needs only Redis; a signal waits for the worker, and the rollout ends Aborted."""
    flags = FeatureFlags(live.redis)
    await live.kill_worker()
    assert await abort(live) == KILLED
    assert (await flags.get_flag(FLAG)).killed
    await flags.unkill(FLAG)
    temporal = live.stack.environment()["TEMPORAL_ADDRESS"]
    await live.stack.stop("temporal")
    assert await abort(live) == KILLED
    assert (await flags.get_flag(FLAG)).killed
    await live.stack.up(["temporal"])
    assert live.stack.environment()["TEMPORAL_ADDRESS"] == temporal
    await live.start_worker()
    end = await live.reaches(lambda s: s.ended)
    assert (end.status, end.aborted_by, end.percentage) == (Status.ABORTED, "ann", 0)
