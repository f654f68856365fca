"""A service in any language reads flags over OFREP: the flags server's own answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from sluice.cli.errors import Exit
from sluice.flags import FlagState
from sluice.flags.redis.process_polling import poll_processes
from sluice.flags.redis.process_registry import live_processes
from tests.fuzzing import fuzz, json_bodies
from tests.integration.flags.ofrep_server import (
    ENVIRONMENT,
    FULL,
    HALF,
    KILLED,
    READ_KEY,
    STREAMS_PER_KEY,
    WRITE_KEY,
    RunningServer,
    running_flags_server,
    wait_for,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(
    redis_server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    with running_flags_server(redis_server_url, tmp_path_factory.mktemp("flags")) as running:
        yield running


def test_a_stream_opens_with_the_token_of_a_bulk_answer(server: RunningServer) -> None:
    bulk = server.post("/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "alice"}}).json()
    (stream,) = bulk["eventStreams"]
    uri = stream["endpoint"]["requestUri"]
    assert httpx.get(f"{server.url}/ofrep/v1/events").status_code == 401
    assert httpx.get(f"{server.url}{uri}0").status_code == 401
    with httpx.stream("GET", f"{server.url}{uri}") as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = reply.iter_lines()
        data = next(line for line in lines if line.startswith("data: "))
    assert json.loads(data.removeprefix("data: "))["type"] == "refetchEvaluation"


def test_one_key_cannot_take_the_streams_of_the_others(server: RunningServer) -> None:
    """A browser's key is public: anyone who has it must not end the updates of other callers."""
    events = f"{server.url}/ofrep/v1/events"
    with ExitStack() as streams:

        def status(key: str) -> int:
            headers = {"X-API-Key": key}
            return streams.enter_context(httpx.stream("GET", events, headers=headers)).status_code

        assert [status(READ_KEY) for _ in range(STREAMS_PER_KEY)] == [200] * STREAMS_PER_KEY
        refused = httpx.get(events, headers={"X-API-Key": READ_KEY})
        assert refused.status_code == 429
        assert "retry-after" in refused.headers
        assert "SLUICE_FLAGS_STREAMS_PER_KEY" in refused.json()["errorDetails"]
        assert status(WRITE_KEY) == 200
    wait_for(lambda: server.metric("sluice_flag_streams") == 0)
    with httpx.stream("GET", events, headers={"X-API-Key": READ_KEY}) as reply:
        assert reply.status_code == 200


def test_every_answer_is_as_the_openapi_document_says(
    server: RunningServer, tmp_path: Path
) -> None:
    """Schemathesis, the same examples each time.

    Not `negative_data_rejection`: a flag that is the same for everybody needs no targeting key, and
    unknown parts of a context are allowed. Not the stream, which has no end.
    """
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "run", f"{server.url}/openapi.json", "-H", f"X-API-Key: {WRITE_KEY}"]
    command += ["--exclude-checks", "negative_data_rejection,positive_data_acceptance"]
    command += ["--exclude-operation-id", "streamEvents", "--phases", "examples,fuzzing"]
    command += ["--max-examples", "8", "--generation-deterministic", "--seed", "1", "--no-shrink"]
    done = subprocess.run(  # noqa: S603  ours
        [*command, "--no-color"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def test_a_bulk_evaluation_is_not_sent_again_until_it_changes(server: RunningServer) -> None:
    path, body = "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "alice"}}
    first = server.post(path, body)
    values = {flag["key"]: flag["value"] for flag in first.json()["flags"]}
    assert values[FULL] is True
    assert values[KILLED] is False
    etag = {"If-None-Match": first.headers["ETag"]}
    assert server.post(path, body, **etag).status_code == 304
    server.write(full=0)
    wait_for(lambda: server.post(path, body, **etag).status_code == 200)
    server.write(full=100)


def test_a_flag_that_depends_on_the_user_is_an_error_in_bulk(server: RunningServer) -> None:
    flags = server.post("/ofrep/v1/evaluate/flags", {}).json()["flags"]
    (half,) = [flag for flag in flags if flag["key"] == HALF]
    assert half["errorCode"] == "TARGETING_KEY_MISSING"
    assert "value" not in half


def test_the_configuration_names_the_types_it_serves(server: RunningServer) -> None:
    headers = {"Authorization": f"Bearer {READ_KEY}"}
    reply = httpx.get(f"{server.url}/ofrep/v1/configuration", headers=headers)
    assert reply.json()["capabilities"]["flagEvaluation"] == {"supportedTypes": ["boolean"]}
    again = {**headers, "If-None-Match": reply.headers["ETag"]}
    repeated = httpx.get(f"{server.url}/ofrep/v1/configuration", headers=again)
    assert repeated.status_code == 304


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"[]", "INVALID_CONTEXT"),
        (b'{"context": 1}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": "\\ud800"}}', "INVALID_CONTEXT"),
        (json.dumps({"context": {"targetingKey": "x" * 257}}).encode(), "INVALID_CONTEXT"),
        (b"[" * 100_000, "PARSE_ERROR"),
        (b"x" * 1_000_001, "PARSE_ERROR"),
    ],
)
def test_a_bad_body_is_a_400_with_openfeatures_code(
    server: RunningServer, body: bytes, code: str
) -> None:
    for path in ("/ofrep/v1/evaluate/flags/full", "/ofrep/v1/evaluate/flags"):
        reply = server.post(path, body)
        assert (reply.status_code, reply.json()["errorCode"]) == (400, code)


