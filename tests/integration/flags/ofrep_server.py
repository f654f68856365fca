"""`sluice flags serve` as a process on the session's Redis, with keys and four flags."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from sluice.flags import FeatureFlags
from sluice.flags.server.api_keys import EVALUATE, OUTCOMES, format_key_line, generate_key

ENVIRONMENT = "ofrep-test"
FULL, HALF, KILLED, LISTED = "full", "half", "killed", "listed"
READ_KEY, WRITE_KEY = generate_key(), generate_key()


@dataclass
class RunningServer:
    """`sluice flags serve` as a process, and the store behind it."""

    url: str
    redis_url: str
    pid: int

    def post(self, path: str, body: object, key: str = READ_KEY, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(
            f"{self.url}{path}", content=content, headers={"X-API-Key": key, **headers}
        )

    def evaluate(self, flag: str, user: str | None = None) -> dict[str, Any]:
        context = {"targetingKey": user} if user else {}
        reply = self.post(f"/ofrep/v1/evaluate/flags/{flag}", {"context": context})
        return {"status": reply.status_code, **reply.json()}

    def write(self, **percentages: float) -> None:
        async def run() -> None:
            async with Redis.from_url(self.redis_url) as redis:
                flags = FeatureFlags(redis, environment=ENVIRONMENT)
                for name, percentage in percentages.items():
                    await flags.set_rollout_percentage(name, percentage)

        asyncio.run(run())

    def metric(self, line_start: str, label: str = "") -> float:
        text = httpx.get(f"{self.url}/metrics").text
        lines = [line for line in text.splitlines() if line.startswith(line_start)]
        found = [line for line in lines if label in line]
        return sum(float(line.rpartition(" ")[2]) for line in found)


async def create_flags(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
        flags = FeatureFlags(redis, environment=ENVIRONMENT)
        await flags.create_flag(FULL, rollout_percentage=100)
        await flags.create_flag(HALF, rollout_percentage=50)
        await flags.create_flag(LISTED, rollout_percentage=0)
        await flags.add_to_whitelist(LISTED, "alice")
        await flags.create_flag(KILLED, rollout_percentage=100)
        await flags.kill(KILLED)


STREAMS_PER_KEY = 3


@contextmanager
def running_flags_server(redis_server_url: str, folder: Path) -> Iterator[RunningServer]:
    asyncio.run(create_flags(redis_server_url))
    keys = folder / "keys"
    lines = (("web", (EVALUATE,), READ_KEY), ("backend", (EVALUATE, OUTCOMES), WRITE_KEY))
    keys.write_text("\n".join(format_key_line(*line) for line in lines))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "REDIS_URL": redis_server_url,
        "SLUICE_ENVIRONMENT": ENVIRONMENT,
        "SLUICE_FLAGS_API_KEYS": str(keys),
        "SLUICE_FLAGS_STREAMS_PER_KEY": str(STREAMS_PER_KEY),
    }
    command = [str(Path(sys.executable).with_name("sluice")), "flags", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, **settings})  # noqa: S603  ours
    url = f"http://127.0.0.1:{port}"
    _wait_until_ready(url, process)
    yield RunningServer(url, redis_server_url, process.pid)
    process.terminate()
    assert process.wait(15) in {0, -15}


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the server is not ready, exit code {process.poll()}")


def wait_for(condition: Any, seconds: float = 3) -> None:  # noqa: ANN401  any callable
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
