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

from sluice.cli.clients.flags import FlagClient, flag_client
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import print_note
from sluice.cli.views.flags import (
    audit_entry_document,
    change_line,
    flag_details,
    flag_document,
    flags_table,
    history_table,
)
from sluice.flags import AuditEntry, FlagDocument
from sluice.flags.mutations import require_flag
from sluice.flags.redis.process_polling import ProcessPoll

REFRESH_SECONDS = 0.5
CHANGES_READ = 200
CHANGES_SHOWN = 8


@dataclass(frozen=True)
class FlagsSnapshot:
    """What one look at the store and the routers found; ``changes`` newest first."""

    document: FlagDocument
    changes: Sequence[AuditEntry]
    processes: Sequence[ProcessPoll]


async def watch_flags(context: Context, name: str | None, seconds: float, json: bool) -> None:
    """Follow until ``seconds`` are over (0: for ever). A store that goes away is waited for.

    Raises:
        CliError: at the first look only; NOT_FOUND for an unknown flag, UNREACHABLE.
    """
    console = Console()
    until = time.monotonic() + seconds if seconds else math.inf
    first = await _take_snapshot(context, name)
    if console.is_terminal and not json:
        await _follow_live(context, name, until, console, first)
    else:
        await _follow_lines(context, name, until, json, first)


async def _take_snapshot(context: Context, name: str | None) -> FlagsSnapshot:
    async with flag_client(context) as session:
        return await _read_snapshot(session, name)


async def _read_snapshot(session: FlagClient, name: str | None) -> FlagsSnapshot:
    document = await session.flags.document()
    if name is not None:
        require_flag(document, name)
    changes = await session.flags.history(name, CHANGES_READ)
    return FlagsSnapshot(document, changes, await session.poll_processes())


async def _follow_lines(
    context: Context, name: str | None, until: float, json: bool, look: FlagsSnapshot
) -> None:
    seen = {entry.id for entry in look.changes}
    for flag_name in sorted(look.document.flags) if name is None else [name]:
        flag = look.document.flags[flag_name]
        _print(flag_document(flag), f"{flag_name} is at {flag.rollout_percentage:g} %", json)
    answering = True
    while time.monotonic() < until:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            look = await _take_snapshot(context, name)
        except CliError as error:
            _report_unreachable(error, answering)
            answering = False
            continue
        if not answering:
            print_note("the flag store answers again")
        answering = True
        for entry in reversed(look.changes):
            if entry.id not in seen:
                _print(audit_entry_document(entry), change_line(entry), json)
        seen = {entry.id for entry in look.changes}


def _report_unreachable(error: CliError, answering: bool) -> None:
    """A deleted flag ends the watch; a silent store is said once and waited for."""
    if error.code is not Exit.UNREACHABLE:
        raise error
    if answering:
        print_note(str(error))


def _print(document: dict[str, object], text: str, json: bool) -> None:
    print(jsonlib.dumps(document, default=str) if json else text, flush=True)


async def _follow_live(
    context: Context, name: str | None, until: float, console: Console, look: FlagsSnapshot
) -> None:
    trouble = ""
    with Live(console=console, auto_refresh=False) as live:
        while time.monotonic() < until:
            live.update(flags_panel(look, name, trouble, datetime.now(UTC)), refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                look, trouble = await _take_snapshot(context, name), ""
            except CliError as error:
                _report_unreachable(error, answering=False)
                trouble = str(error)


def flags_panel(
    snapshot: FlagsSnapshot, name: str | None, failure: str, now: datetime
) -> RenderableType:
    """Draw the flags (or one, with each router's view of it) and the latest changes."""
    flags: RenderableType
    if name is None:
        answering = sum(view.response is not None for view in snapshot.processes)
        routers = f"{answering} of {len(snapshot.processes)} router processes answer"
        flags = Group(flags_table(snapshot.document), Text(routers, style="dim"))
    else:
        flags = flag_details(snapshot.document.flags[name], snapshot.processes)
    parts = [flags, Text(), history_table(snapshot.changes[:CHANGES_SHOWN])]
    if failure:
        parts.insert(0, Text(f"AS OF BEFORE: {failure}", style="bold red"))
    return Panel(Group(*parts), title=f"sluice flags · {now:%H:%M:%S} UTC", border_style="cyan")
