"""A console on real Temporal, Redis and Postgres, with a rollout that a real worker carries out.

Only the readings are scripted: a test decides when the release is bad.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.adapters.channels import WebhookChannel
from activities.adapters.postgres_ledger import PostgresLedger
from activities.adapters.redis_flags import RedisFlags
from activities.check import CheckActivities
from activities.checklist import ChecklistActivities
from activities.code_revert import CodeRevertActivities
from activities.contract.ports import NoticeChannel
from activities.doubles.environment_probe import MemoryEnvironmentProbe
from activities.flags import FlagActivities
from activities.identity import IdentityActivities
from activities.notify import NoticeActivities
from activities.timeline import TimelineActivities
from activities.watch import WatchActivities
from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.context import Context, stack_home
from sluice.console.app import create_app
from sluice.console.server import build_services
from sluice.console.services import ConsoleServices
from sluice.console.settings import read_settings
from sluice.identity.signing import StatementSigner
from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.state import State
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.notification import Channel
from sluice.worker.options import worker_options
from sluice.worker.settings import WorkerSettings
from tests.conftest import SCREENSHOTS_VARIABLE
from tests.free_port import free_port
from tests.workflows.doubles import (
    RecordingNotices,
    ScriptedCodeRepository,
    ScriptedMetrics,
    ScriptedReports,
)
from workflows.activity_options import TASK_QUEUE
from workflows.notice_workflow import NoticeWorkflow
from workflows.rollout_workflow import RolloutWorkflow

SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"  # Slack's own example
PLAN = """
name: quick
description: "<script>alert('plan')</script>"
flag: {flag}
environment: console
watch_interval: 1s
notify: [{{channel: webhook}}]
metrics:
  errors: {{query: 'errors{{cohort=~"$cohort"}}', samples: 'queries{{cohort=~"$cohort"}}', unit: ratio}}
  reward: {{query: 'reward{{cohort=~"$cohort"}}', samples: 'queries{{cohort=~"$cohort"}}', unit: score}}
steps:
  - name: internal
    title: Internal users
    stage: 1
    percentage: 5
    interval: 1s
    hold: 2s
    deadline: 1m
    gates: &gates
      - {{metric: errors, threshold: 1%, window: 1m, min_samples: 10}}
      - {{metric: reward, threshold: 0.5, direction: above, window: 1m, min_samples: 10}}
    red_flags: &red_flags
      - {{name: error_spike, metric: errors, threshold: 5%, window: 1m, min_samples: 5}}
      - {{name: unhappy, metric: reward, threshold: 0.3, direction: above, window: 1m, severity: P2}}
  - name: half
    title: {title}
    stage: 4
    percentage: 50
    rollback_to: internal
    approval: {{required_approvals: 1}}
    checklist:
      - {{name: informed, title: Support is informed, check: attested}}
    interval: 1s
    hold: 2m
    deadline: 1h
    gates: *gates
    red_flags: *red_flags
"""


def is_for_docs() -> bool:
    """Return True if pictures are taken: they show plain names, the tests show markup as text."""
    return SCREENSHOTS_VARIABLE in os.environ


@dataclass(frozen=True)
class RunningConsole:
    """One console that listens; ``environment`` holds the addresses that it was given."""

    services: ConsoleServices
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return self.services.settings.origin

    def login_url(self, path: str = "/") -> str:
        return self.services.login_links.url(path)

    def browser(self) -> httpx.AsyncClient:
        """Open an HTTP client with cookies, not logged in."""
        return httpx.AsyncClient(base_url=self.url, trust_env=False)

    @asynccontextmanager
    async def logged_in(self) -> AsyncIterator[httpx.AsyncClient]:
        """Open an HTTP client and log in by the one-time link."""
        async with self.browser() as client:
            answer = await client.get(self.login_url())
            assert answer.status_code == 303, answer.text
            yield client


class JsonInbox:
    """A real HTTP server that accepts every JSON document: a webhook's receiver."""

    def __init__(self) -> None:
        self._documents: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self._documents.get(), 20)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/inbox"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        self._documents.put_nowait(json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@dataclass(frozen=True)
