"""The services of docs/your-service.md are rolled out, break, and are rolled back in every process."""

import asyncio
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from sluice.cli.clients.ledger import create_ledger
from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.errors import CliError
from sluice.demo.processes import start_worker
from sluice.flags import FeatureFlags
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.loader import load_plan
from sluice.stack import Stack
from sluice.worker.payload_converter import DATA_CONVERTER
from tests.conftest import NO_NODE, clean_environ, run_blocking
from tests.free_port import free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_service"
SERVICES = ("temporal", "redis", "postgres", "prometheus")
PYTHON_FLAG, NODE_FLAG = "fast-search", "fast-search-node"


@dataclass(frozen=True)
class OwnService:
    """An example's processes, and the file that breaks them."""

    flag: str
    urls: tuple[str, ...]
    broken: Path
    environment: Mapping[str, str]

    async def wait_until(self, condition: Callable[[State], bool], seconds: float = 150) -> State:
        """Return the first state that meets the condition."""
        rollouts = await connect(self.environment)
        state: State | None = None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(CliError):
                state = await rollouts.fetch_state(self.flag)
                if condition(state):
                    return state
            await asyncio.sleep(0.2)
        raise AssertionError(state and [event.text for event in state.timeline][-5:])


async def connect(environment: Mapping[str, str]) -> Rollouts:
    address = environment["TEMPORAL_ADDRESS"]
    return Rollouts(await Client.connect(address, data_converter=DATA_CONVERTER))


async def start_rollout(service: OwnService, folder: Path, jobs: list[str]) -> None:
    """Both services share the environment: each plan's `targets` names the jobs of both."""
    text = (EXAMPLE / "plan.yaml").read_text().replace(PYTHON_FLAG, service.flag)
    plan = folder / f"{service.flag}.yaml"
    plan.write_text(text.replace('["search"]', f"[{', '.join(jobs)}]"))
    await (await connect(service.environment)).start(load_plan(plan))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, stack_guard: None) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("own-service")
    stack = Stack(folder / "stack", clean_environ())
    run_blocking(lambda: stack.up(SERVICES))
    run_blocking(lambda: create_ledger(stack))
    settings = {"SLUICE_REPORT_ROOT": str(folder)}
    run_blocking(lambda: start_worker(stack, settings))
    yield stack
    run_blocking(stack.down)


async def start_python_service(stack: Stack, folder: Path) -> OwnService:
    """Start two processes with the middleware."""
    for name in ("app.py", "load.py"):
        shutil.copy(EXAMPLE / name, folder)
    ports = [free_port() for _ in range(2)]
    urls = tuple(f"http://127.0.0.1:{port}" for port in ports)
    for port in ports:
        command = (sys.executable, "-m", "uvicorn", "app:app", "--port", str(port))
        directory = ("--app-dir", str(folder), "--log-level", "warning")
        health = f"http://127.0.0.1:{port}/metrics"
        await stack.spawn(f"search-{port}", (*command, *directory), health_url=health)
    stack.set_scrape_targets([f"127.0.0.1:{port}" for port in ports], job=PYTHON_FLAG)
    await stack.spawn("load", (sys.executable, str(folder / "load.py"), *urls))
    return OwnService(PYTHON_FLAG, urls, folder / "broken", stack.environment())


async def start_node_service(stack: Stack, folder: Path) -> OwnService:
    """Start a process in Node.js beside a flags server, which Prometheus scrapes in its place."""
    port, flags_port = free_port(), free_port()
    url, flags_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{flags_port}"
    program = str(Path(sys.executable).with_name("sluice"))
    serve = (program, "flags", "serve", "--port", str(flags_port))
    await stack.spawn("flags", serve, health_url=f"{flags_url}/healthz")
    stack.set_scrape_targets([f"127.0.0.1:{flags_port}"], job=NODE_FLAG)
    settings = {"FLAGS_URL": flags_url, "FLAG": NODE_FLAG}
    node = shutil.which("node") or "node"
    await stack.spawn("node", (node, str(folder / "app.mjs"), str(port)), env=settings)
    await stack.spawn("node-load", (sys.executable, str(EXAMPLE / "load.py"), url))
    return OwnService(NODE_FLAG, (url,), folder / "broken", stack.environment())


