"""Starting rollouts and looking at them: start, status, watch, list."""

import asyncio
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Table

from cli.context import Context
from cli.errors import Exit
from cli.lint_command import load_or_leave
from cli.live import follow, summary, view_for
from cli.output import Json, answer
from cli.parameters import Flag, PlanPath
from cli.rollouts import Rollouts
from cli.screen import screen
from rollout.state import Status


def start(plan: PlanPath, json: Json = False) -> None:
    """Start the rollout of a plan. A plan with mistakes starts nothing."""
    checked = load_or_leave(plan, json)

    async def run() -> None:
        context = Context.read()
        client = await context.temporal()
        rollout_id = await Rollouts(client).start(checked)
        document = {"id": rollout_id, "flag": checked.flag, "plan": checked.name}
        ui = context.environment.get("TEMPORAL_UI_URL")
        text = f"started {rollout_id}; follow it with `sluice watch {checked.flag}`"
        if ui:
            document["ui"] = f"{ui}/namespaces/{client.namespace}/workflows/{rollout_id}"
            text += f"\n{document['ui']}"
        answer(json, document, text)

    asyncio.run(run())


def status_of_rollout(flag: str | None, json: bool) -> None:
    """Print one rollout as it is now."""

    async def run() -> None:
        rollouts = Rollouts(await Context.read().temporal())
        name = await rollouts.choose(flag)
        state, waiting = await rollouts.state(name), await rollouts.waiting(name)
        if json:
            answer(True, summary(state, waiting), "")
        else:
            Console().print(screen(state, waiting, datetime.now(UTC), {}))

    asyncio.run(run())


def watch(flag: Flag = None, json: Json = False) -> None:
    """Follow a rollout live until it ends. Ctrl-C stops watching, never the rollout.

    Exit code: 0 Healthy, 5 Degraded, 6 Aborted. --json prints one line per change.
    """
    status = asyncio.run(_follow(flag, json))
    codes = {Status.DEGRADED: Exit.DEGRADED, Status.ABORTED: Exit.ABORTED}
    raise typer.Exit(codes.get(status, Exit.OK))


async def _follow(flag: str | None, json: bool) -> Status:
    context = Context.read()
    rollouts = Rollouts(await context.temporal())
    name = await rollouts.choose(flag)
    view = view_for(Console(), context.links, json)
    return (await follow(rollouts, name, view)).status


def list_rollouts(json: Json = False) -> None:
    """List all rollouts, running and ended, newest first."""

    async def run() -> None:
        rows = await Rollouts(await Context.read().temporal()).all()
        document = [{"flag": f, "state": s, "started_at": at} for f, s, at in rows]
        if json:
            answer(True, document, "")
            return
        table = Table("flag", "workflow", "started")
        for flag, state, at in rows:
            table.add_row(flag, state.lower(), f"{at:%Y-%m-%d %H:%M:%S}")
        Console().print(table if rows else "no rollouts yet; start one with `sluice start PLAN`")

    asyncio.run(run())
