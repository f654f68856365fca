"""Two measurements of an OFREP server: the cost of a single evaluation, and the way of a rollback."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.support.ofrep_clients import BULK, CachingClient, Connection
from benchmarks.support.ofrep_servers import OfrepServer

CONNECTIONS = 16
WRITE_SECONDS_MAX = 10.0


@dataclass(frozen=True)
class EvaluationCost:
    """Requests that one core of the server answers in a second, and latencies at a fixed rate."""

    per_core: float
    p50_ms: float
    p99_ms: float
    rate: float


@dataclass(frozen=True)
class RollbackDelay:
    """Milliseconds from before the write to each client's False, and the server's CPU."""

    delays_ms: tuple[float, ...]
    idle_cores: float
    cpu_ms_per_change: float

    def quantile(self, share: float) -> float:
        """Return that share of the delays, in milliseconds."""
        return quantile(self.delays_ms, share)


def quantile(values: tuple[float, ...] | list[float], share: float) -> float:
    """Return the value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def evaluation_cost(
    server: OfrepServer, flag: str, seconds: float, rate: float
) -> EvaluationCost:
    """Saturate the server for its cost, then send at a fixed rate for latencies."""
    connections = [Connection(server.url, server.key) for _ in range(CONNECTIONS)]
    before, counts = server.cpu_seconds(), [0] * CONNECTIONS
    end = time.monotonic() + seconds

    async def saturate(number: int) -> None:
        while time.monotonic() < end:
            await _evaluate(connections[number], flag)
            counts[number] += 1

    await asyncio.gather(*map(saturate, range(CONNECTIONS)))
    per_core = sum(counts) / (server.cpu_seconds() - before)
    latencies = await _latencies(connections, flag, seconds, rate)
    p50, p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
    return EvaluationCost(per_core, p50, p99, rate)


async def rollback_delay(
    server: OfrepServer,
    clients: list[CachingClient],
    follow: Callable[[CachingClient], Awaitable[None]],
    write: Callable[[float], Awaitable[object]],
    rounds: int,
) -> RollbackDelay:
    """Roll back and out again, and return when each client had False."""
    tasks = [asyncio.ensure_future(follow(client)) for client in clients]
    await _all_have(clients, True)
    await asyncio.sleep(1)
    before, began = server.cpu_seconds(), time.monotonic()
    await asyncio.sleep(5)
    idle_cores = (server.cpu_seconds() - before) / (time.monotonic() - began)
    delays, before = [], server.cpu_seconds()
    for _ in range(rounds):
        await asyncio.sleep(random.uniform(0.3, 0.6))  # noqa: S311  no client is in step
        began = time.monotonic()
        await write(0)
        await _all_have(clients, False)
        delays += [(client.values[-1][0] - began) * 1000 for client in clients]
        await write(100)
        await _all_have(clients, True)
    cpu_ms = (server.cpu_seconds() - before) * 1000 / (2 * rounds)
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return RollbackDelay(tuple(delays), idle_cores, cpu_ms)


async def _evaluate(connection: Connection, flag: str) -> float:
    user = f"user_{random.randrange(10_000)}"  # noqa: S311
    began = time.monotonic()
    body = json.dumps({"context": {"targetingKey": user}}).encode()
    status, _, content = await connection.request("POST", f"{BULK}/{flag}", body)
    assert status == 200, content  # noqa: PLR2004
    return (time.monotonic() - began) * 1000


async def _latencies(
    connections: list[Connection], flag: str, seconds: float, rate: float
) -> list[float]:
    """Send when a request is due on a connection of its own turn; count from when it was due."""
    latencies: list[float] = []
    start, total = time.monotonic() + 0.1, int(seconds * rate)

    async def send(number: int) -> None:
        for turn in range(number, total, len(connections)):
            due = start + turn / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await _evaluate(connections[number], flag)
            latencies.append((time.monotonic() - due) * 1000)

    await asyncio.gather(*map(send, range(len(connections))))
    return latencies


async def _all_have(clients: list[CachingClient], value: bool) -> None:
    async with asyncio.timeout(WRITE_SECONDS_MAX):
        while not all(client.values and client.values[-1][1] is value for client in clients):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
