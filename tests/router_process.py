"""A real router process on the session's servers."""

import asyncio
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from router.settings import Stores
from tests.conftest import clean_environ

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Running:
    """``log`` is what the process wrote to standard error so far."""

    http: httpx.AsyncClient
    process: Process
    log: Path


@asynccontextmanager
async def running(stores: Stores, folder: Path, **environment: str) -> AsyncIterator[Running]:
    """A client of one ready process, ended with SIGTERM; a bad exit fails the test."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    log = folder / f"router-{port}.log"
    arguments = ("-m", "router.main", "--port", str(port))
    env = clean_environ() | _variables(stores) | environment
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=env, cwd=ROOT, stderr=out
        )
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=20) as client:
        try:
            await _ready(client, process)
            yield Running(client, process, log)
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(30):
                status = await process.wait()
    assert status in (0, -15), log.read_text()


def _variables(stores: Stores) -> dict[str, str]:
    return {
        "REDIS_URL": stores.redis_url,
        "POSTGRES_DSN": stores.postgres_dsn,
        "NEO4J_URI": stores.neo4j_uri,
        "NEO4J_USER": stores.neo4j_user,
        "NEO4J_PASSWORD": stores.neo4j_password or "",
        "NEO4J_DATABASE": stores.neo4j_database,
        "QDRANT_URL": stores.qdrant_url or "",
        "PYTHONPATH": str(ROOT),
    }


async def _ready(client: httpx.AsyncClient, process: Process) -> None:
    async with asyncio.timeout(150):
        while process.returncode is None:
            try:
                if (await client.get("/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
