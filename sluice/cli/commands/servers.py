"""The commands of the servers: up, down, status, worker, router, demo."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from sluice.cli.context import Context, require_free_address, stack_home
from sluice.cli.errors import CliError, Exit, require_extra
from sluice.cli.options import FlagArgument
from sluice.cli.output import JsonOption, print_note, print_result, without_password
from sluice.flags.service.advertised_address import WILDCARD_HOSTS
from sluice.installation import install_command, missing_packages
from sluice.stack import ServiceStatus, StackError, load_environment

if TYPE_CHECKING:
    from sluice.stack import Stack

STATE_STYLES = {"running": "green", "external": "cyan", "stopped": "dim", "unhealthy": "red"}


def _open_stack() -> "Stack":
    from sluice.stack import Stack  # noqa: PLC0415  a driver of each server, and the extra `stack`

    return Stack(stack_home())


async def _start_console(stack: "Stack") -> str | None:
    """Start the console and return its link; None when its extra is not installed."""
    if missing_packages("console"):
        return None
    from sluice.cli.commands.console import start_console  # noqa: PLC0415  the extra `console`

    return await start_console(stack)


def _no_console() -> str:
    return f"no console: its extra is not installed; run {install_command('console')}"


def up(json: JsonOption = False) -> None:
    """Start Temporal, Redis, the graph, Postgres, Qdrant's engine, Prometheus and the console here.

    A server whose address is set (TEMPORAL_ADDRESS, REDIS_URL, …) is used, not started.
    """

    def progress(service: str, state: str, seconds: float) -> None:
        if not json:
            print_note(f"  {service:<12} {state} ({seconds:.1f} s)")

    async def run() -> None:
        stack = _open_stack()
        try:
            await stack.up(on_progress=progress)
            if not missing_packages("rollouts"):
                from sluice.cli.clients.ledger import create_ledger  # noqa: PLC0415  the extra `rollouts`

                await create_ledger(stack)
            link = await _start_console(stack)
        except StackError as error:
            raise CliError(str(error)) from error
        document = {"home": str(stack.home), "environment": stack.environment(), "console": link}
        lines = [f"{name}={value}" for name, value in _redacted_environment(stack.environment())]
        lines += ["", f"console (the link works once): {link}" if link else _no_console()]
        print_result(json, document, "\n".join(["everything is up:", *lines]))

    asyncio.run(run())


def _redacted_environment(environment: dict[str, str]) -> list[tuple[str, str]]:
    redacted = {k: without_password(v) for k, v in environment.items()}
    return [(k, "***" if "PASSWORD" in k else v) for k, v in sorted(redacted.items())]


def down(
    json: JsonOption = False,
    data: Annotated[bool, typer.Option("--data", help="Delete all data too.")] = False,
) -> None:
    """Stop all servers and processes that ``up`` and the demo have started."""

    async def run() -> None:
        stack = _open_stack()
        try:
            stopped = await stack.down()
            if data:
                await stack.remove_data()
        except StackError as error:
            raise CliError(str(error)) from error
        print_result(
            json, {"stopped": stopped}, f"stopped: {', '.join(stopped) or 'nothing, no server ran'}"
        )

    asyncio.run(run())


def status(
    flag: FlagArgument = None,
    stack: Annotated[bool, typer.Option("--stack", help="Show the servers instead.")] = False,
    json: JsonOption = False,
) -> None:
    """Show the current state of a rollout; with --stack, the servers."""
    if stack:
        require_extra("status --stack", "stack")
        _print_stack_status(json)
    else:
        from sluice.cli.commands.rollouts import print_rollout_status  # noqa: PLC0415 - slow

        print_rollout_status(flag, json)


def _print_stack_status(json: bool) -> None:
    rows = asyncio.run(_open_stack().status())
    has_unhealthy = any(row.state == "unhealthy" for row in rows)
    if json:
        print_result(True, [_status_document(row) for row in rows], "")
    else:
        Console().print(_table(rows))
    if has_unhealthy:
        raise typer.Exit(Exit.FAILED)


def _status_document(row: ServiceStatus) -> dict[str, object]:
    names = ("name", "state", "address", "pid", "log", "detail")
    return {name: getattr(row, name) for name in names}


def _table(rows: Sequence[ServiceStatus]) -> Table:
    table = Table("service", "state", "address", "pid", "detail")
    for row in rows:
        state = f"[{STATE_STYLES[row.state]}]{row.state}[/]"
        table.add_row(row.name, state, row.address, str(row.pid or ""), row.detail)
    return table


def _exec_module(module: str, *arguments: str) -> NoReturn:
    """Run a module in place of this process, so that signals and exit codes are its own."""
    os.environ.update(Context.read().environment)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606  our module


def worker() -> None:
    """Run a worker, which carries rollouts out. One is enough; several may run."""
    require_extra("worker", "worker")
    os.environ.update(_ledger_writer())
    _exec_module("worker")


def _ledger_writer() -> dict[str, str]:
    """Return the ledger's address for a worker, where the ledger is the one of `sluice up`."""
    own = load_environment(stack_home()).get("SLUICE_LEDGER_DSN")
    if own is None or own != Context.read().environment["SLUICE_LEDGER_DSN"]:
        return {}
    from sluice.stack.services.postgres_roles import WRITER  # noqa: PLC0415  the extra `stack`

    return _open_stack().ledger_environment(WRITER)


def router(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8100,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    operations_port: Annotated[
        int | None, typer.Option(help="Port for health, flags and metrics; default: --port.")
    ] = None,
    operations_host: Annotated[
        str, typer.Option(help="Address to listen on for the operations.")
    ] = "127.0.0.1",
) -> None:
    """Run one router process (HTTP). The Prometheus of `sluice up` then scrapes it."""
    require_extra("router", "router")
    require_free_address(host, port)
    if operations_port:
        require_free_address(operations_host, operations_port, "--operations-port")
    own_prometheus = load_environment(stack_home()).get("PROMETHEUS_URL")
    if own_prometheus is not None and own_prometheus == Context.read().prometheus_url:
        scraped = operations_host if operations_port else host
        address = "127.0.0.1" if scraped in WILDCARD_HOSTS else scraped
        _open_stack().add_scrape_target(f"{address}:{operations_port or port}")
    arguments = ["--host", host, "--port", str(port)]
    if operations_port:
        arguments += ["--operations-host", operations_host]
        arguments += ["--operations-port", str(operations_port)]
    _exec_module("router.main", *arguments)


def demo(
    fault: Annotated[
        str | None, typer.Option(help="latency, errors, reward or queue: degrade the treatment.")
    ] = None,
    stage: Annotated[str, typer.Option(help="The step at which the fault begins.")] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running.")] = False,
) -> None:
    """Roll a router out through all five stages of the guide, in minutes, on real servers.

    Exit code: 0 Healthy, 5 rolled back (as a fault makes it), 6 aborted, 1 anything else.
    """
    require_extra("demo", "all")
    from sluice.cli.commands.demo import DemoOptions, run_demo  # noqa: PLC0415  the router: seconds of imports

    raise typer.Exit(run_demo(DemoOptions(fault, stage, keep)))
