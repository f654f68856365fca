"""Starting rollouts and looking at them: start, lint, status, watch, list."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.context import Context
from cli.errors import Exit
from cli.output import Json, answer, say
from cli.people import Flag
from cli.rollouts import Rollouts
from cli.screen import screen
from rollout.errors import PlanError
from rollout.plan import RolloutPlan
from rollout.plan_yaml import load_plan
from rollout.state import State, Status

REFRESH_SECONDS = 0.5
PlanPath = Annotated[Path, typer.Argument(help="The plan, a YAML file such as plans/phase4.yaml.")]


def start(plan: PlanPath, json: Json = False) -> None:
    """Start the rollout of a plan. A plan with mistakes starts nothing."""
    checked = _load(plan, json)

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


def lint(plan: PlanPath, json: Json = False) -> None:
    """Check a plan: one line per mistake, with field and line."""
    checked = _load(plan, json)
    document = {"plan": checked.name, "steps": len(checked.steps), "mistakes": []}
    answer(json, document, f"{plan}: {checked.name} is fine ({len(checked.steps)} steps)")


def _load(path: Path, json: bool) -> RolloutPlan:
    try:
        return load_plan(path)
    except PlanError as error:
        if json:
            mistakes = [
                {"line": m.line, "field": m.field, "message": m.message} for m in error.mistakes
            ]
            answer(True, {"plan": str(path), "mistakes": mistakes}, "")
        else:
            say("\n".join(f"{path}: {mistake}" for mistake in error.mistakes))
        raise typer.Exit(Exit.USAGE) from error


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


def summary(state: State, waiting: tuple[str, datetime | None]) -> dict[str, Any]:
    """The state without the plan, as JSON for scripts."""
    document = state.model_dump(mode="json", exclude={"plan"})
    step = state.step.name if state.step else None
    outcome = state.check.outcome if state.check else None
    more = {"flag": state.plan.flag, "plan": state.plan.name, "step": step, "outcome": outcome}
    return {**document, **more, "waiting_for": waiting[0], "next_at": waiting[1]}


def watch(flag: Flag = None, json: Json = False) -> None:
    """Follow a rollout live until it ends. Ctrl-C stops watching, never the rollout.

    Exit code: 0 Healthy, 5 Degraded, 6 Aborted. --json prints one line per change.
    """
    status = asyncio.run(follow(flag, json))
    codes = {Status.DEGRADED: Exit.DEGRADED, Status.ABORTED: Exit.ABORTED}
    raise typer.Exit(codes.get(status, Exit.OK))


async def follow(flag: str | None, json: bool) -> Status:
    """Show the rollout until it ends or is Degraded; gives the last status."""
    context = Context.read()
    rollouts = Rollouts(await context.temporal())
    name = await rollouts.choose(flag)
    links = {"Temporal UI": context.environment.get("TEMPORAL_UI_URL", "")}
    links = {key: link for key, link in links.items() if link}
    with Live(console=Console(), auto_refresh=False, transient=False) as live:
        while True:
            state, waiting = await rollouts.state(name), await rollouts.waiting(name)
            if json:
                answer(True, summary(state, waiting), "")
            else:
                live.update(screen(state, waiting, datetime.now(UTC), links), refresh=True)
            if state.ended or _settled(state):
                return state.status
            await asyncio.sleep(REFRESH_SECONDS)


def _settled(state: State) -> bool:
    """Degraded, and every router process has been asked: nothing more happens by itself."""
    rollback = state.rollback
    return (
        state.status is Status.DEGRADED and rollback is not None and rollback.confirmed_at is not None
    )


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


