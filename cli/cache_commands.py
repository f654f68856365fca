"""``sluice cache``: how many answers are cached, and forgetting those that show a source."""

import asyncio
from typing import Annotated

import typer

from cli.context import Context
from cli.flag_store import reached
from cli.output import Json, answer
from router.cache import CacheLimits, SemanticCache

app = typer.Typer(
    help="How many answers are cached; forget those that show a source.", no_args_is_help=True
)


@app.callback()
def _cache() -> None:
    """How many answers are cached; forget those that show a source."""


@app.command()
def stats(*, json: Json = False) -> None:
    """Say how many answers are cached for each cohort. The hit rate is a metric of the router."""

    async def run() -> None:
        context = Context.read()
        async with reached(context.redis_url) as redis:
            cache = SemanticCache(redis, context.environment_name, CacheLimits())
            found = dict(sorted((await cache.totals()).items()))
        lines = [f"{cohort}: {entries} cached" for cohort, entries in found.items()]
        answer(json, {"entries": found}, "\n".join(lines) or "nothing is cached")

    asyncio.run(run())


@app.command()
def forget(
    source: Annotated[
        list[str], typer.Argument(help="As an answer's results name it: trucks.csv#T-12.")
    ],
    *,
    json: Json = False,
) -> None:
    """Drop every cached answer that shows one of these sources, for all tenants and cohorts."""

    async def run() -> None:
        context = Context.read()
        async with reached(context.redis_url) as redis:
            cache = SemanticCache(redis, context.environment_name, CacheLimits())
            dropped = {one: await cache.invalidate(one) for one in source}
        lines = [f"{one}: {_told(count)}" for one, count in dropped.items()]
        answer(json, {"forgotten": dropped}, "\n".join(lines))

    asyncio.run(run())


def _told(count: int) -> str:
    return (
        f"{count} forgotten"
        if count
        else "no cached answer shows it; `sluice ask` tells sources in brackets"
    )
