"""Saved histories: how they are made, and the commands that they hold.

``python -m tests.workflows.histories`` records them again; do that only when a change of the workflow
is meant to be incompatible with running rollouts, and say so in the CHANGELOG.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from temporalio.client import WorkflowHistory

from sluice.rehearsal.runner.time_skipping_server import time_skipping_server
from sluice.rollout.engine.commands import Verb
from sluice.rollout.engine.state import Status
from tests.workflows.harness import RunningRollout, running_rollout

FOLDER = Path(__file__).parents[1] / "histories"
HistoryScenario = Callable[[RunningRollout], Awaitable[object]]


async def healthy(rollout: RunningRollout) -> None:
    await rollout.wait_until(lambda s: s.step is not None and s.step.name == "ramp-100")
    await rollout.approve()
    await rollout.handle.result()


async def rolled_back_and_retried(rollout: RunningRollout) -> None:
    await rollout.wait_until(lambda s: s.percentage == 5)
    rollout.metrics.values["errors"] = 0.2
    await rollout.wait_until(lambda s: s.status is Status.DEGRADED)
    rollout.metrics.values["errors"] = 0.001
    await rollout.command(Verb.RETRY)
    await rollout.wait_until(lambda s: s.step is not None and s.step.name == "ramp-100")


async def paused_and_aborted(rollout: RunningRollout) -> None:
    await rollout.wait_until(lambda s: s.percentage == 5)
    await rollout.command(Verb.PAUSE)
    await rollout.pass_time(60)
    await rollout.command(Verb.RESUME)
    await rollout.command(Verb.ABORT)
    await rollout.handle.result()


SCENARIOS: dict[str, HistoryScenario] = {
    story.__name__: story for story in (healthy, rolled_back_and_retried, paused_and_aborted)
}


def recorded_commands(history: WorkflowHistory) -> list[str]:
    """Return the workflow's commands in order: timers with their length, activities by name.

    A replay notices added or missing commands, not changed durations; this list does.
    """
    asked = []
    for event in history.events:
        if event.HasField("timer_started_event_attributes"):
            span = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            asked.append(f"timer {round(span.total_seconds())} s")
        elif event.HasField("activity_task_scheduled_event_attributes"):
            asked.append(event.activity_task_scheduled_event_attributes.activity_type.name)
    return asked


async def record() -> None:
    """Play each story on the time-skipping server and save its history and commands."""
    for name, story in SCENARIOS.items():
        async with time_skipping_server() as env, running_rollout(env) as rollout:
            await story(rollout)
            history = await rollout.handle.fetch_history()
        (FOLDER / f"{name}.json").write_text(history.to_json())
        (FOLDER / f"{name}.commands.json").write_text(
            json.dumps(recorded_commands(history), indent=0)
        )


if __name__ == "__main__":
    asyncio.run(record())
