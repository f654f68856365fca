"""The demo deletes flags and ends a rollout, so it touches nothing that it did not start."""

import uuid
from pathlib import Path

import pytest
from redis.asyncio import Redis

from sluice.cli.commands.demo import require_no_other_flags, require_own_servers
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.flags import FeatureFlags


def test_the_demo_refuses_servers_that_it_did_not_start(tmp_path: Path) -> None:
    """With REDIS_URL of production set, it deleted production's flags."""
    environment = {"REDIS_URL": "redis://prod:6379/0", "TEMPORAL_ADDRESS": "prod:7233"}
    with pytest.raises(CliError, match="env -u TEMPORAL_ADDRESS -u REDIS_URL") as refused:
        require_own_servers(environment, tmp_path)
    assert refused.value.code == Exit.USAGE
    require_own_servers({}, tmp_path)


@pytest.mark.integration
async def test_the_demo_deletes_no_flag_of_others(redis_url: str) -> None:
    name = f"demo-{uuid.uuid4().hex[:8]}"
    context = Context({"REDIS_URL": redis_url, "SLUICE_ENVIRONMENT": name})
    redis = Redis.from_url(redis_url)
    flags = FeatureFlags(redis, environment=name)
    await flags.create_flag("demo", rollout_percentage=25)
    await flags.create_flag("idle")
    await require_no_other_flags(context, "demo")
    await flags.create_flag("theirs", rollout_percentage=5)
    with pytest.raises(CliError, match="others: theirs"):
        await require_no_other_flags(context, "demo")
    await flags.kill("theirs")  # a latch is kept as well
    with pytest.raises(CliError, match="others: theirs"):
        await require_no_other_flags(context, "demo")
    await redis.aclose()
