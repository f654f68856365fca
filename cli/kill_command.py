"""``sluice kill``. Loads no more than Redis takes: nobody who kills a flag has seconds to give."""

import asyncio
from typing import Annotated

import typer

from cli.context import Context
from cli.flag_store import flag_session
from cli.output import Json, answer
from cli.parameters import By, Reason
from router.flags import Change


async def kill_flag(context: Context, flag: str, change: Change) -> None:
    """Set the kill latch; needs only Redis."""
    async with flag_session(context) as session:
        await session.flags.kill(flag, change=change)


def kill(
    flag: Annotated[str, typer.Argument(help="The flag to kill.")],
    reason: Reason = "",
    by: By = "",
    json: Json = False,
) -> None:
    """Turn a flag off for everyone and refuse every raise; needs only Redis, not Temporal."""
    context = Context.read()
    change = Change(actor=by or context.actor, reason=reason or "kill")
    asyncio.run(kill_flag(context, flag, change))
    answer(json, {"flag": flag, "killed": True}, f"{flag} is killed: 0 % for everyone")
