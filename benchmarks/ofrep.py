"""The flags server over OFREP: the cost of a single evaluation, and a rollback's way to its clients.

A peer's server runs beside it when you start one with a flag `fast` that gives half of the users
True, and name it. CPU is that of the server's process alone, so the client's cost does not count.

    uv run python -m benchmarks.ofrep [--seconds 5] [--rate 300] [--clients 200] [--rounds 5]
        [--peer "flagd=http://127.0.0.1:8016"] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from redis.asyncio import Redis

from benchmarks.support.ofrep_clients import CachingClient, Connection
from benchmarks.support.ofrep_measure import (
    EvaluationCost,
    RollbackDelay,
    evaluation_cost,
    rollback_delay,
)
from benchmarks.support.ofrep_servers import OfrepServer, running_peer, sluice_server
from benchmarks.support.redis_process import RedisProcess
from sluice.flags import FeatureFlags

FLAG, FULL = "fast", "full"
POLL_SECONDS = 0.25
DELAY_BAR_MS = 1000.0


async def measure(
    server: OfrepServer, peers: list[OfrepServer], redis_url: str, options: argparse.Namespace
) -> tuple[dict[str, EvaluationCost], dict[str, RollbackDelay]]:
    """Return the cost at each server, in turns, and the delays by streams and by polls."""
    async with Redis.from_url(redis_url) as redis:
        flags = FeatureFlags(redis)
        await flags.create_flag(FLAG, rollout_percentage=50)
        await flags.create_flag(FULL, rollout_percentage=100)
        await asyncio.sleep(0.5)
        costs = {
            each.name: await evaluation_cost(each, FLAG, options.seconds, options.rate)
            for each in (server, *peers)
        }
        ways: dict[str, Callable[[CachingClient], Awaitable[None]]] = {
            "streamed": CachingClient.stream,
            f"polled every {POLL_SECONDS * 1000:.0f} ms": partial(
                CachingClient.poll, seconds=POLL_SECONDS
            ),
        }
        delays = {}
        for name, follow in ways.items():
            clients = [
                CachingClient(Connection(server.url, server.key), f"user_{number}", FULL)
                for number in range(options.clients)
            ]
            write = partial(flags.set_rollout_percentage, FULL)
            delays[name] = await rollback_delay(server, clients, follow, write, options.rounds)
    return costs, delays


def report(
    costs: dict[str, EvaluationCost], delays: dict[str, RollbackDelay], clients: int
) -> bool:
    """Print both tables; return True when each rollback reached each client in time."""
    for name, cost in costs.items():
        print(
            f"{name:24} {cost.per_core:8.0f} evaluations a second and core; at {cost.rate:g} a second "
            f"P50 {cost.p50_ms:.2f} ms, P99 {cost.p99_ms:.2f} ms"
        )
    for name, delay in delays.items():
        print(
            f"rollback to {clients} clients, {name}: median {delay.quantile(0.5):.0f} ms, "
            f"P99 {delay.quantile(0.99):.0f} ms, last {max(delay.delays_ms):.0f} ms "
            f"(bar {DELAY_BAR_MS:.0f}); server: {delay.cpu_ms_per_change:.0f} ms of CPU a change, "
            f"{delay.idle_cores:.3f} of a core while nothing changes"
        )
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return all(max(delay.delays_ms) < DELAY_BAR_MS for delay in delays.values())


def main() -> int:
    """Measure, print, and exit 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description="the flags server over OFREP")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=URL")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    peers = [running_peer(text) for text in options.peer]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        redis = RedisProcess(folder)
        try:
            with sluice_server(redis.url, folder) as server:
                costs, delays = asyncio.run(measure(server, peers, redis.url, options))
        finally:
            redis.kill()
    if options.json:
        figures = {
            "evaluation": {name: asdict(each) for name, each in costs.items()},
            "rollback": {name: asdict(each) for name, each in delays.items()},
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if report(costs, delays, options.clients) else 1


if __name__ == "__main__":
    sys.exit(main())
