"""The commands with which people decide: approve, attest, acknowledge, promote, pause, resume, abort, rollback, retry."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console

from sluice.cli.clients.rollouts import Rollouts, open_rollouts
from sluice.cli.clients.unacknowledged_abort import abort_unacknowledged
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import ActorOption, FlagArgument, ReasonOption, require_reason
from sluice.cli.output import JsonOption, print_note, print_result
from sluice.cli.views.check import check_view
from sluice.rollout.engine.commands import Acknowledgement, Command, Verb
from sluice.rollout.engine.state import State, Status
from sluice.rollout.errors import QuantityError
from sluice.rollout.units import parse_duration

ABORT_TIMEOUT_SECONDS = 2


def _send_command(
    verb: Verb, flag: str | None, reason_and_actor: tuple[str, str], json: bool
) -> None:
    """Send a command with a reason and an actor (empty: the actor of the context)."""
    reason, by = reason_and_actor
    command = Command(actor=by or Context.read().actor, reason=reason)
    asyncio.run(_send(flag, verb, command, json))


async def _send(flag: str | None, verb: Verb, command: Command, json: bool) -> None:
    """Send a command and print its acknowledgement."""
    rollouts = await open_rollouts(Context.read())
    name = await rollouts.resolve_flag(flag)
    answer = await rollouts.send_command(name, verb, command)
    words = " ".join(word for word in (verb, command.item) if word)
    text = (
        f"{words}: {answer.message}; {answer.status}, step {answer.step}, {answer.percentage:g} %"
    )
    if verb is Verb.ACKNOWLEDGE and answer.status == Status.PAUSED:
        text += f"; `sluice resume {name}` goes on"
    print_result(json, answer.model_dump(mode="json"), text)


def promote(
    flag: FlagArgument = None,
    reason: ReasonOption = "",
    by: ActorOption = "",
    json: JsonOption = False,
) -> None:
    """Skip the rest of the step's wait; never a red flag."""
    _send_command(Verb.PROMOTE, flag, (reason, by), json)


def pause(
    flag: FlagArgument = None,
    reason: ReasonOption = "",
    by: ActorOption = "",
    json: JsonOption = False,
) -> None:
    """Stay at the current percentage. Red flags remain active."""
    _send_command(Verb.PAUSE, flag, (reason, by), json)


def resume(
    flag: FlagArgument = None,
    reason: ReasonOption = "",
    by: ActorOption = "",
    json: JsonOption = False,
) -> None:
    """Continue after a pause. The stability window restarts."""
    _send_command(Verb.RESUME, flag, (reason, by), json)


def retry(
    flag: FlagArgument = None,
    reason: ReasonOption = "",
    by: ActorOption = "",
    json: JsonOption = False,
) -> None:
    """Enter the rolled-back step again, with a new clock."""
    _send_command(Verb.RETRY, flag, (reason, by), json)


def abort(
    flag: FlagArgument = None,
    reason: ReasonOption = "",
    by: ActorOption = "",
    json: JsonOption = False,
) -> None:
    """End the rollout at 0 %. Works without a worker, and with --kill's latch even without Temporal.

    Asks the workflow (2 s). Without an answer it sends a signal and kills the flag in Redis.
    """
    context = Context.read()
    command = Command(actor=by or context.actor, reason=reason)
    asyncio.run(_abort(context, flag, command, json))


async def _abort(context: Context, flag: str | None, command: Command, json: bool) -> None:
    rollouts = None
    try:
        rollouts = await open_rollouts(context)
        flag = await rollouts.resolve_flag(flag)
        acknowledgement = await rollouts.send_command(
            flag, Verb.ABORT, command, ABORT_TIMEOUT_SECONDS
        )
    except CliError as error:
        if error.code is not Exit.UNREACHABLE or flag is None:
            raise
        print_note(f"{error} Falling back: a signal for later, and the kill latch now.")
        effect, is_killed = await abort_unacknowledged(context, rollouts, flag, command)
        print_result(json, {"flag": flag, "percentage": 0, "killed": is_killed}, effect)
        return
    print_result(
        json,
        acknowledgement.model_dump(mode="json"),
        f"abort: {flag} at {acknowledgement.percentage:g} %",
    )


def approve(  # noqa: PLR0913, PLR0917  who, why and on what: one option each
    flag: FlagArgument = None,
    reason: ReasonOption = "",
    evidence: Annotated[
        str,
        typer.Option(help="The check whose readings you saw; default: the newest, which is shown."),
    ] = "",
    by: ActorOption = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    json: JsonOption = False,
) -> None:
    """Approve the waiting step, on the readings that you see.

    Shows the newest check, asks, and sends the check's id along. Refused when a red flag has fired
    since, when the readings got worse, or when they are older than the plan allows.
    """

    async def send() -> None:
        context = Context.read()
        rollouts = await open_rollouts(context)
        name = await rollouts.resolve_flag(flag)
        evidence_id = evidence or _print_evidence(
            await rollouts.fetch_state(name), ask=not (yes or json)
        )
        command = Command(actor=by or context.actor, reason=reason, evidence=evidence_id)
        acknowledgement = await rollouts.send_command(name, Verb.APPROVE, command)
        on = f" on {evidence_id}" if evidence_id else ""
        text = f"approve{on}: {acknowledgement.message}; {acknowledgement.status}, step {acknowledgement.step}"
        print_result(
            json, {**acknowledgement.model_dump(mode="json"), "evidence": evidence_id}, text
        )

    asyncio.run(send())


