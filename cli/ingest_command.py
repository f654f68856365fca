"""sluice ingest: files and pages into all stores."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.context import Context
from cli.errors import CliError, Exit
from cli.output import Json, answer
from router.cache import CacheLimits, SemanticCache
from router.embedding import LocalEmbedder
from router.errors import SettingsError
from router.ingestion import Ingestion, StoreFailed, Tally
from router.settings import Settings
from router.sources import Problem, Source, SourceError, find, load, origin_of, records_of
from router.stores import open_redis, open_stores

PROBLEMS_SHOWN = 20


def ingest(
    names: Annotated[
        list[str], typer.Argument(metavar="PATH|URL...", help="Files, folders or web addresses.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check only; write nothing.")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take out what these brought in before.")
    ] = False,
    json: Json = False,
) -> None:
    """Put Markdown, text, JSONL and CSV into every store, so that the router has what to search.

    Repeating it writes only what changed and removes what a source no longer has; stopped, it goes
    on where it was. A bad line is told and left out. Formats: docs/ingest.md.

    Exit code: 0 all of it, 1 something was left out, 2 nothing to read, 3 a store does not answer.
    """
    if remove:
        gone = asyncio.run(_run([], remove=names))
        answer(json, asdict(gone), f"{gone.removed} records removed")
        return
    try:
        sources, unread = _loaded(list(find(names)))
    except SourceError as error:
        raise CliError(str(error), Exit.USAGE) from error
    try:
        tally = _checked(sources) if dry_run else asyncio.run(_run(sources))
    except KeyboardInterrupt as error:
        message = "Stopped. The same command goes on where it was."
        raise CliError(message, Exit.INTERRUPTED) from error
    tally.problems[:0] = unread
    answer(json, asdict(tally), _said(tally, dry_run=dry_run))
    if tally.problems:
        raise typer.Exit(Exit.FAILED)


def _loaded(names: list[str]) -> tuple[list[Source], list[Problem]]:
    """One file that can't be read does not keep the others out."""
    sources, problems = [], []
    for name in names:
        try:
            sources.append(load(name))
        except SourceError as error:
            problems.append(Problem(name, str(error).removeprefix(f"{name}: ")))
    if not names:
        raise SourceError("nothing to read there: no .md, .txt, .jsonl or .csv file")
    return sources, problems


def _checked(sources: list[Source]) -> Tally:
    tally = Tally(sources=len(sources))
    for source in sources:
        for item in records_of(source):
            if isinstance(item, Problem):
                tally.problems.append(item)
            else:
                tally.written += 1
    return tally


async def _run(sources: list[Source], remove: Sequence[str] = ()) -> Tally:
    try:
        settings = Settings.from_environment(Context.read().environment)
        stores = await open_stores(settings.stores)
    except SettingsError as error:
        raise CliError(f"{error}; or start everything with `sluice up`.", Exit.USAGE) from error
    redis = open_redis(settings.stores.redis_url)
    cache = SemanticCache(redis, settings.environment, CacheLimits())
    ingestion = Ingestion(stores, LocalEmbedder(), cache)
    try:
        await ingestion.prepare()
        for name in remove:
            await ingestion.forget(origin_of(name))
        with _bar() as progress:
            for source in sources:
                await ingestion.take(source, _task(progress, source))
            await ingestion.finish()
        await ingestion.settle()
    except StoreFailed as error:
        raise CliError(str(error), Exit.UNREACHABLE) from error
    finally:
        await stores.close()
        await redis.aclose()
    return ingestion.tally


def _bar() -> Progress:
    """On standard error, and only where somebody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    return Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not sys.stderr.isatty()
    )


def _task(progress: Progress, source: Source) -> Callable[[int], None]:
    total = sum(not isinstance(item, Problem) for item in records_of(source))
    task = progress.add_task(source.origin, total=total)

    def advance(records: int) -> None:
        progress.advance(task, records)

    return advance


def _said(tally: Tally, *, dry_run: bool) -> str:
    sources = f"{tally.sources} source{'' if tally.sources == 1 else 's'}"
    if dry_run:
        head = f"{sources}, {tally.written} records; nothing was written"
    else:
        head = (
            f"{sources}: {tally.written} records written, {tally.unchanged} "
            f"unchanged, {tally.removed} removed; {tally.links} links"
        )
    if tally.dangling:
        head += f", {tally.dangling} to records that are not there (yet)"
    lines = [f"{one.place}: {one.why}" for one in tally.problems[:PROBLEMS_SHOWN]]
    if (more := len(tally.problems) - len(lines)) > 0:
        lines.append(f"… and {more} more (--json has all)")
    return "\n".join([*lines, head])
