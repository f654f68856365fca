"""Whether the worker can tell people what plans say: the channels of each against its settings."""

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from cli.context import Context
from cli.doctor_findings import BAD, GOOD, Finding
from cli.errors import CliError
from cli.rollouts import Rollouts
from rollout.errors import PlanError
from rollout.notice import Channel
from rollout.plan import RolloutPlan
from rollout.plan_yaml import load_plan
from workflows.channels_workflow import SECONDS, ChannelsWorkflow
from workflows.policies import TASK_QUEUE

VARIABLES: dict[Channel, str] = {
    "webhook": "SLUICE_WEBHOOK_URL and SLUICE_WEBHOOK_SECRET",
    "slack": "SLUICE_SLACK_URL",
    "alertmanager": "SLUICE_ALERTMANAGER_URL",
}


async def look_at_channels(context: Context, plan: Path | None) -> list[Finding]:
    """One line for each channel that a running rollout or ``plan`` tells people on."""
    try:
        client = await context.temporal()
        plans = [*await _running(Rollouts(client)), *([load_plan(plan)] if plan else [])]
        if not any(one.notify for one in plans):
            return []
        return list(_findings(plans, await _configured(client)))
    except (CliError, PlanError, RPCError) as error:
        return [Finding("channels", BAD, str(error))]
    except (TimeoutError, WorkflowFailureError):
        text = "no worker (of this version) says what it was configured for: start `sluice worker`"
        return [Finding("channels", "warn", text)]


async def _running(rollouts: Rollouts) -> list[RolloutPlan]:
    return [(await rollouts.state(flag)).plan for flag in await rollouts.running()]


async def _configured(client: Client) -> list[Channel]:
    async with asyncio.timeout(SECONDS.total_seconds()):
        return await client.execute_workflow(
            ChannelsWorkflow.run,
            id=f"doctor-{uuid.uuid4()}",
            task_queue=TASK_QUEUE,
            execution_timeout=SECONDS,
            static_summary="sluice doctor asks for the worker's channels",
        )


def _findings(plans: Iterable[RolloutPlan], configured: list[Channel]) -> Iterator[Finding]:
    needed: dict[Channel, set[str]] = {}
    for plan in plans:
        for route in plan.notify:
            needed.setdefault(route.channel, set()).add(plan.flag)
    for channel, flags in sorted(needed.items()):
        who = f"the plan of {', '.join(sorted(flags))}"
        if channel in configured:
            yield Finding(f"channel {channel}", GOOD, f"configured; {who} tells people there")
            continue
        text = f"{who} tells people there, but the worker has no {VARIABLES.get(channel, channel)}"
        yield Finding(f"channel {channel}", BAD, f"{text}: nobody would hear of it")
