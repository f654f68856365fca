"""``sluice flags watch``: a picture redrawn in place on a terminal, one line a change elsewhere."""

import asyncio
import json as jsonlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from cli.context import Context
from cli.errors import CliError, Exit
from cli.flag_store import FlagSession, flag_session
from cli.flags_view import (
    changed_line,
    entry_document,
    flag_details,
    flag_document,
    flags_table,
    history_table,
)
from cli.output import say
from router.flags import AuditEntry, FlagDocument
from router.flags.mutations import flag_of
from router.flags.processes import ProcessView

REFRESH_SECONDS = 0.5
CHANGES_READ = 200
CHANGES_SHOWN = 8


@dataclass(frozen=True)
class Look:
    """What one look at the store and the routers found; ``changes`` newest first."""

    document: FlagDocument
    changes: Sequence[AuditEntry]
    processes: Sequence[ProcessView]


async def watch_flags(context: Context, name: str | None, seconds: float, json: bool) -> None:
    """Follow until ``seconds`` are over (0: for ever). A store that goes away is waited for.

    Raises:
        CliError: at the first look only; NOT_FOUND for an unknown flag, UNREACHABLE.
    """
    console = Console()
    until = time.monotonic() + seconds if seconds else math.inf
    first = await _look(context, name)
    if console.is_terminal and not json:
        await _follow_picture(context, name, until, console, first)
    else:
        await _follow_lines(context, name, until, json, first)


async def _look(context: Context, name: str | None) -> Look:
    async with flag_session(context) as session:
        return await _seen(session, name)


async def _seen(session: FlagSession, name: str | None) -> Look:
    document = await session.flags.document()
    if name is not None:
        flag_of(document, name)
    changes = await session.flags.history(name, CHANGES_READ)
    return Look(document, changes, await session.processes())


async def _follow_lines(
    context: Context, name: str | None, until: float, json: bool, look: Look
) -> None:
    seen = {entry.id for entry in look.changes}
    for flag_name in sorted(look.document.flags) if name is None else [name]:
        flag = look.document.flags[flag_name]
        _print(flag_document(flag), f"{flag_name} is at {flag.rollout_percentage:g} %", json)
    answering = True
    while time.monotonic() < until:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            look = await _look(context, name)
        except CliError as error:
            _tell_once(error, answering)
            answering = False
            continue
        if not answering:
            say("the flag store answers again")
        answering = True
        for entry in reversed(look.changes):
            if entry.id not in seen:
                _print(entry_document(entry), changed_line(entry), json)
        seen = {entry.id for entry in look.changes}


def _tell_once(error: CliError, answering: bool) -> None:
    """A deleted flag ends the watch; a silent store is said once and waited for."""
    if error.code is not Exit.UNREACHABLE:
        raise error
    if answering:
        say(str(error))


def _print(document: dict[str, object], text: str, json: bool) -> None:
    print(jsonlib.dumps(document, default=str) if json else text, flush=True)


async def _follow_picture(
    context: Context, name: str | None, until: float, console: Console, look: Look
) -> None:
    trouble = ""
    with Live(console=console, auto_refresh=False) as live:
        while time.monotonic() < until:
            live.update(picture(look, name, trouble, datetime.now(UTC)), refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                look, trouble = await _look(context, name), ""
            except CliError as error:
                _tell_once(error, answering=False)
                trouble = str(error)


def picture(look: Look, name: str | None, trouble: str, now: datetime) -> RenderableType:
    """Draw the flags (or one, with each router's view of it) and the latest changes."""
    flags: RenderableType
    if name is None:
        answering = sum(view.seen is not None for view in look.processes)
        routers = f"{answering} of {len(look.processes)} router processes answer"
        flags = Group(flags_table(look.document), Text(routers, style="dim"))
    else:
        flags = flag_details(look.document.flags[name], look.processes)
    parts = [flags, Text(), history_table(look.changes[:CHANGES_SHOWN])]
    if trouble:
        parts.insert(0, Text(f"AS OF BEFORE: {trouble}", style="bold red"))
    return Panel(Group(*parts), title=f"sluice flags · {now:%H:%M:%S} UTC", border_style="cyan")
