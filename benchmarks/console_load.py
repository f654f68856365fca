"""The console under load: big lists, a long timeline, and many open pages.

    .venv/bin/python benchmarks/console_load.py [PAGES]

Temporal is a double here, so that the figures are the console's own: 200 rollouts in the list, one
rollout with 28 days of events and checks, and PAGES (200) browsers that follow it while its state
changes once a second.
"""

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import uvicorn

from activities.contract.models import WatchCheckpoint
from sluice.cli.context import Context
from sluice.console.app import create_app
from sluice.console.feeds.check_history import RecordedHistory
from sluice.console.feeds.rollout_feed import RolloutFeed
from sluice.console.feeds.rollout_list import RolloutList
from sluice.console.feeds.rollout_source import RolloutRow
from sluice.console.server import build_services
from sluice.console.services import ConsoleServices, utc_now
from sluice.console.settings import read_settings
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine.commands import Acknowledgement, Command, Verb
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import State
from sluice.rollout.plan.loader import load_plan

PORT = 18_399
ORIGIN = f"http://localhost:{PORT}"
NO_LIMIT = httpx.Limits(max_connections=None)
WARM_UP_SECONDS = 8
ROLLOUTS, DAYS, CHECKS = 200, 28, 400
SECONDS = 12
BEGAN = datetime.now(UTC) - timedelta(days=DAYS)


class ChangingRollout:
    """One rollout whose timeline grows by an event a second."""

    def __init__(self) -> None:
        self.state = State(
            rollout_id="rollout-flag-1/run",
            run_id="run",
            plan=load_plan(Path("plans/phase4.yaml")),
            started_at=BEGAN,
        )

    async def fetch_rows(self) -> list[RolloutRow]:
        return [
            RolloutRow(
                f"flag-{number}", "1", True, "Progressing", "ramp-25", 25.0, True, BEGAN, None
            )
            for number in range(ROLLOUTS)
        ]

    async def fetch_state(self, flag: str) -> State:
        second = int(time.time())
        event = Event(at=datetime.fromtimestamp(second, UTC), kind="note", text=f"at {second}")
        return self.state.model_copy(update={"timeline": (*self.state.timeline, event)})

    async def fetch_waiting(self, flag: str) -> tuple[str, datetime | None]:
        return "watching", None

    async def fetch_watch(self, flag: str) -> WatchCheckpoint | None:
        return None

    async def send_command(
        self, flag: str, verb: Verb, command: Command, seconds: float = 10
    ) -> Acknowledgement:
        raise NotImplementedError

    async def send_signal(self, flag: str, verb: Verb, command: Command) -> None:
        raise NotImplementedError


def recorded_history() -> RecordedHistory:
    """Make 28 days of hourly events and the newest checks."""
    hours = range(DAYS * 24)
    events = tuple(
        Event(at=BEGAN + timedelta(hours=hour), kind="check", text="fine", percentage=hour % 100)
        for hour in hours
    )
    verdicts = tuple(
        Verdict(gate=f"gate_{n}", outcome=Outcome.SUCCESSFUL, reason="fine", value=n, limit=9)
        for n in range(8)
    )
    checks = tuple(
        Check(id=f"s/{n}", at=BEGAN + timedelta(hours=n), step="s", verdicts=verdicts)
        for n in range(CHECKS)
    )
    return RecordedHistory(checks, events)


def loaded_services(folder: str) -> ConsoleServices:
    context, source = Context({"SLUICE_ACTOR": "bench"}), ChangingRollout()
    settings = read_settings({}, ("localhost", PORT), "bench", Path(folder))
    history = recorded_history()

    async def load(state: State) -> RecordedHistory:
        return replace(history, events=(*history.events, *state.timeline))

    feed = RolloutFeed(source, load)
    services = build_services(context, settings)
    return replace(services, source=source, feed=feed, rollouts=RolloutList(source, utc_now))


@asynccontextmanager
async def serving(services: ConsoleServices) -> AsyncIterator[httpx.AsyncClient]:
    server = uvicorn.Server(uvicorn.Config(create_app(services), port=PORT, log_level="error"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    async with httpx.AsyncClient(base_url=ORIGIN, timeout=60, trust_env=False) as client:
        await client.get(services.login_links.url())
        yield client
    server.should_exit = True
    await task


async def page_milliseconds(client: httpx.AsyncClient, path: str) -> float:
    """Return the median time of ten requests, one after the other."""
    times = []
    for _ in range(10):
        began = time.perf_counter()
        (await client.get(path)).raise_for_status()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


async def follow(client: httpx.AsyncClient, delays: list[float]) -> None:
    """Follow the rollout; note how late each event of the timeline arrives."""
    async with client.stream("GET", "/rollouts/flag-1/events") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data:") and '"timeline"' in line:
                now = time.time()
                delays.append(now - int(now))


async def follow_all(pages: int, cookie: str) -> None:
    """Follow with many pages from a process of its own; print the delays as JSON."""
    delays: list[float] = []
    async with httpx.AsyncClient(
        base_url=ORIGIN, limits=NO_LIMIT, timeout=60, trust_env=False, cookies={"sluice": cookie}
    ) as client:
        followers = [asyncio.create_task(follow(client, delays)) for _ in range(pages)]
        await asyncio.sleep(WARM_UP_SECONDS)
        delays.clear()
        await asyncio.sleep(SECONDS)
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
    print(json.dumps(delays))


async def main(pages: int) -> None:
    """Print the figures."""
    with TemporaryDirectory() as folder:
        async with serving(loaded_services(folder)) as client:
            for name, path in ((f"{ROLLOUTS} rollouts", "/"), (f"{DAYS} days", "/rollouts/flag-1")):
                print(f"page with {name}: {await page_milliseconds(client, path):.0f} ms")
            command = (sys.executable, __file__, str(pages), client.cookies["sluice"])
            browsers = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            await asyncio.sleep(WARM_UP_SECONDS + 2)
            before, began = _cpu_seconds(), time.perf_counter()
            await asyncio.sleep(SECONDS - 4)
            cores = (_cpu_seconds() - before) / (time.perf_counter() - began)
            output, _ = await browsers.communicate()
            delays = json.loads(output)
            print(f"{pages} open pages: {cores:.2f} cores")
            print(
                f"event → page: median {_quantile(delays, 0.5):.2f} s, "
                f"99 % {_quantile(delays, 0.99):.2f} s of {len(delays)}"
            )


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))] if values else float("nan")


if __name__ == "__main__":
    PAGES = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    asyncio.run(follow_all(PAGES, sys.argv[2]) if len(sys.argv) > 2 else main(PAGES))  # noqa: PLR2004
