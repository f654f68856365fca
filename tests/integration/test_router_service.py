"""A real router process over HTTP, and what it tells about itself."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from router.flags.processes import live_processes
from tests.conftest import Neo4jSettings, clean_environ

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def http(
    redis_url: str,
    postgres_dsn: str,
    neo4j_settings: Neo4jSettings,
    qdrant_url: str,
    tmp_path: Path,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one process, ended with SIGTERM; a bad exit fails the test."""
    probes = tmp_path / "probes.jsonl"
    probes.write_text(
        '{"query": "status = \'open\'", "intent": "metadata", "backend": "postgres"}\n'
    )
    port = free_port()
    environment = clean_environ() | {
        "REDIS_URL": redis_url,
        "POSTGRES_DSN": postgres_dsn,
        "NEO4J_URI": neo4j_settings.uri,
        "NEO4J_USER": neo4j_settings.user,
        "NEO4J_PASSWORD": neo4j_settings.password,
        "NEO4J_DATABASE": neo4j_settings.database,
        "QDRANT_URL": qdrant_url,
        "SLUICE_ENVIRONMENT": "service-test",
        "SLUICE_PROBES": str(probes),
        "SLUICE_PROBE_INTERVAL_SECONDS": "0.1",
        "PYTHONPATH": str(ROOT),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router.main", "--port", str(port), env=environment, cwd=ROOT
    )
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=10) as client:
        try:
            await ready(client)
            yield client
        finally:
            process.terminate()
            async with asyncio.timeout(20):
                status = await process.wait()
    assert status in (0, -15)


async def ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if (await client.get("/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def metrics(client: httpx.AsyncClient) -> dict[str, float]:
    lines = (await client.get("/metrics")).text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


async def test_a_process_answers_counts_and_reports_itself(
    http: httpx.AsyncClient, redis_url: str
) -> None:
    answer = await http.post("/query", json={"query": "Who drives T-99?", "user_id": "bob"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    promised = {"query_id", "intent", "confidence", "cohort", "backends", "results"}
    assert promised | {"cached", "degraded", "latency_ms"} <= body.keys()

    feedback = {"query_id": body["query_id"], "clicked": True, "complaint": True}
    assert (await http.post("/feedback", json=feedback)).status_code == 202

    seen = (await http.get("/flags")).json()
    async with Redis.from_url(redis_url) as redis:
        (process,) = await live_processes(redis, "service-test")
    assert process.id == seen["process_id"]
    assert process.url == str(http.base_url).rstrip("/")
    assert not seen["stale"]

    values = await metrics(http)
    queries = [value for name, value in values.items() if name.startswith("router_queries_total")]
    assert sum(queries) == 1  # probes do not count
    assert values['router_complaints_total{cohort="control"}'] == 1
    right = 'router_probe_total{cohort="control",correct="true",kind="routing"}'
    async with asyncio.timeout(5):
        while not (await metrics(http)).get(right):  # noqa: ASYNC110  # another process counts
            await asyncio.sleep(0.1)


MISTAKES: list[tuple[str, dict[str, object], int]] = [
    ("/query", {"query": "", "user_id": "bob"}, 422),
    ("/query", {"query": "   ", "user_id": "bob"}, 422),
    ("/query", {"query": "hello", "user_id": "bob", "limit": 0}, 422),
    ("/query", {"query": "hello"}, 422),
    ("/query", {"query": "x" * 100_000, "user_id": "bob"}, 413),
    ("/feedback", {"query_id": "nonsense", "clicked": True}, 404),
    ("/feedback", {"query_id": "c-1", "clicked": False, "click_position": 2}, 422),
    ("/feedback", {"query_id": "c-1", "explicit_rating": 9}, 422),
]


async def test_mistakes_are_told_as_such(http: httpx.AsyncClient) -> None:
    for path, body, status in MISTAKES:
        answer = await http.post(path, json=body)
        assert answer.status_code == status, (path, body, answer.text)
        assert answer.json()["detail"]
