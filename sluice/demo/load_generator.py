"""The load generator: users who ask, wait and rate the answer.

``python -m sluice.demo.load_generator --targets http://127.0.0.1:8101,http://127.0.0.1:8102 --rate 40``

Open loop: requests are sent when due, even if earlier ones are unanswered, so that a slow router
gets the same load as a fast one. One JSON line every five seconds on standard output;
SIGTERM and SIGINT stop it cleanly. An unreachable target is skipped for a second, as a load balancer
does.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from router.learning.feedback import UserFeedback, reward
from sluice.demo.company.seeded_random import random_stream
from sluice.demo.load_stats import AnsweredRequest, LoadStats, is_answer_in_top
from sluice.demo.question_catalog import LabeledQuestion, ZipfSampler, generate_questions
from sluice.demo.users import Feedback, UserPopulation, simulate_feedback

STATUS_SECONDS = 5.0
REQUEST_TIMEOUT_SECONDS = 10.0
IN_FLIGHT_MAX = 200
CONNECTIONS = 64
TARGET_BACKOFF_SECONDS = 1.0
FEEDBACK_DELAY_SECONDS = (0.2, 1.5)
"""A simulated dwell time is reported, not waited for: the demo takes minutes."""
DRAIN_SECONDS = 3.0
SCHEDULE_LAG_SECONDS_MAX = 1.0


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Options. ``rate`` is in requests a second; ``duration`` in seconds, None until stopped."""

    targets: tuple[str, ...]
    rate: float = 40.0
    users: int = 300
    seed: int = 7
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class ReceivedAnswer:
    """The visible part of the reply to ``POST /query``."""

    query_id: str
    results: list[dict[str, object]]
    cached: bool
    degraded: bool


