"""A rollout on real servers with a worker that can be killed, and readings that a test sets."""

import asyncio
import os
import signal
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from redis.asyncio import Redis
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from sluice.cli.clients.ledger import create_ledger
from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.errors import CliError
from sluice.demo.processes import start_worker
from sluice.flags import AuditEntry, FeatureFlags
from sluice.rollout.engine.state import State
from sluice.rollout.plan.loader import parse_plan
from sluice.stack import Stack
from sluice.worker.payload_converter import DATA_CONVERTER
from workflows.models import workflow_id

FLAG = "learning"
SERVICES = ("temporal", "redis", "postgres", "prometheus")
PLAN = """
name: seconds
flag: learning
watch_interval: 1s
metrics:
  errors: {query: 'max(test_errors{cohort=~"$cohort"})', unit: ratio}
steps:
  - name: dark
    title: Dark
    stage: 3
    phases: {enable_feature_flags: true, enable_online_learning: true}
    percentage: 0
    interval: 1s
    hold: 2s
    deadline: 60s
    gates: &gates [{metric: errors, threshold: 1%, window: 5s}]
  - name: ramp-5
    title: Five
    stage: 4
    percentage: 5
    rollback_to: dark
    interval: 1s
    hold: 8s
    deadline: 90s
    gates: *gates
    red_flags: &red_flags [{name: error_spike, metric: errors, threshold: 5%, window: 5s}]
  - name: ramp-100
    title: Hundred
    stage: 4
    percentage: 100
    rollback_to: ramp-5
    interval: 1s
    hold: 2s
    deadline: 60s
    gates: *gates
    red_flags: *red_flags
"""
SLOW_PLAN = PLAN.replace("hold: 8s\n    deadline: 90s", "hold: 10m\n    deadline: 20m")
"""The same, at 5 % until somebody promotes it."""


@dataclass
class LiveRollout:
    """Everything of one test; ``errors`` is what Prometheus scrapes."""

    stack: Stack
    rollouts: Rollouts
    redis: Redis
    errors: Gauge
    exporter: WSGIServer

    @classmethod
    async def start(
        cls, stack: Stack, worker_settings: Mapping[str, str] | None = None, plan: str = PLAN
    ) -> "LiveRollout":
        """Start exporter, worker and rollout, once Prometheus has the first reading."""
        await create_ledger(stack)
        environment = stack.environment()
        registry = CollectorRegistry()
        errors = Gauge("test_errors", "Set by the test", ["cohort"], registry=registry)
        errors.labels("treatment").set(0.001)
        exporter, _ = start_http_server(0, addr="127.0.0.1", registry=registry)
        stack.set_scrape_targets([f"127.0.0.1:{exporter.server_port}"])
        client = await Client.connect(
            environment["TEMPORAL_ADDRESS"], data_converter=DATA_CONVERTER
        )
        redis = Redis.from_url(environment["REDIS_URL"])
        live = cls(stack, Rollouts(client), redis, errors, exporter)
        await live.start_worker(worker_settings)
        await live.rollouts.start(parse_plan(plan))
        return live

    async def close(self) -> None:
        """Close what this holds open; the stack ends with its fixture."""
        self.exporter.shutdown()
        self.exporter.server_close()
        await self.redis.aclose()

    async def start_worker(
        self, settings: Mapping[str, str] | None = None, name: str = "worker"
    ) -> None:
        root = {"SLUICE_REPORT_ROOT": str(self.stack.home)}
        await start_worker(self.stack, {**root, **(settings or {})}, name)

    async def kill_worker(self) -> None:
        """SIGKILL: no chance to hand anything over."""
        status = {one.name: one for one in await self.stack.status()}
        pid = status["worker"].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await self.stack.stop("worker")

    async def wait_until(self, condition: Callable[[State], bool], seconds: float = 120) -> State:
        """Wait for a state; tolerate the silence of a dead worker."""
        state: State | None = None
        async with asyncio.timeout(seconds):
            while True:
                try:
                    state = await self.rollouts.fetch_state(FLAG)
                except CliError:
                    continue  # no worker answers just now
                if condition(state):
                    return state
                await asyncio.sleep(0.2)

    async def reset_workflow(self) -> None:
        """Reset the workflow to its first task, as from Temporal's UI, before any percentage."""
        client, run = (
            self.rollouts.client,
            await self.rollouts.client.get_workflow_handle(workflow_id(FLAG)).describe(),
        )
        await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id),
                reason="a test",
                request_id=uuid.uuid4().hex,
                workflow_task_finish_event_id=4,
            )
        )

    async def history(self) -> list[AuditEntry]:
        """Every write of the flag, oldest first."""
        entries = await FeatureFlags(self.redis).history(FLAG, 100)
        return sorted(entries, key=lambda entry: entry.at_ms)

    async def percentages(self) -> list[float]:
        """Return the flag's percentages in order, without repetitions."""
        trail: list[float] = []
        for entry in await self.history():
            after = entry.after if isinstance(entry.after, dict) else {}
            percentage = after.get("rollout_percentage")
            if percentage is not None and (not trail or trail[-1] != percentage):
                trail.append(float(percentage))
        return trail
