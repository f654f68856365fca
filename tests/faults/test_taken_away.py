"""Traffic is taken away whatever is down: a breach, with Redis stopped, without worker and Temporal.

One rollout on one stack for all of it: each test brings it back to 5 %.
"""

import asyncio
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sluice.flags import FeatureFlags, FlagState
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import State, Status
from sluice.stack import Stack
from tests.conftest import clean_environ
from tests.faults.disturbances import DISTURBANCES
from tests.faults.live_rollout import FLAG, SERVICES, SLOW_PLAN, LiveRollout
from tests.free_port import free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]
KILLED = {"flag": FLAG, "percentage": 0, "killed": True}
PLAN = f"""{SLOW_PLAN}
escalation: {{rollback_pages_after: 5s}}
notify: [{{channel: log}}]
"""
SCRAPE_SECONDS, PROMISED_SECONDS = 1.0, 2.0
BUSY_MACHINE_SECONDS = 60.0
WORKER_METRICS = f"127.0.0.1:{free_port()}"
LIVENESS_SECONDS = 30.0
FAULT_SECONDS = 6.0
"""Longer than a statement of the ledger and a heartbeat of the watch may take."""


def draw_disturbances(seed: int) -> list[tuple[str, ...]]:
    """Return every disturbance once, in two groups that happen at the same time."""
    names = random.Random(seed).sample(sorted(DISTURBANCES), len(DISTURBANCES))  # noqa: S311
    return [tuple(names[:3]), tuple(names[3:])]


class RouterClient:
    """A real router, asked what it serves."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def served_flag(self) -> dict[str, Any]:
        """Return the flag in this process; when stale, it treats no user."""
        seen = (await self._http.get("/flags")).json()
        return {"stale": seen["stale"], **seen["flags"].get(FLAG, {})}

    async def metric(self, name: str) -> float:
        """Return a metric without labels."""
        lines = (await self._http.get("/metrics")).text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    async def wait_until(self, condition: Callable[[dict[str, Any]], bool]) -> float:
        """Wait for it; the time (Unix seconds) at which it was so."""
        async with asyncio.timeout(BUSY_MACHINE_SECONDS):
            while not condition(await self.served_flag()):  # noqa: ASYNC110  it is another process
                await asyncio.sleep(0.02)
        return time.time()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(
    tmp_path_factory: pytest.TempPathFactory, stack_guard: None
) -> AsyncIterator[LiveRollout]:
    """Give a separate stack, because its servers are stopped."""
    stack = Stack(tmp_path_factory.mktemp("stopped"), clean_environ())
    await stack.up(SERVICES)
    settings = {"SLUICE_WORKER_METRICS_ADDRESS": WORKER_METRICS}
    rollout = await LiveRollout.start(stack, settings, plan=PLAN)
    yield rollout
    await rollout.close()
    await stack.down()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(live: LiveRollout) -> AsyncIterator[RouterClient]:
    url = f"http://127.0.0.1:{free_port()}"
    argv = (sys.executable, "-m", "router.main", "--port", url.rpartition(":")[2])
    vectors = {"QDRANT_PATH": str(live.stack.home / "router-vectors")}
    await live.stack.spawn("router", argv, env=vectors, health_url=f"{url}/healthz")
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as http:
        yield RouterClient(http)


def is_at_five(seen: dict[str, Any]) -> bool:
    return not seen["stale"] and seen.get("rollout_percentage") == 5


def is_off(seen: dict[str, Any]) -> bool:
    return seen.get("rollout_percentage") == 0


async def test_a_breach_reaches_the_router_process(
    live: LiveRollout, router: RouterClient, record_property: Callable[[str, object], None]
) -> None:
    """Breach, red flag, write, router, confirmation: in this order; the seconds are recorded."""
    await live.wait_until(lambda s: s.percentage == 5)
    await router.wait_until(is_at_five)
    breached_at = time.time()
    live.errors.labels("treatment").set(0.5)
    obeyed_at = await router.wait_until(is_off)
    state = await live.wait_until(
        lambda s: s.rollback is not None and s.rollback.confirmed_at is not None
    )
    seconds = obeyed_at - breached_at
    record_property("breach_to_router_seconds", seconds)
    print(  # noqa: T201  shown by pytest -rP
        f"breach to 0 % in the router: {seconds:.2f} s; promised {SCRAPE_SECONDS + PROMISED_SECONDS} s"
    )
    rollback = state.rollback
    assert rollback is not None
    assert rollback.finding is not None
    assert rollback.completed_at is not None
    assert rollback.confirmed_at is not None
    seen_at, asked_at = rollback.finding.seen_at, rollback.requested_at
    assert breached_at < seen_at.timestamp()
    assert seen_at <= asked_at <= rollback.completed_at <= rollback.confirmed_at
    assert "1 process reports it" in rollback.confirmation
    assert (state.status, state.percentage) == (Status.DEGRADED, 0)
    assert seconds < BUSY_MACHINE_SECONDS


async def test_the_lateness_of_the_watch_is_a_metric_of_the_worker(live: LiveRollout) -> None:
    """An overloaded watch is seen, and the alert ``WatchesLate`` has its series."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        text = (await http.get(f"http://{WORKER_METRICS}/metrics")).text
    buckets = re.findall(
        r'^sluice_watch_lateness_seconds_bucket.*le="(.*)"} [1-9]', text, re.MULTILINE
    )
    assert {"5", "300"} <= set(buckets)


