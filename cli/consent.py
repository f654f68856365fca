"""What people vouch for: approve (on readings they saw) and attest (what no machine knows)."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console

from cli.context import Context
from cli.errors import CliError, Exit
from cli.output import Json, answer
from cli.parameters import By, Flag, Reason
from cli.rollouts import Rollouts
from cli.screen_before import readings
from rollout.commands import Command, Verb
from rollout.state import State


def approve(  # noqa: PLR0913, PLR0917  who, why and on what: one option each
    flag: Flag = None,
    reason: Reason = "",
    evidence: Annotated[
        str, typer.Option(help="The check whose readings you saw; default: the newest, shown now.")
    ] = "",
    by: By = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask on a terminal.")] = False,
    json: Json = False,
) -> None:
    """Approve the step that waits, on the readings that you see.

    Shows the newest check of what is live now, asks, and sends its id along. Refused when a red
    flag has fired since, when the readings got worse, or when they are older than the plan allows.
    """

    async def send() -> None:
        context = Context.read()
        rollouts = Rollouts(await context.temporal())
        name = await rollouts.choose(flag)
        shown = evidence or _show(await rollouts.state(name), ask=not (yes or json))
        command = Command(actor=by or context.actor, reason=reason, evidence=shown)
        taken = await rollouts.command(name, Verb.APPROVE, command)
        on = f" on {shown}" if shown else ""
        text = f"approve{on}: {taken.message}; {taken.status}, step {taken.step}"
        answer(json, {**taken.model_dump(mode="json"), "evidence": shown}, text)

    asyncio.run(send())


def _show(state: State, ask: bool) -> str:
    """Show the readings that an approval would be bound to; gives their id."""
    check = state.evidence
    if check is None or state.step is None:
        return ""
    Console(stderr=True).print(readings(check, state.percentage))
    if ask and sys.stdin.isatty() and not typer.confirm(f"Start {state.step.title} on this?"):
        raise CliError("Nothing was approved.", Exit.INTERRUPTED)
    return check.id


def attest(
    item: Annotated[str, typer.Argument(help="The item, as `sluice status` names it.")],
    flag: Annotated[
        str | None, typer.Option(help="The flag; may be left out when one rollout runs.")
    ] = None,
    by: By = "",
    note: Annotated[
        str, typer.Option("--note", "-m", help="What you know, or where to see it.")
    ] = "",
    json: Json = False,
) -> None:
    """Say that an item of a checklist is true. Items of later steps may be attested early."""

    async def send() -> None:
        context = Context.read()
        rollouts = Rollouts(await context.temporal())
        command = Command(actor=by or context.actor, reason=note, item=item)
        taken = await rollouts.command(await rollouts.choose(flag), Verb.ATTEST, command)
        text = f"attest {item}: {taken.message}; {taken.status}, step {taken.step}"
        answer(json, taken.model_dump(mode="json"), text)

    asyncio.run(send())
