"""The command ``sluice doctor``: checks of every server, flag and channel that a rollout relies on."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sluice.cli.context import Context
from sluice.cli.doctor.channels import check_channels
from sluice.cli.doctor.clocks import check_clocks
from sluice.cli.doctor.finding import BAD, DoctorFinding
from sluice.cli.doctor.flags import check_flags, fence_orphans
from sluice.cli.doctor.servers import (
    check_plan_queries,
    check_postgres,
    check_prometheus,
    check_redis,
)
from sluice.cli.doctor.temporal import check_temporal
from sluice.cli.errors import Exit
from sluice.cli.output import JsonOption, print_result

CHECK_TIMEOUT_SECONDS = 30
_LEVEL_MARK = {"good": ("✓", "green"), "warn": ("!", "yellow"), "bad": ("✗", "bold red")}


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Keep Temporal's histories for 90 days.")
    ] = False,
    fence: Annotated[
        bool, typer.Option("--fence", help="Set orphaned flags to 0 % and fence their runs off.")
    ] = False,
    plan: Annotated[
        Path | None, typer.Option(help="Also check the queries and the channels of this plan.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check each server, the search attributes, the retention, each flag above 0 %, and channels.

    Registers search attributes that are missing. An orphan is a flag above 0 % whose rollout was
    terminated or failed, so that its red flags are not watched. Exit code: 0 all good, 1 not.
    """
    findings = asyncio.run(_run_checks(Context.read(), fix, fence, plan))
    if json:
        print_result(True, [asdict(finding) for finding in findings], "")
    else:
        Console().print(_table(findings))
    if any(finding.level == BAD for finding in findings):
        raise typer.Exit(Exit.FAILED)


async def _run_checks(
    context: Context, fix: bool, fence: bool, plan: Path | None
) -> list[DoctorFinding]:
    groups = await asyncio.gather(
        _with_timeout("temporal", lambda: check_temporal(context, fix)),
        _with_timeout("redis", lambda: check_redis(context)),
        _with_timeout("postgres", lambda: check_postgres(context)),
        _with_timeout("prometheus", lambda: check_prometheus(context)),
        _with_timeout("plan", lambda: check_plan_queries(context, plan)),
    )
    findings = [finding for group in groups for finding in group]
    if all(
        finding.level != BAD for finding in findings if finding.subject in ("temporal", "redis")
    ):
        findings += await _with_timeout("flags", lambda: _check_flags(context, fence))
        findings += await _with_timeout("clocks", lambda: check_clocks(context))
        findings += await _with_timeout("channels", lambda: check_channels(context, plan))
    return findings


async def _with_timeout(
    subject: str, check: Callable[[], Awaitable[list[DoctorFinding]]]
) -> list[DoctorFinding]:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check()
    except TimeoutError:
        return [DoctorFinding(subject, BAD, f"does not answer within {CHECK_TIMEOUT_SECONDS} s")]


async def _check_flags(context: Context, fence: bool) -> list[DoctorFinding]:
    findings, orphans = await check_flags(context)
    if fence and orphans:
        return findings + await fence_orphans(context, orphans)
    return findings


def _table(findings: list[DoctorFinding]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for row in _rows(findings):
        table.add_row(*row)
    return table


def _rows(findings: list[DoctorFinding]) -> Iterator[tuple[Text, str, Text]]:
    for finding in findings:
        mark, style = _LEVEL_MARK[finding.level]
        yield Text(mark, style=style), finding.subject, Text(finding.message)