def test_a_key_opens_only_its_scopes(server: RunningServer) -> None:
    path = f"/ofrep/v1/evaluate/flags/{FULL}"
    assert server.post(path, {}, key="wrong").status_code == 401
    outcome = {"outcomes": [{"flag": HALF, "user": "alice", "ok": True, "seconds": 0.1}]}
    assert server.post("/outcomes", outcome, key=READ_KEY).status_code == 403
    assert server.post("/outcomes", outcome, key="").status_code == 401


def test_reported_outcomes_count_users_by_cohort(server: RunningServer) -> None:
    users = [f"user-{number}" for number in range(30)]
    treated = {user for user in users if server.evaluate(HALF, user)["value"]}
    outcomes = [
        {"flag": HALF, "user": user, "ok": user != "user-1", "seconds": 0.5, "score": 0.5}
        for user in users
    ]
    for _ in range(2):
        reply = server.post("/outcomes", {"outcomes": outcomes}, key=WRITE_KEY)
        assert (reply.status_code, reply.json()) == (202, {"accepted": 30})
    labels = f'cohort="treatment",flag="{HALF}"'
    wait_for(lambda: server.metric(f"sluice_users_total{{{labels}") == len(treated))
    assert server.metric(f"sluice_requests_total{{{labels}") == 2 * len(treated)
    assert server.metric("sluice_users_failed_total{", 'nth="1",past="usual",since="step"') == 1
    assert server.metric(f"sluice_users_score_count{{{labels}", 'since="step"') == len(treated)


@pytest.mark.parametrize(
    ("outcome", "field"),
    [
        ({"flag": HALF, "user": ""}, "outcomes.0.user"),
        ({"flag": HALF, "user": "a", "ok": True}, "ok and seconds together"),
        ({"flag": HALF, "user": "a"}, "score"),
        ({"flag": HALF, "user": "a", "score": 2}, "outcomes.0.score"),
        ({"flag": HALF, "user": "a", "ok": True, "seconds": -1}, "outcomes.0.seconds"),
        ({"flag": HALF, "user": "a", "score": 1, "rating": 5}, "outcomes.0.rating"),
    ],
)
def test_a_bad_outcome_is_refused_by_its_field(
    server: RunningServer, outcome: dict[str, object], field: str
) -> None:
    reply = server.post("/outcomes", {"outcomes": [outcome]}, key=WRITE_KEY)
    assert reply.status_code == 400
    assert field in reply.json()["errorDetails"]


async def test_a_rollback_is_read_back_from_the_server(server: RunningServer) -> None:
    """Its callers hold no flags of their own: the server's answer is theirs."""
    async with Redis.from_url(server.redis_url) as redis:
        (process,) = await live_processes(redis, ENVIRONMENT)
        (poll,) = await poll_processes([process])
    assert poll.exposes_at_most(FlagState(name=FULL, rollout_percentage=100))
    assert not poll.exposes_at_most(FlagState(name=FULL, rollout_percentage=99))


@pytest.mark.parametrize(
    ("path", "valid"),
    [
        (f"/ofrep/v1/evaluate/flags/{FULL}", {"context": {"targetingKey": "alice"}}),
        ("/outcomes", {"outcomes": [{"flag": FULL, "user": "alice", "ok": True, "seconds": 0.1}]}),
    ],
)
def test_no_body_breaks_the_server(
    server: RunningServer, path: str, valid: dict[str, object]
) -> None:
    headers = {"X-API-Key": WRITE_KEY}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=60) as http:
        assert fuzz(lambda body: http.post(path, content=body), json_bodies(valid), server.pid)


def test_oversized_headers_and_open_servers_are_refused(server: RunningServer) -> None:
    """A header is bounded before a key is checked, and nothing listens to others without keys."""
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port or 0), timeout=30) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-filler: ")
        with suppress(OSError):  # closed before everything is sent
            for _ in range(64):
                connection.sendall(b"a" * 4096)
            assert b" 431 " in connection.recv(4096)
    program = str(Path(sys.executable).with_name("sluice"))
    done = subprocess.run(  # noqa: S603  ours
        [program, "flags", "serve", "--host", "0.0.0.0", "--port", "0"],  # noqa: S104  refused
        env={**os.environ, "REDIS_URL": server.redis_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == Exit.USAGE
    assert "SLUICE_FLAGS_API_KEYS" in done.stderr
