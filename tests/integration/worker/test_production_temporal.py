"""The Temporal setup of docker-compose.yml works on a real server: namespace and worker health."""

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

from sluice.worker.health import serve_health
from tests.free_port import free_port
from workflows.activity_options import TASK_QUEUE

pytestmark = pytest.mark.integration

OPS = Path(__file__).parents[3] / "ops"
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
class IdleWorkflow:
    @workflow.run
    async def run(self) -> None:
        """Only its polls are looked at."""


def health_status() -> int:
    """Return the exit status of the container's health check."""
    status: int = runpy.run_path(str(OPS / "docker" / "health.py"))["main"]()
    return status


async def test_health_is_good_only_while_a_worker_polls(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(setup_namespace, temporal_address)
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("SLUICE_HEALTH", "worker")
    monkeypatch.setenv("SLUICE_WORKER_HEALTH_ADDRESS", address)
    assert await asyncio.to_thread(health_status) == 1
    client = await Client.connect(temporal_address, namespace=NAMESPACE)
    async with serve_health(address, client, TASK_QUEUE):
        assert await asyncio.to_thread(health_status) == 1
        async with Worker(client, task_queue=TASK_QUEUE, workflows=[IdleWorkflow]):
            async with asyncio.timeout(60):
                while await asyncio.to_thread(health_status):  # noqa: ASYNC110  # Temporal doesn't tell
                    await asyncio.sleep(0.1)
