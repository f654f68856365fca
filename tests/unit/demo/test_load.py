"""The load generator keeps its rate, sends feedback, and outlives its targets."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from sluice.demo.load_generator import LoadGenerator, LoadOptions, http_session, parse_arguments
from sluice.demo.question_catalog import generate_questions

ROOT = Path(__file__).parents[3]
ANSWERS = {question.text: sorted(question.answers) for question in generate_questions()}


class StubRouter:
    """A server of the router's contract that knows all answers, on a port of its own."""

    def __init__(self) -> None:
        self.queries: list[dict[str, str]] = []
        self.feedbacks: list[dict[str, object]] = []
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        app = FastAPI()
        app.post("/query")(self.query)
        app.post("/feedback", status_code=202)(self.feedback)
        config = uvicorn.Config(app, ws="none", lifespan="off", log_level="error")
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    async def query(self, body: dict[str, str]) -> dict[str, object]:
        self.queries.append(body)
        results = [{"id": id_} for id_ in ANSWERS[body["query"]]]
        number = f"c-{id(self)}-{len(self.queries)}"
        return {"query_id": number, "results": results, "cached": False, "degraded": False}

    async def feedback(self, body: dict[str, object]) -> dict[str, object]:
        self.feedbacks.append(body)
        return {}

    async def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self.socket]))
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has a flag and no event
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task:
            await self._task


async def run_load(targets: Iterable[StubRouter], seconds: float) -> LoadGenerator:
    options = LoadOptions(tuple(one.url for one in targets), rate=60, users=20, duration=seconds)
    async with http_session() as http:
        load = LoadGenerator(options, http)
        await load.run(asyncio.Event())
    return load


async def test_every_request_is_answered_and_feedback_names_its_query() -> None:
    servers = [StubRouter(), StubRouter()]
    await asyncio.gather(*(server.start() for server in servers))
    load = await run_load(servers, 2.0)
    await asyncio.gather(*(server.stop() for server in servers))
    total = load.total.summary()
    assert 60 <= load.total.sent <= 180
    assert total["errors"] == total["feedback_errors"] == total["dropped"] == 0
    assert load.total.ok == load.total.sent == sum(len(server.queries) for server in servers)
    assert min(len(server.queries) for server in servers) > load.total.sent / 4
    feedbacks = [one for server in servers for one in server.feedbacks]
    assert 0.6 * load.total.ok < len(feedbacks) == load.total.feedback
    assert all(str(one["query_id"]).startswith("c-") for one in feedbacks)
    assert total["mean_reward"] is not None
    assert total["mean_reward"] > 0.7


async def test_a_target_that_goes_away_costs_no_request() -> None:
    staying, leaving = StubRouter(), StubRouter()
    await asyncio.gather(staying.start(), leaving.start())
    running = asyncio.create_task(run_load([staying, leaving], 2.0))
    await asyncio.sleep(1.0)
    await leaving.stop()
    load = await running
    await staying.stop()
    assert leaving.queries
    # Those in flight while a server closes may fail; later ones go to the other target.
    assert load.total.errors <= 5
    assert load.total.ok >= load.total.sent - 5


def test_sigterm_ends_it_cleanly_even_without_any_target() -> None:
    argv = [
        sys.executable,
        "-m",
        "sluice.demo.load_generator",
        "--targets",
        "http://127.0.0.1:1",
        "--json",
    ]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        os.kill(process.pid, signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert first["errors"] > 0
    assert first["mean_reward"] is None
    assert json.loads(rest.splitlines()[-1])["total"] is True


@pytest.mark.parametrize("wrong", [["--targets", " , "], ["--targets", "http://x", "--rate", "0"]])
def test_unusable_options_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(wrong)
    assert "error" in capsys.readouterr().err
