"""What docker-compose.yml runs against Temporal works on a real one: namespace and worker health."""

import asyncio
import os
import runpy
import subprocess
import sysconfig
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.worker import Worker

from workflows.policies import TASK_QUEUE

pytestmark = pytest.mark.integration

OPS = Path(__file__).parents[2] / "ops"
NAMESPACE = "production-like"


def setup_namespace(address: str) -> str:
    variables = {
        "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}",
        "TEMPORAL_ADDRESS": address,
        "TEMPORAL_NAMESPACE": NAMESPACE,
    }
    done = subprocess.run(  # noqa: S603  # our own script
        ["/bin/sh", OPS / "temporal" / "namespace.sh"],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_namespace_script_keeps_histories_and_can_run_again(temporal_address: str) -> None:
    await asyncio.to_thread(setup_namespace, temporal_address)
    again = await asyncio.to_thread(setup_namespace, temporal_address)
    assert "update succeeded" in again
    client = await Client.connect(temporal_address, namespace=NAMESPACE)
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=NAMESPACE)
    )
    kept = described.config.workflow_execution_retention_ttl.ToTimedelta()
    assert kept == timedelta(days=90)


@workflow.defn
class Nothing:
    @workflow.run
    async def run(self) -> None:
        """Only its polls are looked at."""


async def test_health_is_good_only_while_a_worker_polls(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(setup_namespace, temporal_address)
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", NAMESPACE)
    worker_polls = runpy.run_path(str(OPS / "docker" / "health.py"))["worker_polls"]
    assert not await worker_polls()
    client = await Client.connect(temporal_address, namespace=NAMESPACE)
    async with Worker(client, task_queue=TASK_QUEUE, workflows=[Nothing]):
        async with asyncio.timeout(15):
            while not await worker_polls():  # noqa: ASYNC110  # Temporal doesn't tell
                await asyncio.sleep(0.1)
