"""The service of docs/your-service.md is rolled out, breaks, and is rolled back in every process."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.errors import CliError
from sluice.flags import FeatureFlags
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.loader import load_plan
from sluice.stack import Stack
from sluice.worker.payload_converter import DATA_CONVERTER
from tests.free_port import free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_service"
FLAG = "fast-search"
SERVICES = ("temporal", "redis", "postgres", "prometheus")
PROCESSES = 2
StackFactory = Callable[[tuple[str, ...]], Stack]


@dataclass
class OwnService:
    """The example's processes, a worker, and a started rollout of its plan."""

    urls: list[str]
    rollouts: Rollouts
    redis: Redis
    broken: Path

    async def wait_until(self, condition: Callable[[State], bool], seconds: float = 150) -> State:
        """Return the first state that meets the condition."""
        state: State | None = None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                state = await self.rollouts.fetch_state(FLAG)
            except CliError:
                continue
            if condition(state):
                return state
            await asyncio.sleep(0.2)
        raise AssertionError(state and [event.text for event in state.timeline][-5:])


@pytest.fixture
async def service(make_stack: StackFactory, tmp_path: Path) -> AsyncIterator[OwnService]:
    stack = make_stack(SERVICES)
    folder = tmp_path / "own_service"
    folder.mkdir()
    for name in ("app.py", "load.py"):
        (folder / name).write_text((EXAMPLE / name).read_text())
    ports = [free_port() for _ in range(PROCESSES)]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    for number, port in enumerate(ports):
        command = (sys.executable, "-m", "uvicorn", "app:app", "--port", str(port))
        directory = ("--app-dir", str(folder), "--log-level", "warning")
        health = f"http://127.0.0.1:{port}/metrics"
        await stack.spawn(f"search-{number}", (*command, *directory), health_url=health)
    stack.set_scrape_targets([f"127.0.0.1:{port}" for port in ports], job="search")
    await stack.spawn("load", (sys.executable, str(folder / "load.py"), *urls))
    root = {"SLUICE_REPORT_ROOT": str(tmp_path)}
    await stack.spawn("worker", (sys.executable, "-m", "worker"), env=root)
    environment = stack.environment()
    client = await Client.connect(environment["TEMPORAL_ADDRESS"], data_converter=DATA_CONVERTER)
    async with Redis.from_url(environment["REDIS_URL"]) as redis:
        rollouts = Rollouts(client)
        await rollouts.start(load_plan(EXAMPLE / "plan.yaml"))
        yield OwnService(urls, rollouts, redis, folder / "broken")


async def test_a_broken_ranking_is_rolled_back_in_every_process(service: OwnService) -> None:
    exposed = await service.wait_until(lambda state: state.percentage >= 5)
    drills = [result for result in exposed.item_results.values() if "100 % → 0 %" in result.reason]
    assert "in 2 " in drills[0].reason
    service.broken.touch()
    rolled_back = await service.wait_until(lambda state: state.status is Status.DEGRADED)
    assert rolled_back.percentage == 0
    flag = await FeatureFlags(service.redis).get_flag(FLAG)
    assert flag.rollout_percentage == 0
    async with httpx.AsyncClient() as http:
        for url in service.urls:
            for number in range(40):
                headers = {"X-User-Id": f"user-{number}"}
                reply = await http.get(f"{url}/search?words=pears", headers=headers)
                assert reply.json()["ranking"] == "old"
