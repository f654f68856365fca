"""The guide's rollbacks: step back, emergency, graceful, code."""

import asyncio
from typing import Annotated

import typer

from cli.context import Context
from cli.output import Json, answer, say
from cli.parameters import By, Flag, Reason
from cli.rollouts import Rollouts
from rollout.commands import Acknowledgement, Command, Verb

CODE_HELP = "To 0 % at once; once confirmed, git revert, push and deploy."


def rollback(  # noqa: PLR0913, PLR0917  one option for each of the guide's rollbacks
    flag: Flag = None,
    reason: Reason = "",
    to: Annotated[str, typer.Option(help="Step or percentage that the plan allows.")] = "",
    emergency: Annotated[bool, typer.Option("--emergency", help="To 0 % now, and killed.")] = False,
    graceful: Annotated[
        bool, typer.Option("--graceful", help="Down level by level (plan: rollbacks.graceful).")
    ] = False,
    code: Annotated[bool, typer.Option("--code", help=CODE_HELP)] = False,
    by: By = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Confirm the revert at once.")] = False,
    json: Json = False,
) -> None:
    """Step back to the step's rollback target, or what the option says; answers when it is done.

    Red flags stay on guard after it. Continue with `sluice retry`, or end with `sluice abort`.
    """
    if yes and not code:
        raise typer.BadParameter("--yes belongs to --code: there is nothing else to confirm")
    command = Command(
        actor=by or Context.read().actor,
        reason=reason,
        to=to,
        emergency=emergency,
        graceful=graceful,
        code=code,
        confirmed=code and yes,
    )
    asyncio.run(_roll_back(flag, command, json))


async def _roll_back(flag: str | None, command: Command, json: bool) -> None:
    rollouts = Rollouts(await Context.read().temporal())
    name = await rollouts.choose(flag)
    taken = await rollouts.command(name, Verb.ROLLBACK, command)
    _say(taken, json)
    if not command.code:
        return
    if not command.confirmed and not await _confirmed(rollouts, name):
        say(f"Not reverted. `sluice rollback {name} --code --yes` does it later.")
        return
    if not command.confirmed:
        confirmed = command.model_copy(update={"confirmed": True})
        _say(await rollouts.command(name, Verb.ROLLBACK, confirmed), json)
    say(f"The worker reverts, pushes and deploys: follow it with `sluice watch {name}`.")


async def _confirmed(rollouts: Rollouts, flag: str) -> bool:
    """Ask on the terminal; where there is none to ask, nothing is reverted."""
    code = (await rollouts.state(flag)).plan.rollbacks.code
    assert code is not None  # noqa: S101  the rollout has taken the command
    question = f"Revert {code.commit} on {code.remote}/{code.branch}, push and deploy?"
    try:
        return await asyncio.to_thread(typer.confirm, question, err=True)
    except typer.Abort:
        return False


def _say(taken: Acknowledgement, json: bool) -> None:
    text = f"rollback: {taken.message}; {taken.status}, step {taken.step}, {taken.percentage:g} %"
    answer(json, taken.model_dump(mode="json"), text)
