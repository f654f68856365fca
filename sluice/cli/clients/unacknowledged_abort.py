"""An abort that no worker acknowledges: the kill latch now, and a signal for later."""

import asyncio

from temporalio.service import RPCError

from sluice.cli.clients.flags import flag_client
from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import print_note
from sluice.flags import WriteMetadata
from sluice.rollout.engine.commands import Command, Verb

ENVIRONMENT_SECONDS_MAX = 2


async def abort_unacknowledged(
    context: Context, rollouts: Rollouts | None, flag: str, command: Command
) -> tuple[str, bool]:
    """Kill the flag and send the signal, each whatever the other does; None: Temporal is away.

    Return the effect, and True when there was a flag to kill.

    Raises:
        CliError: the flag was not killed.
    """
    try:
        return await _kill_if_present(
            await _in_its_environment(context, rollouts, flag), flag, command
        )
    finally:
        await _send_abort_signal(rollouts, flag, command)


async def _in_its_environment(context: Context, rollouts: Rollouts | None, flag: str) -> Context:
    """Return the context of the plan's environment; the given one when Temporal does not name it."""
    if rollouts is None:
        return context
    try:
        async with asyncio.timeout(ENVIRONMENT_SECONDS_MAX):
            environment = await rollouts.fetch_environment(flag)
    except (CliError, RPCError, TimeoutError):
        return context
    return Context({**context.environment, "SLUICE_ENVIRONMENT": environment})


async def _kill_if_present(context: Context, flag: str, command: Command) -> tuple[str, bool]:
    """Kill the flag, unless no step has created it yet."""
    reason = command.reason or "abort without a worker"
    try:
        async with flag_client(context) as session:
            await session.flags.kill(flag, metadata=WriteMetadata.shortened(command.actor, reason))
    except CliError as error:
        if error.code is not Exit.NOT_FOUND:
            raise
        environment = context.environment_name
        return f"environment {environment} has no flag {flag}: nobody has it there", False
    return f"{flag} is killed: 0 %", True


async def _send_abort_signal(rollouts: Rollouts | None, flag: str, command: Command) -> None:
    problem = "Temporal is away."
    if rollouts is not None:
        try:
            await rollouts.send_signal(flag, Verb.ABORT, command)
        except CliError as error:
            problem = str(error)
        else:
            return
    print_note(
        f"The signal was not sent: {problem} The rollout continues once Temporal is back; abort it then."
    )
