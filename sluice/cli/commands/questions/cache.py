"""The commands ``sluice cache``: count cached answers, and drop those that show a source."""

import asyncio
from typing import Annotated

import typer

from router.cache import CacheLimits, SemanticCache
from sluice.cli.clients.flags import redis_connection
from sluice.cli.context import Context
from sluice.cli.output import JsonOption, print_result

app = typer.Typer(help="Count cached answers; drop those that show a source.", no_args_is_help=True)


@app.callback()
def _cache() -> None:
    """Count cached answers; drop those that show a source."""


@app.command()
def stats(*, json: JsonOption = False) -> None:
    """Count the cached answers of each cohort. The hit rate is a metric of the router."""

    async def run() -> None:
        context = Context.read()
        async with redis_connection(context.redis_cache_url) as redis:
            cache = SemanticCache(redis, context.environment_name, CacheLimits())
            counts = dict(sorted((await cache.count_by_cohort()).items()))
        lines = [f"{cohort}: {entries} cached" for cohort, entries in counts.items()]
        print_result(json, {"entries": counts}, "\n".join(lines) or "the cache is empty")

    asyncio.run(run())


@app.command()
def forget(
    source: Annotated[
        list[str], typer.Argument(help="As an answer's results name it: trucks.csv#T-12.")
    ],
    *,
    json: JsonOption = False,
) -> None:
    """Drop every cached answer that shows one of these sources, for all tenants and cohorts."""

    async def run() -> None:
        context = Context.read()
        async with redis_connection(context.redis_cache_url) as redis:
            cache = SemanticCache(redis, context.environment_name, CacheLimits())
            dropped = {reference: await cache.invalidate(reference) for reference in source}
        lines = [f"{reference}: {_dropped_text(count)}" for reference, count in dropped.items()]
        print_result(json, {"forgotten": dropped}, "\n".join(lines))

    asyncio.run(run())


def _dropped_text(count: int) -> str:
    return (
        f"{count} forgotten"
        if count
        else "no cached answer shows it; `sluice ask` prints sources in brackets"
    )
