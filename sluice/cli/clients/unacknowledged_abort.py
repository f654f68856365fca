"""An abort that no worker acknowledges: the kill latch now, and a signal for later."""

from sluice.cli.clients.flags import flag_client
from sluice.cli.clients.rollouts import open_rollouts
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import print_note
from sluice.flags import WriteMetadata
from sluice.rollout.engine.commands import Command, Verb


async def abort_unacknowledged(context: Context, flag: str, command: Command) -> bool:
    """Kill the flag and send the signal, each whatever the other does; False without a flag.

    Raises:
        CliError: the flag was not killed.
    """
    try:
        is_killed = await _kill_if_present(context, flag, command)
    finally:
        await _send_abort_signal(context, flag, command)
    return is_killed


async def _kill_if_present(context: Context, flag: str, command: Command) -> bool:
    """Kill the flag; False when no step has created it yet."""
    reason = command.reason or "abort without a worker"
    try:
        async with flag_client(context) as session:
            await session.flags.kill(flag, metadata=WriteMetadata(command.actor, reason))
    except CliError as error:
        if error.code is Exit.NOT_FOUND:
            return False
        raise
    return True


async def _send_abort_signal(context: Context, flag: str, command: Command) -> None:
    try:
        await (await open_rollouts(context)).send_signal(flag, Verb.ABORT, command)
    except CliError as error:
        print_note(
            f"The signal was not sent: {error} The rollout continues once Temporal is back; abort it then."
        )
