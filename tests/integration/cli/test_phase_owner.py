"""One rollout of an environment sets the router's phases: a second start is refused at once."""

import asyncio
import uuid

import pytest
from redis.asyncio import Redis

from sluice.cli.clients.phase_owner import require_free_phases
from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.context import Context
from sluice.cli.errors import CliError
from sluice.flags import DesiredState, FeatureFlags
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.schema import RolloutPlan
from workflows.models import workflow_id

pytestmark = pytest.mark.integration
SWITCHES = "phases: {enable_feature_flags: true, enable_online_learning: false}, "


def plan_of(flag: str, environment: str, switches: str = SWITCHES) -> RolloutPlan:
    """Return a plan of one step."""
    return parse_plan(f"""name: p
flag: {flag}
environment: {environment}
metrics: {{errors: {{query: up, unit: ratio}}}}
steps:
  - {{name: one, title: One, stage: 1, {switches}interval: 1m, hold: 1h, deadline: 2h,
     gates: [{{metric: errors, cohort: all, threshold: 1%, window: 5m}}]}}
""")


async def test_phases_that_are_on_refuse_the_start_of_another_flags_plan(
    redis_url: str, temporal_address: str
) -> None:
    """Each of them would take the other's users: the refusal names the owner and the way out."""
    context = Context({"REDIS_URL": redis_url, "TEMPORAL_ADDRESS": temporal_address})
    rollouts = Rollouts(await context.connect_temporal())
    environment = f"e-{uuid.uuid4().hex[:8]}"
    async with Redis.from_url(redis_url) as redis:
        flags = FeatureFlags(redis, environment=environment)
        await flags.apply(
            DesiredState("first", create=True, phases={"enable_online_learning": True})
        )
        with pytest.raises(CliError, match=r"belong to flag first .* phases --off"):
            await require_free_phases(context, rollouts, plan_of("second", environment))
        await require_free_phases(context, rollouts, plan_of("first", environment))
        await require_free_phases(context, rollouts, plan_of("second", environment, ""))
        await require_free_phases(context, rollouts, plan_of("second", "elsewhere"))
        await flags.set_phases(
            dict.fromkeys(("enable_feature_flags", "enable_online_learning"), False)
        )
        await require_free_phases(context, rollouts, plan_of("second", environment))


async def test_a_rollout_that_has_not_set_its_phases_yet_counts_too(
    redis_url: str, temporal_address: str
) -> None:
    """It waits for an approval: by the time its step starts, the phases would be another's."""
    context = Context({"REDIS_URL": redis_url, "TEMPORAL_ADDRESS": temporal_address})
    rollouts = Rollouts(await context.connect_temporal())
    environment, flag = f"e-{uuid.uuid4().hex[:8]}", f"f-{uuid.uuid4().hex[:8]}"
    await rollouts.start(plan_of(flag, environment))  # no worker carries it out
    try:
        for _ in range(200):  # Temporal lists a workflow a moment after its start
            if await rollouts.phase_setting_flags(environment):
                break
            await asyncio.sleep(0.1)
        with pytest.raises(CliError, match=f"the rollout of {flag}, which runs"):
            await require_free_phases(context, rollouts, plan_of("second", environment))
        await require_free_phases(context, rollouts, plan_of("second", environment, ""))
    finally:
        await rollouts.client.get_workflow_handle(workflow_id(flag)).terminate()
