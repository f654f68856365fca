"""The command ``sluice kill``. It imports the Redis client only, so that it starts fast."""

import asyncio
from typing import Annotated

import typer

from sluice.cli.clients.flags import flag_client
from sluice.cli.context import Context
from sluice.cli.options import ActorOption, ReasonOption
from sluice.cli.output import JsonOption, print_result
from sluice.flags import WriteMetadata


async def kill_flag(context: Context, flag: str, change: WriteMetadata) -> None:
    """Set the kill latch in Redis."""
    async with flag_client(context) as session:
        await session.flags.kill(flag, metadata=change)


def kill(
    flag: Annotated[str, typer.Argument(help="The flag to kill.")],
    reason: ReasonOption = "",
    by: ActorOption = "",
    json: JsonOption = False,
) -> None:
    """Turn a flag off for all users and refuse every raise. Needs only Redis, not Temporal."""
    context = Context.read()
    change = WriteMetadata.shortened(by or context.actor, reason or "kill")
    asyncio.run(kill_flag(context, flag, change))
    print_result(json, {"flag": flag, "killed": True}, f"{flag} is killed: 0 % for all users")
