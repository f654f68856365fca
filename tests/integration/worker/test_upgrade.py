"""A new version of the worker takes over in the middle of a rollout (docs/operations.md)."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.service import RPCError

from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import Status
from sluice.stack import Stack
from sluice.stack.executables import find_executable
from tests.conftest import StackFactory
from tests.faults.live_rollout import FLAG, SERVICES, SLOW_PLAN, LiveRollout
from tests.free_port import free_port
from workflows.models import workflow_id

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SECONDS = 60


def worker_settings(version: str) -> dict[str, str]:
    address = f"127.0.0.1:{free_port()}"
    return {
        "SLUICE_WORKER_BUILD_ID": version,
        "SLUICE_WORKER_HEALTH_ADDRESS": address,
        "SLUICE_PAYLOAD_KEYS": "",
    }


async def make_current(stack: Stack, version: str) -> None:
    """Run the command of docs/operations.md; retry until Temporal registers the new version."""
    command = ("worker", "deployment", "set-current-version", "--deployment-name", "sluice")
    address = stack.environment()["TEMPORAL_ADDRESS"]
    options = ("--build-id", version, "--yes", "--address", address)
    async with asyncio.timeout(SECONDS):
        while True:
            run = await asyncio.create_subprocess_exec(
                find_executable("temporal"),
                *command,
                *options,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            if await run.wait() == 0:
                return
            await asyncio.sleep(0.5)


async def wait_until_ready(address: str) -> None:
    async with asyncio.timeout(SECONDS), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                if (await http.get(f"http://{address}/readyz")).is_success:
                    return
            except httpx.HTTPError:
                pass  # not listening yet
            await asyncio.sleep(0.2)


@pytest.fixture
async def live(make_stack: StackFactory) -> AsyncIterator[LiveRollout]:
    stack = make_stack(SERVICES)
    first = worker_settings("v1")
    rollout = await LiveRollout.start(stack, first, SLOW_PLAN)
    await wait_until_ready(first["SLUICE_WORKER_HEALTH_ADDRESS"])
    await make_current(stack, "v1")
    yield rollout
    await rollout.close()


async def rollout_version(live: LiveRollout) -> str:
    """Return the rollout's worker version according to Temporal."""
    handle = live.rollouts.client.get_workflow_handle(workflow_id(FLAG))
    info = (await handle.describe()).raw_description.workflow_execution_info
    return info.versioning_info.deployment_version.build_id


async def current_version(live: LiveRollout) -> str:
    request = DescribeWorkerDeploymentRequest(
        namespace=live.rollouts.client.namespace, deployment_name="sluice"
    )
    try:
        answer = await live.rollouts.client.workflow_service.describe_worker_deployment(request)
    except RPCError:
        return ""
    return answer.worker_deployment_info.routing_config.current_deployment_version.build_id


async def test_a_rollout_goes_on_with_the_next_version(live: LiveRollout) -> None:
    """v2 starts beside v1 and is made current, v1 drains: the step's clock runs on, nothing twice."""
    before = await live.wait_until(lambda s: s.percentage == 5 and s.clock.check is not None)
    assert await rollout_version(live) == "v1"
    second = worker_settings("v2")
    await live.start_worker(second, name="worker-v2")
    await wait_until_ready(second["SLUICE_WORKER_HEALTH_ADDRESS"])
    await make_current(live.stack, "v2")
    assert await current_version(live) == "v2"
    await live.stack.stop("worker")
    drained = (await live.wait_until(lambda _: True)).check_count
    after = await live.wait_until(lambda s: s.check_count > drained + 1)
    assert await rollout_version(live) == "v2"
    assert (after.run_id, after.clock.started_at) == (before.run_id, before.clock.started_at)
    await live.rollouts.send_command(FLAG, Verb.PROMOTE, Command(actor="ann", reason="v2 is well"))
    end = await live.wait_until(lambda s: s.status is Status.HEALTHY)
    assert end.percentage == 100
    assert await live.percentages() == [0, 5, 100]
