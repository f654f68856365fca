"""A watch that comes too late is seen from outside, on a real Temporal server."""

import asyncio
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.contract.models import WatchCheckpoint
from sluice.cli.clients.watch_turns import fetch_watch_turn
from sluice.worker.payload_converter import DATA_CONVERTER

pytestmark = pytest.mark.integration


@workflow.defn(name="Watched")
class Watched:
    @workflow.run
    async def run(self, age: float | None, late: float) -> None:
        await workflow.execute_activity(
            "watch_red_flags",
            args=[age, late],
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=30),
        )


@activity.defn(name="watch_red_flags")
async def beat_and_wait(age: float | None, late: float) -> None:
    """Beat with what the test gives, as a watch between two turns does."""
    at = None if age is None else datetime.now(UTC) - timedelta(seconds=age)
    checkpoint = WatchCheckpoint(at=at, interval_seconds=5, late_seconds=late)
    activity.heartbeat(checkpoint.model_dump(mode="json"))
    await asyncio.sleep(300)


@pytest.mark.parametrize(
    ("age", "late", "words"),
    [(1, 0.2, ""), (1, 40, "comes 40s too late"), (605, 0, "comes 10m"), (None, 0, None)],
)
async def test_a_late_watch_is_named(
    temporal_address: str, age: float | None, late: float, words: str | None
) -> None:
    client = await Client.connect(temporal_address, data_converter=DATA_CONVERTER)
    queue = name = f"watched-{uuid.uuid4().hex[:8]}"
    runner = UnsandboxedWorkflowRunner()
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Watched],
        activities=[beat_and_wait],
        workflow_runner=runner,
    ):
        handle = await client.start_workflow("Watched", args=[age, late], id=name, task_queue=queue)
        for _ in range(100):
            pending = (await handle.describe()).raw_description.pending_activities
            if pending and pending[0].HasField("heartbeat_details"):
                break
            await asyncio.sleep(0.05)
        turn = await fetch_watch_turn(client, name)
        await handle.terminate()
    if words is None:
        assert turn is None, "it has not looked yet"
        return
    assert turn is not None
    assert turn.is_late is bool(words)
    assert words in turn.text


async def test_a_watch_without_worker_is_named_with_its_true_age(temporal_address: str) -> None:
    """Its last heartbeat was on time: minutes later the watch still looked 6 s late."""
    client = await Client.connect(temporal_address, data_converter=DATA_CONVERTER)
    queue = name = f"watched-{uuid.uuid4().hex[:8]}"
    runner = UnsandboxedWorkflowRunner()
    handle = await client.start_workflow("Watched", args=[1, 0], id=name, task_queue=queue)
    async with Worker(client, task_queue=queue, workflows=[Watched], workflow_runner=runner):
        for _ in range(100):
            if (await handle.describe()).raw_description.pending_activities:
                break
            await asyncio.sleep(0.05)
    assert await fetch_watch_turn(client, name) is None, "a worker may take it at once"
    later = datetime.now(UTC) + timedelta(minutes=3)
    turn = await fetch_watch_turn(client, name, read_time=lambda _client: asyncio.sleep(0, later))
    await handle.terminate()
    assert turn is not None
    assert not turn.is_watched
    assert re.search(r"nobody has watched the red flags for (3m|2m59s)", turn.text)
