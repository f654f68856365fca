"""The command ``sluice amend``: change the plan of a running rollout."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from sluice.cli.clients.rollouts import open_rollouts
from sluice.cli.commands.lint import load_plan_or_exit
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import ActorOption, ReasonOption
from sluice.cli.output import JsonOption, print_note, print_result
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.rollout_position import rollout_position
from sluice.rollout.engine.state import State
from sluice.rollout.errors import OverrideError
from sluice.rollout.plan.amendment import PlanChange, compare_plans
from sluice.rollout.plan.overrides import override_plan, parse_override
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.review.whatif import editable_rules


def amend(  # noqa: PLR0913, PLR0917  each is an option of the command line
    flag: Annotated[str, typer.Argument(help="The flag of the running rollout.")],
    plan: Annotated[
        Path | None, typer.Argument(help="The amended plan; or give --set instead.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="STEP.GATE.FIELD=VALUE, as ramp-25.latency_p99.threshold=0.8."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes only.")] = False,
    reason: ReasonOption = "",
    by: ActorOption = "",
    json: JsonOption = False,
) -> None:
    """Change the plan of a running rollout: all of it, or nothing when a change is refused.

    Thresholds, windows, durations, people and later steps may change at any time. The live share,
    metrics and gates that carry evidence may not. Exit code: 1 when a change is refused.
    """
    if (plan is None) == (not overrides):
        raise CliError("Give either an amended PLAN or --set.", Exit.USAGE)
    amended = load_plan_or_exit(plan, json) if plan else None
    command = Command(actor=by or Context.read().actor, reason=reason)
    asyncio.run(_amend(flag, amended or overrides or [], command, (dry_run, json)))


async def _amend(
    flag: str, edit: RolloutPlan | list[str], command: Command, output: tuple[bool, bool]
) -> None:
    dry_run, json = output
    rollouts = await open_rollouts(Context.read())
    state = await rollouts.fetch_state(flag)
    amended = _with_overrides(state, edit) if isinstance(edit, list) else edit
    changes = compare_plans(state.plan, amended, rollout_position(state))
    if not changes:
        raise CliError("The plan is the one that runs: nothing to amend.")
    if any(change.refusal for change in changes):
        print_result(json, _document(changes, applied=False), _text(changes))
        raise CliError("nothing was amended; take the refused changes out of the plan")
    if dry_run:
        print_result(json, _document(changes, applied=False), _text(changes))
        return
    answer = await rollouts.send_command(
        flag, Verb.AMEND, command.model_copy(update={"plan": amended})
    )
    print_result(json, _document(changes, applied=True), _text(changes))
    print_note(f"amended: {answer.message}; {answer.status}, step {answer.step}")


def _with_overrides(state: State, texts: list[str]) -> RolloutPlan:
    rules = editable_rules([], [], state.plan)
    try:
        return override_plan(state.plan, [parse_override(text, rules) for text in texts])
    except OverrideError as error:
        raise CliError(str(error), Exit.USAGE) from error


def _document(changes: list[PlanChange], *, applied: bool) -> dict[str, object]:
    rows = [
        {
            "path": ".".join(change.path),
            "before": change.before,
            "after": change.after,
            "refusal": change.refusal,
        }
        for change in changes
    ]
    return {"applied": applied, "changes": rows}


def _text(changes: list[PlanChange]) -> str:
    lines = [f"{change.text}{_refusal_text(change)}" for change in changes]
    return "\n".join(lines)


def _refusal_text(change: PlanChange) -> str:
    return f"\n  REFUSED: {change.refusal}" if change.refusal else ""
