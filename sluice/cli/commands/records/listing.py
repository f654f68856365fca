"""The command ``sluice list``: every rollout, running and ended."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sluice.cli.context import Context
from sluice.cli.output import JsonOption, print_result
from sluice.rollout.units import format_count

if TYPE_CHECKING:
    from sluice.cli.clients.listing import ListedRollout

StatusName = Literal["Progressing", "Paused", "Degraded", "Healthy", "Aborted"]
"""The statuses of a rollout, without an import of its state."""


def list_rollouts(
    status: Annotated[
        StatusName | None, typer.Option(help="Only rollouts of this status.", case_sensitive=False)
    ] = None,
    running: Annotated[bool, typer.Option("--running", help="Only those that run.")] = False,
    json: JsonOption = False,
) -> None:
    """List all rollouts, running and ended, newest first: status, step and share of users."""
    rows = asyncio.run(_fetch())
    selected = [
        row
        for row in rows
        if (status is None or row.status == status) and (not running or row.workflow == "running")
    ]
    if json:
        print_result(True, [row._asdict() for row in selected], "")
    elif selected:
        _print_table(selected)
    else:
        print_result(False, None, _empty_text(rows))


async def _fetch() -> "Sequence[ListedRollout]":
    temporal = await Context.read().connect_temporal_service()
    from sluice.cli.clients.listing import list_rollouts  # noqa: PLC0415  after the probe: slow

    return await list_rollouts(temporal)


def _print_table(rows: "Sequence[ListedRollout]") -> None:
    from rich.console import Console  # noqa: PLC0415  not with --json
    from rich.table import Table  # noqa: PLC0415

    table = Table("flag", "status", "step", "users", "workflow", "started")
    for row in rows:
        share = "" if row.percentage is None else f"{row.percentage:g} %"
        started = f"{row.started_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(row.flag, row.status, row.step, share, row.workflow, started)
    Console().print(table)


def _empty_text(rows: "Sequence[ListedRollout]") -> str:
    if rows:
        return f"none of {format_count(len(rows), 'rollout')} matches"
    return "no rollouts yet; start one with `sluice start PLAN`"