def install_node_service(folder: Path) -> str:
    """Install the example's packages; return what is missing, or nothing."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "node and npm are not installed"
    for path in (EXAMPLE / "node").glob("*.*"):
        shutil.copy(path, folder)
    install = [npm, "install", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    return f"npm install failed: {done.stderr[-200:]}" if done.returncode else ""


@dataclass(frozen=True)
class OwnServices:
    """Both examples, rolled out at the same time."""

    python: OwnService
    node: OwnService | None
    missing: str


@pytest.fixture(scope="module")
def services(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> OwnServices:
    folder, node_folder = tmp_path_factory.mktemp("python"), tmp_path_factory.mktemp("node")
    missing = install_node_service(node_folder)

    async def start() -> OwnServices:
        node = None if missing else await start_node_service(stack, node_folder)
        services = OwnServices(await start_python_service(stack, folder), node, missing)
        running = [each for each in (services.node, services.python) if each]
        for service in running:
            await start_rollout(service, folder, [each.flag for each in running])
        return services

    return run_blocking(start)


async def assert_a_fault_is_rolled_back(service: OwnService) -> None:
    exposed = await service.wait_until(lambda state: state.percentage >= 5)
    reasons = [result.reason for result in exposed.item_results.values()]
    assert any("100 % → 0 % in" in reason and "processes" in reason for reason in reasons)
    service.broken.touch()
    rolled_back = await service.wait_until(lambda state: state.status is Status.DEGRADED)
    assert rolled_back.percentage == 0
    async with Redis.from_url(service.environment["REDIS_URL"]) as redis:
        assert (await FeatureFlags(redis).get_flag(service.flag)).rollout_percentage == 0
    async with httpx.AsyncClient() as http:
        for url in service.urls:
            for number in range(40):
                headers = {"X-User-Id": f"user-{number}"}
                reply = await http.get(f"{url}/search?words=pears", headers=headers)
                assert reply.json()["ranking"] == "old"


async def start_follower(service: OwnService, flag: str, field: str, folder: Path) -> OwnService:
    """Start another rollout on the service's readings, which must come after its own."""
    text = (EXAMPLE / "plan.yaml").read_text().replace(f"flag: {PYTHON_FLAG}", f"flag: {flag}")
    text = text.replace("environment:", f"{field}: [{PYTHON_FLAG}]\nenvironment:", 1)
    plan = folder / f"{flag}.yaml"
    plan.write_text(re.sub(r"\n    checklist:(\n      - .*)+", "", text))
    await (await connect(service.environment)).start(load_plan(plan))
    return replace(service, flag=flag)


def reasons(state: State) -> str:
    return " ".join(result.reason for result in state.item_results.values())


async def test_a_broken_ranking_is_rolled_back_in_every_process(
    services: OwnServices, tmp_path: Path
) -> None:
    """Beside it wait a plan that excludes the flag, and one that comes after its Healthy end."""
    await services.python.wait_until(lambda state: state.percentage >= 5)
    excluding = await start_follower(services.python, "other-search", "excludes", tmp_path)
    following = await start_follower(services.python, "next-search", "after", tmp_path)
    waiting = await excluding.wait_until(lambda state: "fast-search is at" in reasons(state))
    assert waiting.percentage == 0
    await assert_a_fault_is_rolled_back(services.python)
    await excluding.wait_until(lambda state: state.percentage >= 5)
    held = await following.wait_until(lambda state: "fast-search" in reasons(state))
    assert held.percentage == 0


async def test_a_service_in_another_language_is_rolled_back_by_its_flags_server(
    services: OwnServices,
) -> None:
    if services.node is None:
        pytest.skip(f"{NO_NODE}: {services.missing}")
    await assert_a_fault_is_rolled_back(services.node)
