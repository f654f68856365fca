"""Check that the worker has every channel that a plan sends notices to."""

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.context import Context
from sluice.cli.doctor.finding import BAD, GOOD, DoctorFinding
from sluice.cli.errors import CliError
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.plan.notification import Channel
from sluice.rollout.plan.schema import RolloutPlan
from workflows.activity_options import TASK_QUEUE
from workflows.worker_channels_workflow import ACTIVITY_TIMEOUT, WorkerChannelsWorkflow

CHANNEL_VARIABLES: dict[Channel, str] = {
    "webhook": "SLUICE_WEBHOOK_URL and SLUICE_WEBHOOK_SECRET",
    "slack": "SLUICE_SLACK_URL",
    "alertmanager": "SLUICE_ALERTMANAGER_URL",
    "email": "SLUICE_SMTP_URL, SLUICE_EMAIL_FROM and SLUICE_EMAIL_TO",
}


async def check_channels(context: Context, plan: Path | None) -> list[DoctorFinding]:
    """Return a finding for each channel that a running rollout or ``plan`` uses."""
    try:
        client = await context.connect_temporal()
        plans = [*await _running_plans(Rollouts(client)), *([load_plan(plan)] if plan else [])]
        if not any(rollout_plan.notify for rollout_plan in plans):
            return []
        return list(_channel_findings(plans, await _worker_channels(client)))
    except (CliError, PlanError, RPCError) as error:
        return [DoctorFinding("channels", BAD, str(error))]
    except (TimeoutError, WorkflowFailureError):
        text = "no worker of this version answers; start `sluice worker`"
        return [DoctorFinding("channels", "warn", text)]


async def _running_plans(rollouts: Rollouts) -> list[RolloutPlan]:
    return [(await rollouts.fetch_state(flag)).plan for flag in await rollouts.running_flags()]


async def _worker_channels(client: Client) -> list[Channel]:
    async with asyncio.timeout(ACTIVITY_TIMEOUT.total_seconds()):
        return await client.execute_workflow(
            WorkerChannelsWorkflow.run,
            id=f"doctor-{uuid.uuid4()}",
            task_queue=TASK_QUEUE,
            execution_timeout=ACTIVITY_TIMEOUT,
            static_summary="sluice doctor asks for the worker's channels",
        )


def _channel_findings(
    plans: Iterable[RolloutPlan], configured: list[Channel]
) -> Iterator[DoctorFinding]:
    needed: dict[Channel, set[str]] = {}
    for plan in plans:
        for route in plan.notify:
            needed.setdefault(route.channel, set()).add(plan.flag)
    for channel, flags in sorted(needed.items()):
        plan_text = f"the plan of {', '.join(sorted(flags))}"
        if channel in configured:
            yield DoctorFinding(f"channel {channel}", GOOD, f"configured; {plan_text} uses it")
            continue
        text = (
            f"{plan_text} uses it, but the worker lacks {CHANNEL_VARIABLES.get(channel, channel)}"
        )
        yield DoctorFinding(f"channel {channel}", BAD, f"{text}: its notices are not sent")