class LoadGenerator:
    """Generator of load; it runs once. ``total`` counts since the start."""

    def __init__(self, options: LoadOptions, http: aiohttp.ClientSession) -> None:
        self._options = options
        self._http = http
        self._crowd = UserPopulation(options.users, options.seed)
        self._popularity = ZipfSampler(generate_questions(options.seed))
        self._rng = random_stream(options.seed, "load")
        self._away_until: dict[str, float] = dict.fromkeys(options.targets, 0.0)
        self._bad_streaks: defaultdict[str, int] = defaultdict(int)
        self._tasks: set[asyncio.Task[None]] = set()
        self._window = LoadStats()
        self.total = LoadStats()

    async def run(self, stop: asyncio.Event) -> None:
        """Send requests until ``stop`` is set or the duration is over; then drain those in flight."""
        status = asyncio.create_task(self._report())
        try:
            async with asyncio.timeout(self._options.duration):
                await self._send_until(stop)
        except TimeoutError:
            pass  # the duration is over
        finally:
            status.cancel()
            await self._drain()

    async def _send_until(self, stop: asyncio.Event) -> None:
        due = time.monotonic()
        while not stop.is_set():
            due += self._rng.expovariate(self._options.rate)
            wait = due - time.monotonic()
            if wait > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), wait)
            elif wait < -SCHEDULE_LAG_SECONDS_MAX:
                due = (
                    time.monotonic()
                )  # this process was suspended: do not send the missed requests
            if not stop.is_set():
                self._dispatch()

    def _dispatch(self) -> None:
        self._count("sent")
        if len(self._tasks) >= IN_FLIGHT_MAX:
            self._count("dropped")
            return
        user, question = self._crowd.draw(self._rng), self._popularity.draw(self._rng)
        self._start(self._ask_and_rate(user, question, random.Random(self._rng.random())))  # noqa: S311 - a user's moods need repeatable chance

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_and_rate(self, user: str, question: LabeledQuestion, rng: random.Random) -> None:
        """Ask a question, record the answer and send feedback."""
        body = {"query": question.text, "user_id": user}
        began = time.monotonic()
        response = await self._post("/query", body)
        latency_ms = (time.monotonic() - began) * 1000
        answer = _parse_answer(response)
        if answer is None:
            self._count("errors")
            self._bad_streaks[user] += 1
            return
        answered = is_answer_in_top(question, answer.results)
        for tally in (self._window, self.total):
            tally.add_answer(AnsweredRequest(latency_ms, answer.cached, answer.degraded, answered))
        feedback = simulate_feedback(
            question, answer.results, latency_ms, rng, self._bad_streaks[user]
        )
        if answered is not None:
            self._bad_streaks[user] = 0 if answered else self._bad_streaks[user] + 1
        if feedback is not None:
            await asyncio.sleep(rng.uniform(*FEEDBACK_DELAY_SECONDS))
            await self._send_feedback(answer.query_id, feedback)

    async def _send_feedback(self, query_id: str, feedback: Feedback) -> None:
        if await self._post("/feedback", {"query_id": query_id, **feedback}) is None:
            self._count("feedback_errors")
            return
        complaint = bool(feedback.get("complaint", False))
        signals = {name: value for name, value in feedback.items() if name != "complaint"}
        gained = reward(UserFeedback.from_dict({"query_id": query_id, **signals}))
        for tally in (self._window, self.total):
            tally.add_feedback(gained, complaint=complaint)

    async def _post(self, path: str, body: Mapping[str, object]) -> object | None:
        """Try the reachable targets; return None when none gave a good answer."""
        for target in self._targets_in_order():
            try:
                async with self._http.post(target + path, json=body) as response:
                    return await response.json() if response.ok else None
            except aiohttp.ClientConnectorError:
                self._away_until[target] = time.monotonic() + TARGET_BACKOFF_SECONDS
            except (aiohttp.ClientError, TimeoutError, ValueError):
                return None  # it may have been received: do not send it twice
        return None

    def _targets_in_order(self) -> list[str]:
        now = time.monotonic()
        targets = self._rng.sample(self._options.targets, len(self._options.targets))
        return sorted(targets, key=lambda target: self._away_until[target] > now)

    def _count(self, name: str) -> None:
        for tally in (self._window, self.total):
            setattr(tally, name, getattr(tally, name) + 1)

    async def _report(self) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            window, self._window = self._window, LoadStats()
            print_json_line({"seconds": round(time.monotonic() - began, 1), **window.summary()})

    async def _drain(self) -> None:
        """Wait for requests in flight, within limits."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()


def _parse_answer(body: object | None) -> ReceivedAnswer | None:
    """Return the answer; None for an error or an unknown body."""
    if not isinstance(body, dict):
        return None
    try:
        return ReceivedAnswer(body["query_id"], body["results"], body["cached"], body["degraded"])
    except KeyError:
        return None


def print_json_line(line: dict[str, object] | dict[str, int | float | None]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def parse_arguments(arguments: Sequence[str]) -> tuple[LoadOptions, bool]:
    """Parse the options and the request for a final summary; exit on a mistake."""
    parser = argparse.ArgumentParser(
        prog="sluice.demo.load_generator", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--targets", required=True, help="router addresses, separated by commas")
    parser.add_argument("--rate", type=_positive, default=40.0, help="requests a second")
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--duration", type=_positive, help="seconds; without it until SIGTERM")
    parser.add_argument("--json", action="store_true", help="print a summary at the end")
    parsed = parser.parse_args(arguments)
    targets = tuple(url.strip().rstrip("/") for url in parsed.targets.split(",") if url.strip())
    if not targets:
        parser.error("--targets is empty; give an address such as http://127.0.0.1:8101")
    return LoadOptions(
        targets, parsed.rate, parsed.users, parsed.seed, parsed.duration
    ), parsed.json


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def http_session() -> aiohttp.ClientSession:
    """Open a session with enough connections for the load, and a timeout."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS),
    )


async def run(options: LoadOptions, *, summary: bool) -> None:
    """Run until stopped by a signal or by the duration."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Not httpx: its pool scans all connections for each waiting request. With a slow router that
    # would cost this process the time it needs to keep its rate.
    async with http_session() as http:
        load = LoadGenerator(options, http)
        await load.run(stop)
    if summary:
        print_json_line({"total": True, **load.total.summary()})


def main() -> None:
    """Entry point of ``python -m sluice.demo.load_generator``."""
    options, summary = parse_arguments(sys.argv[1:])
    asyncio.run(run(options, summary=summary))


if __name__ == "__main__":
    main()
