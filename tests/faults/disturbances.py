"""Faults of a live rollout's parts: each begins, lasts until its context ends, and is repaired."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.plan.loader import parse_plan
from tests.faults.faulty_proxy import frozen_process
from tests.faults.live_rollout import FLAG, PLAN, LiveRollout

SECOND_FLAG = "second"
SECOND_PLAN = PLAN.replace(f"flag: {FLAG}", f"flag: {SECOND_FLAG}")

Disturbance = Callable[[LiveRollout], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def write_refusing_redis(live: LiveRollout) -> AsyncIterator[None]:
    """Let Redis answer reads and refuse every write, as with a full disk."""
    await live.redis.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        await live.redis.config_set("min-replicas-to-write", 0)


@asynccontextmanager
async def blind_metrics(live: LiveRollout) -> AsyncIterator[None]:
    """Let Prometheus accept connections and answer nothing."""
    with frozen_process(await _pid(live, "prometheus")):
        yield


@asynccontextmanager
async def late_failing_activity(live: LiveRollout) -> AsyncIterator[None]:
    """Freeze the worker in its activities: their answers come after their timeouts."""
    pid = await _pid(live, "worker")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def frozen_ledger(live: LiveRollout) -> AsyncIterator[None]:
    """Let Postgres accept connections and answer nothing: checks fail after the ledger's timeout."""
    with frozen_process(await _pid(live, "postgres")):
        yield


@asynccontextmanager
async def second_plan(live: LiveRollout) -> AsyncIterator[None]:
    """Start a plan that wants the same phases; its rollout can still be aborted afterwards."""
    await live.rollouts.start(parse_plan(SECOND_PLAN))
    yield
    await live.rollouts.send_command(SECOND_FLAG, Verb.ABORT, Command(actor="ann"), seconds=30)


async def _pid(live: LiveRollout, service: str) -> int:
    pid = next(one.pid for one in await live.stack.status() if one.name == service)
    assert pid is not None
    return pid


DISTURBANCES: Mapping[str, Disturbance] = {
    "write-refusing Redis": write_refusing_redis,
    "blind metrics": blind_metrics,
    "late failing activity": late_failing_activity,
    "frozen ledger": frozen_ledger,
    "second plan": second_plan,
}
