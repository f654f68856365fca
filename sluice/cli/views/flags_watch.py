"""The output of ``sluice flags watch``: a live table, or one line per change for pipes."""

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
    """One reading of the store and the routers; ``changes`` are newest first."""

    document: FlagDocument
    changes: Sequence[AuditEntry]
    processes: Sequence[ProcessPoll]


async def watch_flags(context: Context, name: str | None, seconds: float, json: bool) -> None:
    """Follow the flags for ``seconds`` (0: without end). An unreachable store is waited for.

    Raises:
        CliError: at the first reading only; NOT_FOUND for an unknown flag, UNREACHABLE.
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
    context: Context, name: str | None, until: float, json: bool, snapshot: FlagsSnapshot
) -> None:
    printed_ids = {entry.id for entry in snapshot.changes}
    for flag_name in sorted(snapshot.document.flags) if name is None else [name]:
        flag = snapshot.document.flags[flag_name]
        _print(flag_document(flag), f"{flag_name} is at {flag.rollout_percentage:g} %", json)
    answering = True
    while time.monotonic() < until:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            snapshot = await _take_snapshot(context, name)
        except CliError as error:
            _report_unreachable(error, answering)
            answering = False
            continue
        if not answering:
            print_note("the flag store answers again")
        answering = True
        for entry in reversed(snapshot.changes):
            if entry.id not in printed_ids:
                _print(audit_entry_document(entry), change_line(entry), json)
        printed_ids = {entry.id for entry in snapshot.changes}


def _report_unreachable(error: CliError, answering: bool) -> None:
    """Print an unreachable store once. A deleted flag ends the watch."""
    if error.code is not Exit.UNREACHABLE:
        raise error
    if answering:
        print_note(str(error))


def _print(document: dict[str, object], text: str, json: bool) -> None:
    print(jsonlib.dumps(document, default=str) if json else text, flush=True)


async def _follow_live(
    context: Context, name: str | None, until: float, console: Console, snapshot: FlagsSnapshot
) -> None:
    trouble = ""
    with Live(console=console, auto_refresh=False) as live:
        while time.monotonic() < until:
            live.update(flags_panel(snapshot, name, trouble, datetime.now(UTC)), refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                snapshot, trouble = await _take_snapshot(context, name), ""
            except CliError as error:
                _report_unreachable(error, answering=False)
                trouble = str(error)


def flags_panel(
    snapshot: FlagsSnapshot, name: str | None, failure: str, now: datetime
) -> RenderableType:
    """Draw the flags (or one, with each router's state) and the latest changes."""
    flags: RenderableType
    if name is None:
        answering = sum(view.response is not None for view in snapshot.processes)
        routers = f"{answering} of {len(snapshot.processes)} processes answer"
        flags = Group(flags_table(snapshot.document), Text(routers, style="dim"))
    else:
        flags = flag_details(snapshot.document.flags[name], snapshot.processes)
    parts = [flags, Text(), history_table(snapshot.changes[:CHANGES_SHOWN])]
    if failure:
        parts.insert(0, Text(f"OUTDATED: {failure}", style="bold red"))
    return Panel(Group(*parts), title=f"sluice flags · {now:%H:%M:%S} UTC", border_style="cyan")