async def test_a_reset_to_before_the_first_percentage_is_found_and_safe_to_go_on_from(
    live: LiveRollout,
) -> None:
    """The store keeps what the lost future wrote: that is a P0, and the next write comes after it.

    Early in this file: a rollout that has continued as new cannot be reset to its begin.
    """
    await retry_after_recovery(live)
    before = (await flag_of(live)).fence.sequence
    await live.reset_workflow()
    state = await live.wait_until(lambda s: s.status is Status.DEGRADED and s.check_count == 0)
    assert state.rollback is not None
    assert f"the store has write {before} of this rollout" in state.rollback.reason
    assert ((await flag_of(live)).rollout_percentage, state.sequence) == (0, before + 1)
    await live.rollouts.send_command(FLAG, Verb.RETRY, Command(actor="ann"))
    await live.wait_until(lambda s: s.percentage == 5)
    assert (await flag_of(live)).rollout_percentage == 5
    live.errors.labels("treatment").set(0.5)
    await live.wait_until(lambda s: s.status is Status.DEGRADED)


async def test_with_redis_stopped_a_rollback_is_tried_until_it_is_back(
    live: LiveRollout, router: RouterClient
) -> None:
    """Nobody is treated meanwhile, a person is paged, and it ends at 0 %."""
    await retry_after_recovery(live)
    await router.wait_until(is_at_five)
    redis = live.stack.environment()["REDIS_URL"]
    pid = next(one.pid for one in await live.stack.status() if one.name == "redis")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        live.errors.labels("treatment").set(0.5)
        await router.wait_until(lambda seen: bool(seen["stale"]))
        state = await live.wait_until(lambda s: "problem" in _kinds(s))
        assert state.rollback is not None
        assert state.rollback.completed_at is None, "a store that is stopped has taken nothing"
        (problem,) = [event.text for event in state.timeline if event.kind == "problem"]
        assert "takes longer than 5s" in problem
        assert "rollback_slow" in {alarm.alert for alarm in state.outbox.open_alerts}
        assert (await router.served_flag())["stale"]
    finally:
        os.kill(pid, signal.SIGCONT)
    end = await live.wait_until(lambda s: s.status is Status.DEGRADED)
    await router.wait_until(is_off)
    assert (end.percentage, live.stack.environment()["REDIS_URL"]) == (0, redis)
    assert (await live.percentages())[-3:] == [0, 5, 0]


@pytest.mark.parametrize("names", draw_disturbances(seed=14), ids=" + ".join)
async def test_when_all_parts_are_back_the_rollout_acts_within_seconds(
    live: LiveRollout, names: tuple[str, ...]
) -> None:
    """Liveness, after faults at the same time: the next breach takes traffic away by itself."""
    await retry_after_recovery(live)
    async with AsyncExitStack() as faults:
        for name in names:
            await faults.enter_async_context(DISTURBANCES[name](live))
        await asyncio.sleep(FAULT_SECONDS)
    live.errors.labels("treatment").set(0.5)
    state = await live.wait_until(lambda s: s.percentage == 0, LIVENESS_SECONDS)
    assert state.status is Status.DEGRADED
    assert (await live.percentages())[-1] == 0


async def test_after_flushall_nobody_is_treated_until_a_rollback_and_a_retry(
    live: LiveRollout, router: RouterClient
) -> None:
    """Nothing sets the flag by itself: an emptied store may have lost a person's kill."""
    await retry_after_recovery(live)
    await live.redis.flushall()
    await live.wait_until(lambda s: s.status is Status.PAUSED, LIVENESS_SECONDS)
    assert FLAG not in (await FeatureFlags(live.redis).document()).flags
    await live.rollouts.send_command(FLAG, Verb.ROLLBACK, Command(actor="ann"), LIVENESS_SECONDS)
    assert (await flag_of(live)).rollout_percentage == 0
    await live.rollouts.send_command(FLAG, Verb.RETRY, Command(actor="ann"))
    await live.wait_until(lambda s: s.percentage == 5)
    await router.wait_until(is_at_five)
    assert await router.metric("router_redis_memory_bytes") > 0


async def flag_of(live: LiveRollout) -> FlagState:
    return await FeatureFlags(live.redis).get_flag(FLAG)


async def abort(live: LiveRollout) -> Any:  # noqa: ANN401  any JSON document
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "sluice"),
        *("abort", FLAG, "-m", "it hurts", "--by", "ann", "--json"),
        env={**os.environ, **live.stack.environment()},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)


async def test_abort_takes_traffic_away_without_worker_and_without_temporal(
    live: LiveRollout,
) -> None:
    """The latch needs only Redis; a signal waits for the worker, and the rollout ends Aborted."""
    flags = FeatureFlags(live.redis)
    await live.kill_worker()
    assert await abort(live) == KILLED
    assert (await flags.get_flag(FLAG)).killed
    await flags.unkill(FLAG)
    temporal = live.stack.environment()["TEMPORAL_ADDRESS"]
    await live.stack.stop("temporal")
    assert await abort(live) == KILLED
    assert (await flags.get_flag(FLAG)).killed
    await live.stack.up(["temporal"])
    assert live.stack.environment()["TEMPORAL_ADDRESS"] == temporal
    await live.start_worker()
    end = await live.wait_until(lambda s: s.has_ended)
    assert end.abort is not None
    assert (end.status, end.abort.actor, end.percentage) == (Status.ABORTED, "ann", 0)


async def retry_after_recovery(live: LiveRollout) -> None:
    """Back to 5 %, once the breach has left the red flag's window."""
    live.errors.labels("treatment").set(0.001)
    await asyncio.sleep(6)
    await live.rollouts.send_command(FLAG, Verb.RETRY, Command(actor="ann"))
    await live.wait_until(lambda s: s.percentage == 5)


def _kinds(state: State) -> list[str]:
    return [event.kind for event in state.timeline]
