"""A real router process over HTTP, and its reports about itself."""

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from router.http.api_keys import SCOPES, format_key_line, generate_key
from sluice.flags.redis.process_registry import live_processes
from tests.conftest import Neo4jSettings, clean_environ
from tests.fuzzing import fuzz, json_bodies
from tests.otlp_collector import OtlpCollector, running_collector

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
KEY = generate_key()
BEARER = {"Authorization": f"Bearer {KEY}"}


HEALTH_SECONDS_MAX = 5.0
"""A busy machine's; one question held an earlier router for half a minute."""


@dataclass(frozen=True)
class RunningService:
    """Addresses of the public port and of the operations port."""

    url: str
    operations_url: str
    pid: int


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpCollector]:
    with running_collector() as server:
        yield server


@pytest.fixture(scope="module")
def service(  # noqa: PLR0913, PLR0917 - the session's servers
    redis_server_url: str,
    postgres_dsn: str,
    neo4j_settings: Neo4jSettings,
    qdrant_url: str,
    collector: OtlpCollector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningService]:
    """Run one process with keys and probes; end it with SIGTERM and fail on a bad exit."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "probes.jsonl").write_text(
        '{"query": "status = \'open\'", "intent": "metadata", "backend": "postgres"}\n'
    )
    (folder / "keys").write_text(format_key_line("acme", SCOPES, KEY) + "\n")
    port, operations_port = _free_port(), _free_port()
    environment = clean_environ() | {
        "REDIS_URL": redis_server_url,
        "POSTGRES_DSN": postgres_dsn,
        "NEO4J_URI": neo4j_settings.uri,
        "NEO4J_USER": neo4j_settings.user,
        "NEO4J_PASSWORD": neo4j_settings.password,
        "NEO4J_DATABASE": neo4j_settings.database,
        "QDRANT_URL": qdrant_url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "SLUICE_API_KEYS": str(folder / "keys"),
        "SLUICE_BACKEND_SECONDS": "10",  # no answer here depends on how busy the machine is
        "SLUICE_QUERY_SECONDS": "30",
        "SLUICE_ENVIRONMENT": "service-test",
        "SLUICE_PROBES": str(folder / "probes.jsonl"),
        "SLUICE_PROBE_INTERVAL_SECONDS": "0.1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "router.main", "--port", str(port)]
    command += ["--operations-port", str(operations_port)]
    with subprocess.Popen(command, env=environment, cwd=ROOT) as process:  # noqa: S603 - ours
        try:
            wait_until_ready(f"http://127.0.0.1:{operations_port}")
            public, operations = (f"http://127.0.0.1:{n}" for n in (port, operations_port))
            yield RunningService(public, operations, process.pid)
        finally:
            process.terminate()
            status = process.wait(30)
    assert status in (0, -15)


@pytest.fixture
async def operations(service: RunningService) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=service.operations_url, trust_env=False, timeout=30
    ) as client:
        yield client


@pytest.fixture
async def http(service: RunningService) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=service.url, headers=BEARER, trust_env=False, timeout=30
    ) as client:
        yield client


def wait_until_ready(base: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{base}/readyz", trust_env=False).is_success:
                return
        time.sleep(0.1)
    raise TimeoutError(base)


async def metrics(client: httpx.AsyncClient) -> dict[str, float]:
    lines = (await client.get("/metrics")).text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


async def test_a_process_answers_counts_and_reports_itself(
    http: httpx.AsyncClient, operations: httpx.AsyncClient, redis_server_url: str
) -> None:
    answer = await http.post("/query", json={"query": "Who drives T-99?", "user_id": "bob"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    promised = {"query_id", "intent", "confidence", "cohort", "backends", "results"}
    assert promised | {"cached", "degraded", "latency_ms"} <= body.keys()

    feedback = {"query_id": body["query_id"], "clicked": True, "complaint": True}
    assert (await http.post("/feedback", json=feedback)).status_code == 202

    seen = (await operations.get("/flags")).json()
    async with Redis.from_url(redis_server_url) as redis:
        (process,) = await live_processes(redis, "service-test")
    assert process.id == seen["process_id"]
    assert process.url == str(operations.base_url).rstrip("/")
    assert not seen["stale"]

    values = await metrics(operations)
    queries = [value for name, value in values.items() if name.startswith("router_queries_total")]
    assert sum(queries) == 1  # probes do not count
    assert values['router_complaints_total{cohort="control"}'] == 1
    right = 'router_probe_total{cohort="control",correct="true",kind="routing"}'
    async with asyncio.timeout(5):
        while not (await metrics(operations)).get(right):  # noqa: ASYNC110  # another process counts
            await asyncio.sleep(0.1)


INVALID_REQUESTS: list[tuple[str, dict[str, object], int]] = [
    ("/query", {"query": "", "user_id": "bob"}, 422),
    ("/query", {"query": "   ", "user_id": "bob"}, 422),
    ("/query", {"query": "hello", "user_id": "bob", "limit": 0}, 422),
    ("/query", {"query": "hello"}, 422),
    ("/query", {"query": "x" * 100_000, "user_id": "bob"}, 413),
    ("/query", {"query": "hello", "user_id": "bob", "seconds": 0}, 422),
    ("/feedback", {"query_id": "nonsense", "clicked": True}, 404),
    ("/feedback", {"query_id": "c-1", "clicked": False, "click_position": 2}, 422),
    ("/feedback", {"query_id": "c-1", "explicit_rating": 9}, 422),
]


async def test_invalid_requests_get_their_status_and_code(http: httpx.AsyncClient) -> None:
    for path, body, status in INVALID_REQUESTS:
        answer = await http.post(path, json=body)
        assert answer.status_code == status, (path, body, answer.text)
        assert answer.json()["detail"]
    form = await http.post("/query", content=b'{"query": "hello", "user_id": "bob"}')
    assert "content-type: application/json" in form.text


async def test_a_request_in_a_hurry_is_late_and_no_error(
    http: httpx.AsyncClient, operations: httpx.AsyncClient
) -> None:
    """Nothing new can be answered in 50 ms less what fusing takes; red flags must not see that."""
    hurry = {"query": "Who drives T-98?", "user_id": "bob", "seconds": 0.05}
    late = 'router_refused_total{cohort="control",reason="deadline"}'
    before = await metrics(operations)
    answer = await http.post("/query", json=hurry)
    after = await metrics(operations)
    assert answer.status_code == 504, answer.text
    assert "0.05 s" in answer.json()["detail"]
    assert after[late] == before[late] + 1
    counted = {name for name in after if name.startswith("router_quer")}
    assert {name: before[name] for name in counted} == {name: after[name] for name in counted}


async def test_a_query_arrives_at_the_collector_with_its_phases(
    http: httpx.AsyncClient, collector: OtlpCollector
) -> None:
    """In its caller's trace, which the response names too."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    asked = {"query": "Who drives T-97?", "user_id": "bob"}
    answer = await http.post("/query", json=asked, headers=headers)
    assert answer.headers["x-trace-id"] == trace
    async with asyncio.timeout(30):
        while "POST /query" not in (seen := collector.router_span_names(trace)):  # noqa: ASYNC110  another process sends
            await asyncio.sleep(0.05)
    assert {"cache", "understand", "choose", "search"} <= seen