class LiveConsole(RunningConsole):
    """A console and a rollout under way, whose readings the test scripts."""

    metrics: ScriptedMetrics
    rollouts: Rollouts
    flag: str

    async def start(self, command: Command | None = None) -> None:
        title = "Half of the users" if is_for_docs() else "Half of the <b>users</b>"
        await self.rollouts.start(parse_plan(PLAN.format(flag=self.flag, title=title)), command)


@dataclass(frozen=True)
class ProvenConsole:
    """A console and a rollout whose worker has a keyring; ada has started it."""

    live: LiveConsole
    keyring: Path

    def add(self, line: str) -> None:
        self.keyring.write_text(f"{self.keyring.read_text()}{line}\n")

    async def state(self) -> State:
        return await self.live.rollouts.fetch_state(self.live.flag)


@asynccontextmanager
async def live_console(
    environment: dict[str, str], signer: StatementSigner | None = None
) -> AsyncIterator[LiveConsole]:
    """Serve a console beside a worker with the environment's keyring; ``start`` starts a rollout."""
    client, metrics = await Context(environment).connect_temporal(), ScriptedMetrics()
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        running_console(environment) as running,
        _worker(
            client,
            environment,
            metrics,
            NoticeActivities(_channels(http, environment), console_url=running.url),
        ),
    ):
        flag = "checkout" if is_for_docs() else f"flag-{running.url.rpartition(':')[2]}"
        rollouts = Rollouts(client, signer)
        yield LiveConsole(running.services, environment, metrics, rollouts, flag)
        await _terminate(client, flag)


@asynccontextmanager
async def running_console(environment: dict[str, str]) -> AsyncIterator[RunningConsole]:
    """Serve a console on a free port."""
    context, port = Context(environment), free_port()
    address, home = ("localhost", port), stack_home() / "console"
    settings = read_settings(context.environment, address, context.actor, home)
    services = build_services(context, settings)
    config = uvicorn.Config(
        create_app(services), port=port, log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield RunningConsole(services, environment)
    finally:
        server.should_exit = True
        await serving


def _channels(http: httpx.AsyncClient, environment: dict[str, str]) -> dict[Channel, NoticeChannel]:
    """Return the webhook of the environment, or one that keeps the notices."""
    if url := environment.get("SLUICE_WEBHOOK_URL"):
        return {"webhook": WebhookChannel(http, url, environment["SLUICE_WEBHOOK_SECRET"])}
    return {"webhook": RecordingNotices()}


@asynccontextmanager
async def _worker(
    client: Client,
    environment: dict[str, str],
    metrics: ScriptedMetrics,
    notices: NoticeActivities,
) -> AsyncIterator[None]:
    flags = RedisFlags.from_url(environment["REDIS_URL"])
    ledger = PostgresLedger(environment["POSTGRES_DSN"])
    probe = MemoryEnvironmentProbe()
    keyring = environment.get("SLUICE_KEYRING")
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[RolloutWorkflow, NoticeWorkflow],
        activities=[
            FlagActivities(flags).apply,
            FlagActivities(flags).confirm,
            CheckActivities(metrics, ledger).check,
            WatchActivities(metrics, flags).watch,
            ScriptedReports().write_report,
            TimelineActivities(ledger).record_end,
            notices.deliver,
            CodeRevertActivities(ScriptedCodeRepository()).revert,
            ChecklistActivities(metrics, probe).check_items,
            IdentityActivities(Path(keyring) if keyring else None, ledger=ledger).verify,
        ],
        **worker_options(WorkerSettings(drain_seconds=1)),
    )
    async with worker:
        yield
    await flags.close()
    await ledger.close()


async def _terminate(client: Client, flag: str) -> None:
    with suppress(RPCError):  # it may have ended by itself, also just now
        await client.get_workflow_handle(f"rollout-{flag}").terminate("the test is over")
