"""What people say to a rollout: promote, pause, resume, abort, retry."""

import asyncio

from cli.context import Context
from cli.errors import CliError, Exit
from cli.kill_command import kill_flag
from cli.output import Json, answer, say
from cli.parameters import By, Flag, Reason
from cli.rollouts import Rollouts
from rollout.commands import Command, Verb
from router.flags import Change

ABORT_SECONDS = 2


def _send(verb: Verb, flag: str | None, words: tuple[str, str], json: bool) -> None:
    """``words`` are the reason, and who gives it (empty: the context's actor)."""
    reason, by = words

    async def send() -> None:
        context = Context.read()
        rollouts = Rollouts(await context.temporal())
        command = Command(actor=by or context.actor, reason=reason)
        taken = await rollouts.command(await rollouts.choose(flag), verb, command)
        answer(
            json,
            taken.model_dump(mode="json"),
            f"{verb}: {taken.message}; {taken.status}, step {taken.step}, {taken.percentage:g} %",
        )

    asyncio.run(send())


def promote(flag: Flag = None, reason: Reason = "", by: By = "", json: Json = False) -> None:
    """Skip the rest of the step's wait; never a red flag."""
    _send(Verb.PROMOTE, flag, (reason, by), json)


def pause(flag: Flag = None, reason: Reason = "", by: By = "", json: Json = False) -> None:
    """Stay at the current percentage; red flags stay on guard."""
    _send(Verb.PAUSE, flag, (reason, by), json)


def resume(flag: Flag = None, reason: Reason = "", by: By = "", json: Json = False) -> None:
    """Go on after a pause; stability starts again."""
    _send(Verb.RESUME, flag, (reason, by), json)


def retry(flag: Flag = None, reason: Reason = "", by: By = "", json: Json = False) -> None:
    """Enter the step that was rolled back again, with a fresh clock."""
    _send(Verb.RETRY, flag, (reason, by), json)


def abort(flag: Flag = None, reason: Reason = "", by: By = "", json: Json = False) -> None:
    """End the rollout at 0 %. Works without a worker, and with --kill's latch even without Temporal.

    Asks the workflow (2 s); without an answer leaves a signal and kills the flag in Redis.
    """
    context = Context.read()
    command = Command(actor=by or context.actor, reason=reason)
    asyncio.run(_abort(context, flag, command, json))


async def _abort(context: Context, flag: str | None, command: Command, json: bool) -> None:
    try:
        rollouts = Rollouts(await context.temporal())
        flag = await rollouts.choose(flag)
        taken = await rollouts.command(flag, Verb.ABORT, command, ABORT_SECONDS)
    except CliError as error:
        if error.code is not Exit.UNREACHABLE or flag is None:
            raise
        say(f"{error} Falling back: a signal for later, and the kill latch now.")
        await _abort_without_answer(context, flag, command)
        answer(json, {"flag": flag, "percentage": 0, "killed": True}, f"{flag} is killed: 0 %")
        return
    answer(json, taken.model_dump(mode="json"), f"abort: {flag} at {taken.percentage:g} %")


async def _abort_without_answer(context: Context, flag: str, command: Command) -> None:
    reason = command.reason or "abort without a worker"
    await kill_flag(context, flag, Change(actor=command.actor, reason=reason))
    try:
        await Rollouts(await context.temporal()).signal(flag, Verb.ABORT, command)
    except CliError as error:
        say(
            f"No signal left: {error} The rollout itself goes on once Temporal is back: abort again."
        )