def test_the_interface_does_what_its_document_says(service: RunningService, tmp_path: Path) -> None:
    """Schemathesis, the same examples each time.

    Not ``positive_data_acceptance``: signals that contradict each other are refused by intention.
    """
    program = Path(sysconfig.get_path("scripts")) / "schemathesis"
    command = [
        str(program),
        "run",
        f"{service.url}/openapi.json",
        "-H",
        f"Authorization: Bearer {KEY}",
    ]
    command += ["--exclude-checks", "positive_data_acceptance", "--phases", "examples,fuzzing"]
    command += ["--max-examples", "12", "--generation-deterministic", "--seed", "1", "--no-shrink"]
    command += ["--request-timeout", "30", "--no-color"]
    done = subprocess.run(  # noqa: S603 - our own arguments
        command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


@pytest.mark.parametrize(
    ("path", "valid"),
    [
        ("/query", {"query": "Who drives T-1?", "user_id": "bob", "limit": 5, "seconds": 0.5}),
        ("/feedback", {"query_id": "c-1", "clicked": True, "explicit_rating": 4}),
    ],
)
def test_no_body_breaks_the_router(
    service: RunningService, path: str, valid: dict[str, object]
) -> None:
    headers = {**BEARER, "content-type": "application/json"}
    with httpx.Client(base_url=service.url, headers=headers, trust_env=False, timeout=60) as http:
        assert fuzz(lambda body: http.post(path, content=body), json_bodies(valid), service.pid)
        assert http.get(f"{service.operations_url}/healthz").is_success


async def test_questions_that_cost_the_most_do_not_stop_the_process(
    http: httpx.AsyncClient, operations: httpx.AsyncClient
) -> None:
    """Their own deadline ends them, and the process answers for its health meanwhile."""
    units = ("Compare the drivers of hanover, ", "a, ", "please ", "Oslo or ", "17 ", "visitz ")
    bodies = [{"query": (unit * 2000)[:2000], "user_id": "bob", "seconds": 1} for unit in units]
    asked = asyncio.gather(*(http.post("/query", json=body) for body in bodies))
    for _ in range(5):
        started = time.monotonic()
        assert (await operations.get("/healthz")).is_success
        assert time.monotonic() - started < HEALTH_SECONDS_MAX
        await asyncio.sleep(0.1)
    assert {answer.status_code for answer in await asked} <= {200, 429, 504}


async def test_the_public_port_serves_no_operations_and_no_redirects(
    http: httpx.AsyncClient, operations: httpx.AsyncClient
) -> None:
    for path in ("/metrics", "/flags", "/healthz", "/readyz", "/query/"):
        answer = await http.get(path)
        assert answer.status_code == 404, path
    redirected = await http.post("/query/", json={}, headers={"host": "evil"})
    assert (redirected.status_code, "location" in redirected.headers) == (400, False)
    assert (await operations.post("/query", json={})).status_code == 404


async def test_the_documentation_loads_from_this_process(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 3
    for link in links:
        assert link.startswith("/docs/")
        assert (await http.get(link)).status_code == 200, link
    assert "script-src 'self'" in page.headers["content-security-policy"]
