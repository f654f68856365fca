"""The command ``sluice demo``: start everything, follow a rollout to its end, stop everything."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from redis.asyncio import Redis
from rich.console import Console
from temporalio.service import RPCError

from sluice.cli.clients.flags import flag_client
from sluice.cli.clients.ledger import create_ledger
from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.commands.console import start_console
from sluice.cli.context import Context, stack_home
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import print_note
from sluice.cli.views.follow import choose_view, follow
from sluice.demo.attestations import attestations_for
from sluice.demo.faults import FAULTS, FaultInjector
from sluice.demo.probes import write_probes
from sluice.demo.processes import DemoRouter, start_load, start_routers, start_worker
from sluice.demo.seed import seed
from sluice.installation import data_file
from sluice.rollout.engine.commands import Verb
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.plan.schema import RolloutPlan
from sluice.stack import Stack, StackError
from sluice.stack.data_directory import DataDirectory
from sluice.stack.services import SERVICES_BY_NAME
from sluice.stack.state import without_own_addresses
from workflows.models import workflow_id

PLAN = "plans/demo.yaml"
EXIT_CODES = {Status.HEALTHY: Exit.OK, Status.DEGRADED: Exit.DEGRADED, Status.ABORTED: Exit.ABORTED}


@dataclass(frozen=True)
class DemoOptions:
    """The options of the command."""

    fault: str | None
    fault_step: str
    keep_running: bool


def run_demo(options: DemoOptions) -> int:
    """Run the demo and return the exit code. Ctrl-C stops all that was started."""
    if options.fault is not None and options.fault not in FAULTS:
        raise CliError(
            f"Unknown fault {options.fault!r}; use one of {', '.join(FAULTS)}.", Exit.USAGE
        )
    stack = Stack(stack_home())
    require_own_servers(os.environ, stack.home)
    try:
        return asyncio.run(_run_demo(stack, options))
    except StackError as error:
        raise CliError(str(error)) from error
    except KeyboardInterrupt:
        print_note("\ninterrupted")
        return Exit.INTERRUPTED
    finally:
        if options.keep_running:
            print_note("everything still runs; `sluice down` stops it")
        else:
            print_note("stopping everything …")
            asyncio.run(stack.down())


def require_own_servers(environment: Mapping[str, str], home: Path) -> None:
    """Refuse servers that the demo did not start: it deletes flags and ends a rollout.

    Raises:
        CliError: USAGE, with the command that works.
    """
    external = without_own_addresses(environment, DataDirectory(home))
    variables = (service.address_variable for service in SERVICES_BY_NAME.values())
    if names := [name for name in variables if external.get(name)]:
        unset = " ".join(f"-u {name}" for name in names)
        raise CliError(
            f"The demo deletes flags and ends a rollout, so it uses no server of {', '.join(names)}. "
            f"Run `env {unset} sluice demo`.",
            Exit.USAGE,
        )


async def _run_demo(stack: Stack, options: DemoOptions) -> int:
    began = time.monotonic()
    plan = load_plan(data_file(PLAN))
    await _start_servers(stack, began)
    os.environ.update(stack.environment())
    context = Context.read()
    redis = Redis.from_url(context.redis_url)
    rollouts = Rollouts(await context.connect_temporal())
    await require_no_other_flags(context, plan.flag)
    await _clear_previous_run(context, redis)
    print_note(f"[{time.monotonic() - began:5.1f} s] filling the stores with the freight company")
    await seed(context.environment)
    probes = stack.home / "probes.jsonl"
    write_probes(probes)
    print_note(
        f"[{time.monotonic() - began:5.1f} s] starting two routers, the users and the worker"
    )
    routers = await start_routers(stack, probes)
    await start_load(stack, routers)
    await start_worker(stack)
    await rollouts.start(plan)
    await attest_all(rollouts, plan)
    console_link = await start_console(stack)
    ui = f"{context.environment.get('TEMPORAL_UI_URL', '')}/namespaces/default/workflows"
    print_note(f"[{time.monotonic() - began:5.1f} s] rollout started; Temporal UI: {ui}")
    print_note(f"console (the link works once): {console_link}")
    fault = FAULTS[options.fault] if options.fault else None
    if fault is not None and options.fault_step:
        fault = type(fault)(fault.kind, plan.step(options.fault_step).name, fault.description)
    injector = FaultInjector(redis, context.environment_name, fault)
    view = choose_view(Console(), context.links, as_json=False)
    state = await follow(rollouts, plan.flag, view, injector.inject_if_due)
    await _print_outcome(state, routers, injector)
    await redis.aclose()
    return EXIT_CODES.get(state.status, Exit.FAILED)


async def attest_all(rollouts: Rollouts, plan: RolloutPlan) -> None:
    """Attest every item that needs a person, as the demo's people.

    Sent by signal: the worker has only just started, and an update would wait for its answer.
    """
    for attestation in attestations_for(plan):
        await rollouts.send_signal(plan.flag, Verb.ATTEST, attestation)


async def _start_servers(stack: Stack, began: float) -> None:
    stopped_names = await stack.down()
    if stopped_names:
        print_note(f"stopped processes of an earlier run: {', '.join(stopped_names)}")
    print_note(f"starting the servers (data and logs in {stack.home.name}/)")
    await stack.up(
        on_progress=lambda name, state, s: print_note(f"  {name:<12} {state} ({s:.1f} s)")
    )
    await create_ledger(stack)
    print_note(f"[{time.monotonic() - began:5.1f} s] servers are up")


async def require_no_other_flags(context: Context, name: str) -> None:
    """Refuse to delete a flag that somebody else raised or killed in this folder's servers.

    Raises:
        CliError: FAILED, with the ways out.
    """
    async with flag_client(context) as client:
        flags = await client.flags.list_flags()
    kept = [f.name for f in flags if f.name != name and (f.rollout_percentage or f.killed)]
    if kept:
        raise CliError(
            f"The demo deletes every flag of its servers, and here are others: {', '.join(kept)}. "
            "Run it with SLUICE_HOME=another-folder, or delete them with `sluice flags delete`."
        )


async def _clear_previous_run(context: Context, redis: Redis) -> None:
    """End the rollout of an interrupted demo, and clear its keys in Redis."""
    client = await context.connect_temporal()
    handle = client.get_workflow_handle(workflow_id(load_plan(data_file(PLAN)).flag))
    with contextlib.suppress(RPCError):  # none is running
        await handle.terminate("a new demo begins")
    pattern = f"sluice:{context.environment_name}:*"
    keys = [key async for key in redis.scan_iter(pattern, count=1000)]
    if keys:
        await redis.delete(*keys)


async def _print_outcome(state: State, routers: list[DemoRouter], injector: FaultInjector) -> None:
    """Print the end, as every router process reports it."""
    flag = state.plan.flag
    out = sys.stdout
    print(file=out)
    if injector.fault is not None:
        _print_rollback(state, injector)
    for router in routers:
        print(f"{router.name} ({router.url}): {await router.describe_flag(flag)}")
    print(f"status: {state.status}")
    if state.report:
        print(f"report: {state.report}")


def _print_rollback(state: State, injector: FaultInjector) -> None:
    fault, rollback = injector.fault, state.rollback
    assert fault is not None  # noqa: S101  the caller looked
    if injector.injected_at is None or rollback is None:
        print(f"the fault {fault.kind!r} led to no rollback")
        return
    print(
        f"fault {fault.kind!r} ({fault.description}) injected at {_format_time(injector.injected_at)}"
    )
    seen_at, completed_at, confirmed = (
        state.red_flags.last_at,
        rollback.completed_at,
        rollback.confirmed_at,
    )
    if seen_at is None or completed_at is None:
        return
    print(f"red flag at {_format_time(seen_at)}: {state.red_flags.last_reason}")
    if rollback.finding is None:
        print(f"P1 pauses first; then {rollback.reason}")
    last = confirmed or completed_at
    print(f"0 % at {_format_time(last)} in every process: {rollback.confirmation}")
    print(f"breach → 0 %: {(last - seen_at).total_seconds():.2f} s")
    print(f"fault → 0 %: {(last - injector.injected_at).total_seconds():.2f} s, detection included")


def _format_time(at: datetime) -> str:
    return f"{at:%H:%M:%S.%f}"[:-3]
