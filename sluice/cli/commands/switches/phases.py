"""``sluice flags phases``: the router's switches, and the flag that they belong to."""

import asyncio
from typing import Annotated

import typer

from sluice.cli.clients.flags import flag_client
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import ReasonOption
from sluice.cli.output import JsonOption, print_result
from sluice.flags import FlagDocument, WriteMetadata
from sluice.flags.validation import PHASES

SWITCH_STATES = {"on": True, "off": False}


def phases(
    switches: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PHASE=on|off]...", help=f"Phases: {', '.join(PHASES)}."),
    ] = None,
    off: Annotated[
        bool, typer.Option("--off", help="Switch all off, so that they belong to no flag.")
    ] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Show the router's phases and their flag, or set them by hand; needs only Redis."""
    desired_phases = dict.fromkeys(PHASES, False) if off else _parse(switches or [])
    context = Context.read()
    document = asyncio.run(_read_or_set(context, desired_phases, reason))
    switched = document.phases.model_dump()
    body = {"flag": document.phases_flag, "phases": switched}
    states = ", ".join(f"{name} {'on' if on else 'off'}" for name, on in switched.items())
    owner = f"belong to {document.phases_flag}" if document.phases_flag else "belong to no flag"
    print_result(json, body, f"{states}; they {owner}")


async def _read_or_set(
    context: Context, desired_phases: dict[str, bool], reason: str
) -> FlagDocument:
    async with flag_client(context) as session:
        if not desired_phases:
            return await session.flags.document()
        change = WriteMetadata(actor=context.actor, reason=reason)
        return await session.flags.set_phases(desired_phases, metadata=change)


def _parse(switches: list[str]) -> dict[str, bool]:
    """Parse ``NAME=on`` and ``NAME=off``; the store checks the names."""
    desired_phases: dict[str, bool] = {}
    for switch in switches:
        name, _, state = switch.partition("=")
        if state not in SWITCH_STATES:
            raise CliError(f"{switch!r}: write it as {PHASES[0]}=on or =off", Exit.USAGE)
        desired_phases[name] = SWITCH_STATES[state]
    return desired_phases
