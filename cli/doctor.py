"""``sluice doctor``: is everything there that a rollout relies on, and does nobody serve an orphan?"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import httpx
import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from activities.errors import EffectError
from activities.ledger import PostgresLedger
from cli.context import Context
from cli.doctor_channels import look_at_channels
from cli.doctor_findings import BAD, GOOD, Finding
from cli.doctor_flags import fence_orphans, look_at_flags
from cli.doctor_temporal import look_at_temporal
from cli.errors import CliError, Exit
from cli.flag_store import connected
from cli.output import Json, answer
from router.flags import FlagStoreError
from router.flags.processes import live_processes
from workflows.models import workflow_id

SECONDS = 30
NOT_SCRAPED = (
    "answers, but scrapes no router: without a job `router` every gate has no data. Routers that you "
    "start with `sluice router` here are scraped; for others see ops/prometheus/prometheus.yml"
)
_MARK = {"good": ("✓", "green"), "warn": ("!", "yellow"), "bad": ("✗", "bold red")}


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Keep Temporal's histories for 90 days.")
    ] = False,
    fence: Annotated[
        bool, typer.Option("--fence", help="Put orphaned flags to 0 % and shut their runs out.")
    ] = False,
    plan: Annotated[
        Path | None, typer.Option(help="Also check that the worker can tell people what it says.")
    ] = None,
    json: Json = False,
) -> None:
    """Check each server, the search attributes, the retention, each flag above 0 %, and channels.

    Registers search attributes that are missing. An orphan is a flag above 0 % whose rollout was
    terminated or failed: nobody watches its red flags. Exit code: 0 all well, 1 something is bad.
    """
    findings = asyncio.run(_examine(Context.read(), fix, fence, plan))
    if json:
        answer(True, [asdict(finding) for finding in findings], "")
    else:
        Console().print(_table(findings))
    if any(finding.state == BAD for finding in findings):
        raise typer.Exit(Exit.FAILED)


async def _examine(context: Context, fix: bool, fence: bool, plan: Path | None) -> list[Finding]:
    groups = await asyncio.gather(
        _limited("temporal", lambda: look_at_temporal(context, fix)),
        _limited("redis", lambda: _redis(context)),
        _limited("postgres", lambda: _postgres(context)),
        _limited("prometheus", lambda: _prometheus(context)),
    )
    findings = [finding for group in groups for finding in group]
    if all(finding.state != BAD for finding in findings if finding.about in ("temporal", "redis")):
        findings += await _limited("flags", lambda: _flags(context, fence))
        findings += await _limited("channels", lambda: look_at_channels(context, plan))
    return findings


async def _limited(about: str, look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        async with asyncio.timeout(SECONDS):
            return await look()
    except TimeoutError:
        return [Finding(about, BAD, f"does not answer within {SECONDS} s")]


async def _redis(context: Context) -> list[Finding]:
    try:
        redis = connected(context.redis_url)
    except CliError as error:
        return [Finding("redis", BAD, f"{error}.")]
    try:
        await redis.ping()
        processes = await live_processes(redis, context.environment_name)
    except (RedisError, FlagStoreError) as error:
        why = str(error).rstrip(".")
        return [Finding("redis", BAD, f"{why}. Set REDIS_URL, or `sluice up`.")]
    finally:
        await redis.aclose()
    found = [Finding("redis", GOOD, "answers")]
    if not processes:
        return [*found, Finding("routers", "warn", "none is alive; start one with `sluice router`")]
    async with httpx.AsyncClient(timeout=3, trust_env=False) as http:
        return found + list(await asyncio.gather(*(_router(http, p.url) for p in processes)))


async def _router(http: httpx.AsyncClient, url: str) -> Finding:
    try:
        reply = await http.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return Finding("router", BAD, f"{url} does not answer: {error!r}")
    state = GOOD if reply.is_success else BAD
    return Finding("router", state, f"{url} {'is ready' if reply.is_success else reply.text}")


async def _postgres(context: Context) -> list[Finding]:
    ledger = PostgresLedger(context.postgres_dsn)
    try:
        last = await ledger.latest(workflow_id(""))
    except EffectError as error:
        return [Finding("postgres", BAD, f"{error}. Set POSTGRES_DSN, or `sluice up`.")]
    finally:
        await ledger.close()
    return [Finding("postgres", GOOD, f"the ledger answers; last rollout: {last or 'none yet'}")]


async def _prometheus(context: Context) -> list[Finding]:
    url = f"{context.prometheus_url}/api/v1/query"
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
            reply = await http.get(url, params={"query": 'count(up{job="router"} == 1)'})
            reply.raise_for_status()
            result = reply.json()["data"]["result"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return [Finding("prometheus", BAD, f"{error!r}. Set PROMETHEUS_URL, or `sluice up`.")]
    if not result:
        return [Finding("prometheus", "warn", NOT_SCRAPED)]
    return [Finding("prometheus", GOOD, f"answers, and scrapes {result[0]['value'][1]} routers")]


async def _flags(context: Context, fence: bool) -> list[Finding]:
    findings, orphans = await look_at_flags(context)
    if fence and orphans:
        return findings + await fence_orphans(context, orphans)
    return findings


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for row in _rows(findings):
        table.add_row(*row)
    return table


def _rows(findings: list[Finding]) -> Iterator[tuple[Text, str, Text]]:
    for finding in findings:
        mark, style = _MARK[finding.state]
        yield Text(mark, style=style), finding.about, Text(finding.text)
