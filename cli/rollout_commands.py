"""Starting rollouts and looking at them: start, lint, status, watch, list."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.context import Context
from cli.errors import Exit
from cli.live import follow, summary, view_for
from cli.output import Json, answer, say
from cli.people import Flag
from cli.rollouts import Rollouts
from cli.screen import screen
from rollout.errors import PlanError
from rollout.plan import Expected, RolloutPlan
from rollout.plan_yaml import load_plan
from rollout.sight import warnings
from rollout.state import Status
from rollout.strict_yaml import located

QueriesPerDay = Annotated[
    float | None, typer.Option(min=1, help="Expected queries a day, of both cohorts together.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 2 when there are warnings.")]
PlanPath = Annotated[Path, typer.Argument(help="The plan, a YAML file such as plans/phase4.yaml.")]


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


def lint(
    plan: PlanPath, qpd: QueriesPerDay = None, strict: Strict = False, json: Json = False
) -> None:
    """Check a plan: one line per mistake and per gate that can't decide, with field and line.

    What a gate can see is computed from the plan's traffic:, or from --qpd. Exit code: 2 for
    mistakes and, with --strict, for warnings.
    """
    checked = load_or_leave(plan, json)
    traffic = checked.traffic
    if qpd is not None:
        traffic = (traffic or Expected(queries_per_day=qpd)).model_copy(
            update={"queries_per_day": qpd}
        )
    told = dict.fromkeys(located(plan.read_text(encoding="utf-8"), warnings(checked, traffic)))
    document = {
        "plan": checked.name,
        "steps": len(checked.steps),
        "mistakes": [],
        "warnings": [{"line": w.line, "field": w.field, "message": w.message} for w in told],
    }
    lines = [f"{plan}: warning: {warning}" for warning in told]
    fine = f"{plan}: {checked.name} is fine ({len(checked.steps)} steps)"
    if told:
        fine = f"{plan}: {checked.name} is valid ({len(checked.steps)} steps), {len(told)} warnings"
    if traffic is None:
        fine += "; say traffic: or --qpd to learn what its gates can see"
    answer(json, document, "\n".join([*lines, fine]))
    if strict and told:
        raise typer.Exit(Exit.USAGE)


def load_or_leave(path: Path, json: bool) -> RolloutPlan:
    """Read a plan, or tell its mistakes and leave with exit code 2."""
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