def _print_evidence(state: State, ask: bool) -> str:
    """Show the readings that the approval will be bound to, and return their id."""
    check = state.checks.latest
    if check is None or state.step is None:
        return ""
    Console(stderr=True).print(check_view(check, state.percentage))
    if (
        ask
        and sys.stdin.isatty()
        and not typer.confirm(f"Start {state.step.title} on these readings?")
    ):
        raise CliError("Nothing was approved.", Exit.INTERRUPTED)
    return check.id


def attest(
    item: Annotated[str, typer.Argument(help="The item, as `sluice status` names it.")],
    flag: Annotated[
        str | None, typer.Option(help="The flag; may be left out when one rollout runs.")
    ] = None,
    by: ActorOption = "",
    note: Annotated[
        str,
        typer.Option("--note", "-m", help="Evidence, or a link to it.", callback=require_reason),
    ] = "",
    json: JsonOption = False,
) -> None:
    """Attest that a checklist item is true. Items of later steps may be attested early."""
    command = Command(actor=by or Context.read().actor, reason=note, item=item)
    asyncio.run(_send(flag, Verb.ATTEST, command, json))


def acknowledge(  # noqa: PLR0913, PLR0917  one option each
    finding: Annotated[str, typer.Argument(help="The finding, as `sluice status` names it.")],
    duration: Annotated[
        str, typer.Option("--for", help="Time until it counts again, at most 7d.")
    ] = "6h",
    flag: Annotated[
        str | None, typer.Option(help="The flag; may be left out when one rollout runs.")
    ] = None,
    reason: ReasonOption = "",
    by: ActorOption = "",
    json: JsonOption = False,
) -> None:
    """Answer for a P1, P2 or P3 finding: until the time is over it neither pauses nor pages.

    Resume and promote work meanwhile. A P0 can't be acknowledged. A rollback ends it early.
    """
    try:
        span = parse_duration(duration)
    except QuantityError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    command = Command(actor=by or Context.read().actor, reason=reason, item=finding, duration=span)
    asyncio.run(_send(flag, Verb.ACKNOWLEDGE, command, json))


CODE_OPTION_HELP = "To 0 % at once; once confirmed, git revert, push and deploy."


def rollback(  # noqa: PLR0913, PLR0917  one option for each of the guide's rollbacks
    flag: FlagArgument = None,
    reason: ReasonOption = "",
    to: Annotated[str, typer.Option(help="Step or percentage that the plan allows.")] = "",
    emergency: Annotated[bool, typer.Option("--emergency", help="To 0 % now, and killed.")] = False,
    graceful: Annotated[
        bool, typer.Option("--graceful", help="Down level by level (plan: rollbacks.graceful).")
    ] = False,
    code: Annotated[bool, typer.Option("--code", help=CODE_OPTION_HELP)] = False,
    by: ActorOption = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Confirm the revert at once.")] = False,
    json: JsonOption = False,
) -> None:
    """Step back to the step's rollback target, or to the option's; return when it is done.

    Red flags remain active. Continue with `sluice retry`, or end with `sluice abort`.
    """
    if yes and not code:
        raise typer.BadParameter("--yes confirms --code only; leave it out")
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
    rollouts = await open_rollouts(Context.read())
    name = await rollouts.resolve_flag(flag)
    acknowledgement = await rollouts.send_command(name, Verb.ROLLBACK, command)
    _print_acknowledgement(acknowledgement, json)
    if not command.code:
        return
    if not command.confirmed and not await _confirm_revert(rollouts, name):
        print_note(f"Not reverted. `sluice rollback {name} --code --yes` does it later.")
        return
    if not command.confirmed:
        confirmed = command.model_copy(update={"confirmed": True})
        _print_acknowledgement(await rollouts.send_command(name, Verb.ROLLBACK, confirmed), json)
    print_note(f"The worker reverts, pushes and deploys: follow it with `sluice watch {name}`.")


async def _confirm_revert(rollouts: Rollouts, flag: str) -> bool:
    """Ask on the terminal; without a terminal, revert nothing."""
    code = (await rollouts.fetch_state(flag)).plan.rollbacks.code
    assert code is not None  # noqa: S101  the rollout has accepted the command
    question = f"Revert {code.commit} on {code.remote}/{code.branch}, push and deploy?"
    try:
        return await asyncio.to_thread(typer.confirm, question, err=True)
    except typer.Abort:
        return False


def _print_acknowledgement(acknowledgement: Acknowledgement, json: bool) -> None:
    text = f"rollback: {acknowledgement.message}; {acknowledgement.status}, step {acknowledgement.step}, {acknowledgement.percentage:g} %"
    print_result(json, acknowledgement.model_dump(mode="json"), text)
