"""sluice ingest: files and pages into all stores."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from router.cache import CacheLimits, SemanticCache
from router.embedding import LocalEmbedder
from router.errors import RouterSettingsError
from router.knowledge.ingestion import Ingestion, IngestionSummary, StoreWriteFailed
from router.knowledge.sources import (
    Source,
    SourceError,
    SourceProblem,
    find_sources,
    load_source,
    normalize_origin,
    parse_source,
)
from router.settings import Settings
from router.store_clients import open_redis, open_stores
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import JsonOption, print_result

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
    json: JsonOption = False,
) -> None:
    """Put Markdown, text, JSONL and CSV into every store, so that the router has what to search.

    Repeating it writes only what changed and removes what a source no longer has; stopped, it goes
    on where it was. A bad line is told and left out. Formats: docs/ingest.md.

    Exit code: 0 all of it, 1 something was left out, 2 nothing to read, 3 a store does not answer.
    """
    if remove:
        gone = asyncio.run(_ingest([], remove=names))
        print_result(json, asdict(gone), f"{gone.removed} records removed")
        return
    try:
        sources, unread = _load_sources(list(find_sources(names)))
    except SourceError as error:
        raise CliError(str(error), Exit.USAGE) from error
    try:
        tally = _dry_run(sources) if dry_run else asyncio.run(_ingest(sources))
    except KeyboardInterrupt as error:
        message = "Stopped. The same command goes on where it was."
        raise CliError(message, Exit.INTERRUPTED) from error
    tally.problems[:0] = unread
    print_result(json, asdict(tally), _summary_text(tally, dry_run=dry_run))
    if tally.problems:
        raise typer.Exit(Exit.FAILED)


def _load_sources(names: list[str]) -> tuple[list[Source], list[SourceProblem]]:
    """One file that can't be read does not keep the others out."""
    sources, problems = [], []
    for name in names:
        try:
            sources.append(load_source(name))
        except SourceError as error:
            problems.append(SourceProblem(name, str(error).removeprefix(f"{name}: ")))
    if not names:
        raise SourceError("nothing to read there: no .md, .txt, .jsonl or .csv file")
    return sources, problems


def _dry_run(sources: list[Source]) -> IngestionSummary:
    tally = IngestionSummary(sources=len(sources))
    for source in sources:
        for item in parse_source(source):
            if isinstance(item, SourceProblem):
                tally.problems.append(item)
            else:
                tally.written += 1
    return tally


async def _ingest(sources: list[Source], remove: Sequence[str] = ()) -> IngestionSummary:
    try:
        settings = Settings.from_environment(Context.read().environment)
        stores = await open_stores(settings.stores)
    except RouterSettingsError as error:
        raise CliError(f"{error}; or start everything with `sluice up`.", Exit.USAGE) from error
    redis = open_redis(settings.stores.redis_url)
    cache = SemanticCache(redis, settings.environment, CacheLimits())
    ingestion = Ingestion(stores, LocalEmbedder(), cache)
    try:
        await ingestion.prepare()
        for name in remove:
            await ingestion.remove_origin(normalize_origin(name))
        with _progress_bar() as progress:
            for source in sources:
                await ingestion.ingest_source(source, _progress_callback(progress, source))
            await ingestion.link_pending()
        await ingestion.wait_until_searchable()
    except StoreWriteFailed as error:
        raise CliError(str(error), Exit.UNREACHABLE) from error
    finally:
        await stores.close()
        await redis.aclose()
    return ingestion.summary


def _progress_bar() -> Progress:
    """On standard error, and only where somebody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    return Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not sys.stderr.isatty()
    )


def _progress_callback(progress: Progress, source: Source) -> Callable[[int], None]:
    total = sum(not isinstance(item, SourceProblem) for item in parse_source(source))
    task = progress.add_task(source.origin, total=total)

    def advance(records: int) -> None:
        progress.advance(task, records)

    return advance


def _summary_text(tally: IngestionSummary, *, dry_run: bool) -> str:
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
    lines = [f"{one.location}: {one.reason}" for one in tally.problems[:PROBLEMS_SHOWN]]
    if (more := len(tally.problems) - len(lines)) > 0:
        lines.append(f"… and {more} more (--json has all)")
    return "\n".join([*lines, head])
