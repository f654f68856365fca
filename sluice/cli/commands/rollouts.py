"""The commands that start and show rollouts: start, status, watch, list."""

import asyncio
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Table

from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.commands.lint import load_plan_or_exit
from sluice.cli.context import Context
from sluice.cli.errors import Exit
from sluice.cli.options import FlagArgument, PlanArgument
from sluice.cli.output import JsonOption, print_result
from sluice.cli.views.follow import choose_view, follow, state_document
from sluice.cli.views.rollout import rollout_panel
from sluice.rollout.engine.state import Status


def start(plan: PlanArgument, json: JsonOption = False) -> None:
    """Start the rollout of a plan. A plan with mistakes starts nothing."""
    checked = load_plan_or_exit(plan, json)

    async def run() -> None:
        context = Context.read()
        client = await context.connect_temporal()
        rollout_id = await Rollouts(client).start(checked)
        document = {"id": rollout_id, "flag": checked.flag, "plan": checked.name}
        ui = context.environment.get("TEMPORAL_UI_URL")
        text = f"started {rollout_id}; follow it with `sluice watch {checked.flag}`"
        if ui:
            document["ui"] = f"{ui}/namespaces/{client.namespace}/workflows/{rollout_id}"
            text += f"\n{document['ui']}"
        print_result(json, document, text)

    asyncio.run(run())


def print_rollout_status(flag: str | None, json: bool) -> None:
    """Print the current state of one rollout."""

    async def run() -> None:
        rollouts = Rollouts(await Context.read().connect_temporal())
        name = await rollouts.resolve_flag(flag)
        state, waiting = await rollouts.fetch_state(name), await rollouts.fetch_waiting(name)
        if json:
            print_result(True, state_document(state, waiting), "")
        else:
            Console().print(rollout_panel(state, waiting, datetime.now(UTC), {}))

    asyncio.run(run())


def watch(flag: FlagArgument = None, json: JsonOption = False) -> None:
    """Follow a rollout live until it ends. Ctrl-C stops watching, never the rollout.

    Exit code: 0 Healthy, 5 Degraded, 6 Aborted. --json prints one line per change.
    """
    status = asyncio.run(_follow(flag, json))
    codes = {Status.DEGRADED: Exit.DEGRADED, Status.ABORTED: Exit.ABORTED}
    raise typer.Exit(codes.get(status, Exit.OK))


async def _follow(flag: str | None, json: bool) -> Status:
    context = Context.read()
    rollouts = Rollouts(await context.connect_temporal())
    name = await rollouts.resolve_flag(flag)
    view = choose_view(Console(), context.links, json)
    return (await follow(rollouts, name, view)).status


def list_rollouts(json: JsonOption = False) -> None:
    """List all rollouts, running and ended, newest first."""

    async def run() -> None:
        rows = await Rollouts(await Context.read().connect_temporal()).list_all()
        document = [{"flag": f, "state": s, "started_at": at} for f, s, at in rows]
        if json:
            print_result(True, document, "")
            return
        table = Table("flag", "workflow", "started")
        for flag, state, at in rows:
            table.add_row(flag, state.lower(), f"{at:%Y-%m-%d %H:%M:%S}")
        Console().print(table if rows else "no rollouts yet; start one with `sluice start PLAN`")

    asyncio.run(run())
