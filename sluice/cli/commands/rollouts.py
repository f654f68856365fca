"""The commands that start and show rollouts: start, status, watch."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from sluice.cli.clients.rollouts import Rollouts, open_rollouts
from sluice.cli.commands.lint import load_plan_or_exit
from sluice.cli.context import Context
from sluice.cli.doctor.finding import GOOD
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import ActorOption, FlagArgument, PlanArgument, ReasonOption
from sluice.cli.output import JsonOption, print_note, print_result, without_password
from sluice.cli.views.follow import choose_view, follow, state_document
from sluice.cli.views.rollout import rollout_panel
from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.start_step import start_step_problem
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.yaml_document import read_text, with_lines


def start(  # noqa: PLR0913, PLR0917  each is an option of the command line
    plan: PlanArgument,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Start although Prometheus refuses some query.")
    ] = False,
    at: Annotated[
        str, typer.Option(help="Begin at this step: for a rollout that was lost. Needs --reason.")
    ] = "",
    reason: ReasonOption = "",
    by: ActorOption = "",
    json: JsonOption = False,
) -> None:
    """Start the rollout of a plan, after each of its queries was asked of Prometheus once.

    A plan with problems starts nothing. The step of --at waits for its own checklist and approvals.
    """
    checked = load_plan_or_exit(plan, json)
    if at and not reason:
        raise CliError("--at skips steps; give --reason, which the timeline keeps.", Exit.USAGE)
    if problem := start_step_problem(checked, at):
        raise CliError(f"--at: {problem}", Exit.USAGE)

    from sluice.cli.clients.phase_owner import require_free_phases  # noqa: PLC0415  Redis: only here
    from sluice.cli.doctor.temporal import check_worker  # noqa: PLC0415  only here

    async def run() -> None:
        context = Context.read()
        rollouts = await open_rollouts(context)
        client = rollouts.client
        await require_free_phases(context, rollouts, checked)
        await _require_queries(context, plan, checked, unchecked)
        worker = await check_worker(client)
        if worker.level != GOOD:
            print_note(f"warning: worker: {worker.message}")
        command = Command(actor=by or context.actor, reason=reason, to=at)
        rollout_id = await rollouts.start(checked, command)
        document = {"id": rollout_id, "flag": checked.flag, "plan": checked.name}
        ui = context.environment.get("TEMPORAL_UI_URL")
        text = f"started {rollout_id}; follow it with `sluice watch {checked.flag}`"
        if ui:
            document["ui"] = f"{ui}/namespaces/{client.namespace}/workflows/{rollout_id}"
            text += f"\n{document['ui']}"
        print_result(json, document, text)

    asyncio.run(run())


async def _require_queries(
    context: Context, path: Path, plan: RolloutPlan, unchecked: bool
) -> None:
    """Print the problems of the plan's queries, and leave with USAGE when some never go away."""
    from sluice.cli.clients.plan_queries import ask_each_query  # noqa: PLC0415  Prometheus: only here
    from sluice.cli.clients.prometheus import PrometheusUnreachableError  # noqa: PLC0415

    try:
        report = await ask_each_query(context, plan)
    except PrometheusUnreachableError as error:
        print_note(
            f"warning: Prometheus at {without_password(context.prometheus_url)} did not answer, so the "
            f"plan's queries are not checked ({error}). Red flags without readings will pause the rollout."
        )
        return
    text = read_text(path)
    for diagnostic in with_lines(text, report.missing):
        print_note(f"{path}: warning: {diagnostic}")
    for diagnostic in with_lines(text, report.errors):
        print_note(f"{path}: {diagnostic}")
    if report.errors and not unchecked:
        print_note("nothing was started; mend the queries, or start with --unchecked")
        raise typer.Exit(Exit.USAGE)


def print_rollout_status(flag: str | None, json: bool) -> None:
    """Print the current state of one rollout."""

    async def run() -> None:
        context = Context.read()
        rollouts = Rollouts(await context.connect_temporal())
        name = await rollouts.resolve_flag(flag)
        state, waiting = await rollouts.fetch_state(name), await rollouts.fetch_waiting(name)
        turn = await rollouts.fetch_watch_turn(name)
        problem = await _find_reset(context, state)
        if json:
            watched = {"watch": turn.document() if turn else None, "reset": problem}
            print_result(True, {**state_document(state, waiting), **watched}, "")
            return
        Console().print(rollout_panel(state, waiting, datetime.now(UTC), {}))
        for text in filter(None, (turn.text if turn else "", problem)):
            Console().print(Text(text, style="bold red"))

    asyncio.run(run())


async def _find_reset(context: Context, state: State) -> str:
    """Return how the flag store is ahead of the rollout; empty also when the store is away."""
    from sluice.cli.clients.flags import flag_client  # noqa: PLC0415  Redis: only here
    from sluice.cli.doctor.flag_records import reset_problem  # noqa: PLC0415  only here

    in_environment = {**context.environment, "SLUICE_ENVIRONMENT": state.plan.environment}
    try:
        async with flag_client(Context(in_environment)) as client:
            stored = (await client.flags.document()).flags.get(state.plan.flag)
    except CliError:
        return ""
    return reset_problem(stored, state) if stored else ""


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
