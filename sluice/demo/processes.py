"""The processes of the demo: two routers, the load and the worker, supervised by the stack."""

import asyncio
import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sluice.stack import Stack
from sluice.stack.services.postgres_roles import WRITER
from sluice.stack.state import ServiceRecord

ROUTER_COUNT = 2
READY_SECONDS = 60.0
QUERIES_PER_SECOND = 40
USER_COUNT = 300


@dataclass(frozen=True)
class DemoRouter:
    """One router process of the demo."""

    name: str
    url: str

    async def describe_flag(self, flag: str) -> str:
        """Return the flag's state in this process, in words; read from the process, not from Redis."""
        try:
            async with httpx.AsyncClient(timeout=2, trust_env=False) as http:
                response: dict[str, Any] = (await http.get(f"{self.url}/flags")).json()
        except (httpx.HTTPError, json.JSONDecodeError) as error:
            return f"no answer ({error!r})"
        if (state := response["flags"].get(flag)) is not None:
            killed = ", killed" if state["killed"] else ""
            return f"{flag} at {state['rollout_percentage']:g} %{killed}"
        learning = "on for all users" if response["phases"].get("enable_online_learning") else "off"
        return f"{flag} does not exist; online learning is {learning}"


async def start_routers(stack: Stack, probes: Path) -> list[DemoRouter]:
    """Start the routers, wait until they are ready, and let Prometheus scrape them."""
    ports = _free_ports(ROUTER_COUNT)
    routers = [
        DemoRouter(f"router-{i}", f"http://127.0.0.1:{port}") for i, port in enumerate(ports)
    ]
    environment = {"SLUICE_FAULT_INJECTION": "1", "SLUICE_PROBES": str(probes)}
    for router, port in zip(routers, ports, strict=True):
        argv = (sys.executable, "-m", "router.main", "--port", str(port))
        await stack.spawn(router.name, argv, env=environment, health_url=f"{router.url}/healthz")
    await asyncio.gather(*(_wait_until_ready(router) for router in routers))
    stack.set_scrape_targets([router.url.removeprefix("http://") for router in routers])
    return routers


async def start_load(stack: Stack, routers: list[DemoRouter]) -> None:
    targets = ",".join(router.url for router in routers)
    rate, users = str(QUERIES_PER_SECOND), str(USER_COUNT)
    options = ("--targets", targets, "--rate", rate, "--users", users)
    await stack.spawn("load", (sys.executable, "-m", "sluice.demo.load_generator", *options))


async def start_worker(
    stack: Stack, settings: Mapping[str, str] | None = None, name: str = "worker"
) -> ServiceRecord:
    """Start a worker with these settings, in the role that may write to the stack's ledger."""
    environment = {**stack.ledger_environment(WRITER), **(settings or {})}
    return await stack.spawn(name, (sys.executable, "-m", "worker"), env=environment)


async def _wait_until_ready(router: DemoRouter) -> None:
    async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                if (await http.get(f"{router.url}/readyz")).is_success:
                    return
            except httpx.HTTPError:
                pass  # not listening yet; the timeout decides
            await asyncio.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()
