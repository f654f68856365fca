"""``sluice demo``: everything started, a rollout followed to its end, everything stopped."""

import asyncio
import contextlib
import os
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from redis.asyncio import Redis
from rich.console import Console
from temporalio.service import RPCError

from cli.context import Context, home
from cli.errors import CliError, Exit
from cli.live import follow, view_for
from cli.output import say
from cli.rollouts import Rollouts
from demo.faults import FAULTS, Saboteur
from demo.probes import write_probes
from demo.processes import Router, start_load, start_routers, start_worker
from demo.seed import seed
from demo.vouching import words_for
from rollout.commands import Verb
from rollout.plan import RolloutPlan
from rollout.plan_yaml import load_plan
from rollout.state import State, Status
from stack import Stack, StackError
from workflows.models import workflow_id

PLAN = Path(__file__).parent.parent / "plans" / "demo.yaml"
CODES = {Status.HEALTHY: Exit.OK, Status.DEGRADED: Exit.DEGRADED, Status.ABORTED: Exit.ABORTED}


@dataclass(frozen=True)
class Wish:
    """What the caller asked for."""

    fault: str | None
    stage: str
    keep: bool


def run_demo(wish: Wish) -> int:
    """Run the demo; gives the exit code. Ctrl-C stops everything that was started."""
    if wish.fault is not None and wish.fault not in FAULTS:
        raise CliError(f"No fault {wish.fault!r}; there are {', '.join(FAULTS)}.", Exit.USAGE)
    stack = Stack(home())
    try:
        return asyncio.run(_demo(stack, wish))
    except StackError as error:
        raise CliError(str(error)) from error
    except KeyboardInterrupt:
        say("\ninterrupted")
        return Exit.INTERRUPTED
    finally:
        if wish.keep:
            say("everything still runs; `sluice down` stops it")
        else:
            say("stopping everything …")
            asyncio.run(stack.down())


async def _demo(stack: Stack, wish: Wish) -> int:
    began = time.monotonic()
    plan = load_plan(PLAN)
    await _servers(stack, began)
    os.environ.update(stack.environment())
    context = Context.read()
    redis = Redis.from_url(context.redis_url)
    rollouts = Rollouts(await context.temporal())
    await _forget_the_last(context, redis)
    say(f"[{time.monotonic() - began:5.1f} s] filling the stores with the freight company")
    await seed(context.environment)
    probes = stack.home / "probes.jsonl"
    write_probes(probes)
    say(f"[{time.monotonic() - began:5.1f} s] starting two routers, the users and the worker")
    routers = await start_routers(stack, probes)
    await start_load(stack, routers)
    await start_worker(stack)
    await rollouts.start(plan)
    await attest_all(rollouts, plan)
    ui = f"{context.environment.get('TEMPORAL_UI_URL', '')}/namespaces/default/workflows"
    say(f"[{time.monotonic() - began:5.1f} s] rollout started; Temporal UI: {ui}")
    fault = FAULTS[wish.fault] if wish.fault else None
    if fault is not None and wish.stage:
        fault = type(fault)(fault.kind, plan.step(wish.stage).name, fault.what)
    saboteur = Saboteur(redis, context.environment_name, fault)
    view = view_for(Console(), context.links, as_json=False)
    state = await follow(rollouts, plan.flag, view, saboteur.look)
    await _conclude(state, routers, saboteur)
    await redis.aclose()
    return CODES.get(state.status, Exit.FAILED)


async def attest_all(rollouts: Rollouts, plan: RolloutPlan) -> None:
    """Say what only people know, as the demo's own people: each item by whoever would know it.

    By signal: the worker has only been started, and an update would wait for its answer.
    """
    for word in words_for(plan):
        await rollouts.signal(plan.flag, Verb.ATTEST, word)


async def _servers(stack: Stack, began: float) -> None:
    left = await stack.down()
    if left:
        say(f"stopped what an earlier run had left: {', '.join(left)}")
    say(f"starting the servers (data and logs in {stack.home.name}/)")
    await stack.up(on_progress=lambda name, state, s: say(f"  {name:<12} {state} ({s:.1f} s)"))
    say(f"[{time.monotonic() - began:5.1f} s] servers are up")


async def _forget_the_last(context: Context, redis: Redis) -> None:
    """End a rollout that an interrupted demo left behind, and clear what it had in Redis."""
    client = await context.temporal()
    handle = client.get_workflow_handle(workflow_id(load_plan(PLAN).flag))
    with contextlib.suppress(RPCError):  # none is running
        await handle.terminate("a new demo begins")
    pattern = f"sluice:{context.environment_name}:*"
    keys = [key async for key in redis.scan_iter(pattern, count=1000)]
    if keys:
        await redis.delete(*keys)


async def _conclude(state: State, routers: list[Router], saboteur: Saboteur) -> None:
    """Tell how it ended, as every router process itself reports it."""
    flag = state.plan.flag
    out = sys.stdout
    print(file=out)
    if saboteur.fault is not None:
        _tell_rollback(state, saboteur)
    for router in routers:
        print(f"{router.name} ({router.url}): {await router.says(flag)}")
    print(f"status: {state.status}")
    if state.report:
        print(f"report: {state.report}")


def _tell_rollback(state: State, saboteur: Saboteur) -> None:
    fault, rollback = saboteur.fault, state.rollback
    assert fault is not None  # noqa: S101  the caller looked
    if saboteur.injected_at is None or rollback is None:
        print(f"the fault {fault.kind!r} led to no rollback")
        return
    print(f"fault {fault.kind!r} ({fault.what}) injected at {_clock(saboteur.injected_at)}")
    seen_at, done, confirmed = state.red_flag_at, rollback.done_at, rollback.confirmed_at
    if seen_at is None or done is None:
        return
    print(f"red flag at {_clock(seen_at)}: {state.red_flag}")
    if rollback.finding is None:
        print(f"P1 pauses first; then {rollback.because}")
    last = confirmed or done
    print(f"0 % at {_clock(last)} in every router process: {rollback.confirmation}")
    print(f"breach → 0 %: {(last - seen_at).total_seconds():.2f} s")
    print(f"fault → 0 %: {(last - saboteur.injected_at).total_seconds():.2f} s, detection included")


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S.%f}"[:-3]
