"""``sluice abort`` and ``sluice kill`` without a worker take the treatment away at every stage."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.commands.decisions import _abort
from sluice.cli.commands.kill import kill_flag
from sluice.cli.context import Context
from sluice.flags import DesiredState, FeatureFlags, Fence, WriteMetadata
from sluice.rollout.engine.commands import Command
from tests.integration.cli.test_phase_owner import plan_of
from workflows.models import workflow_id

pytestmark = pytest.mark.integration
PERMANENT = {"enable_feature_flags": False, "enable_online_learning": True}
ANN = Command(actor="ann", reason="stop")


@pytest_asyncio.fixture
async def rollout(
    redis_url: str, temporal_address: str
) -> AsyncIterator[tuple[Context, FeatureFlags, str]]:
    """Give a running rollout that no worker carries out, and the flags of its environment."""
    context = Context({"REDIS_URL": redis_url, "TEMPORAL_ADDRESS": temporal_address})
    rollouts, flag = Rollouts(await context.connect_temporal()), f"f-{uuid.uuid4().hex[:8]}"
    await rollouts.start(plan_of(flag, "default"))
    async with Redis.from_url(redis_url) as redis:
        yield context, FeatureFlags(redis), flag
    await rollouts.client.get_workflow_handle(workflow_id(flag)).terminate()


async def delete_for_good(flags: FeatureFlags, flag: str) -> None:
    """Do as the cleanup does: the flag goes, and its treatment is everybody's."""
    for sequence, desired in enumerate(
        (
            DesiredState(flag, percentage=100, create=True),
            DesiredState(flag, delete=True, phases=PERMANENT),
        )
    ):
        change = WriteMetadata("sluice", "step", Fence("run", sequence))
        await flags.apply(desired, metadata=change)
    assert (await flags.document()).phases.treats_everyone


async def signals_of(context: Context, flag: str) -> str:
    client = await context.connect_temporal()
    return (await client.get_workflow_handle(workflow_id(flag)).fetch_history()).to_json()


async def test_an_abort_in_the_cleanup_takes_the_treatment_from_everybody(
    rollout: tuple[Context, FeatureFlags, str],
) -> None:
    """The flag is deleted by then: "no flag" would leave everybody treated."""
    context, flags, flag = rollout
    await delete_for_good(flags, flag)
    await _abort(context, flag, ANN, json=False)
    document = await flags.document()
    assert (document.flags[flag].killed, document.phases.treats_everyone) == (True, False)
    assert '"signalName": "abort"' in await signals_of(context, flag)


async def test_a_kill_in_the_cleanup_needs_no_temporal(
    rollout: tuple[Context, FeatureFlags, str],
) -> None:
    context, flags, flag = rollout
    await delete_for_good(flags, flag)
    await kill_flag(context, flag, WriteMetadata(actor="ann", reason="stop"))
    assert not (await flags.document()).phases.treats_everyone


async def test_an_abort_before_the_flag_exists_still_reaches_the_rollout(
    rollout: tuple[Context, FeatureFlags, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The kill finds nothing to kill; the signal ends the rollout before it exposes anybody."""
    context, flags, flag = rollout
    await asyncio.wait_for(_abort(context, flag, ANN, json=False), 30)
    assert f"environment default has no flag {flag}" in capsys.readouterr().out
    assert '"signalName": "abort"' in await signals_of(context, flag)
    assert flag not in (await flags.document()).flags


async def test_an_abort_kills_in_the_environment_of_the_plan(
    redis_url: str, temporal_address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the caller's own environment there was no such flag: "nobody has it", and 25 % had it."""
    context = Context({"REDIS_URL": redis_url, "TEMPORAL_ADDRESS": temporal_address})
    rollouts, flag = Rollouts(await context.connect_temporal()), f"f-{uuid.uuid4().hex[:8]}"
    await rollouts.start(plan_of(flag, "staging"))
    async with Redis.from_url(redis_url) as redis:
        staging = FeatureFlags(redis, environment="staging")
        await staging.create_flag(flag, rollout_percentage=25)
        await _abort(context, flag, ANN, json=False)
        assert (await staging.get_flag(flag)).killed
    printed = capsys.readouterr()
    assert f"{flag} is killed: 0 %" in printed.out
    assert f"`sluice kill {flag}` takes the flag to 0 %" in printed.err
    await rollouts.client.get_workflow_handle(workflow_id(flag)).terminate()
