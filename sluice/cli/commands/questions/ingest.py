"""sluice ingest: files and pages into all stores."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from router.cache import CacheLimits, SemanticCache
from router.embedding import LocalEmbedder
from router.errors import RouterSettingsError
from router.knowledge.ingestion import Ingestion
from router.knowledge.ingestion_summary import IngestionSummary
from router.knowledge.sources import (
    ReadOptions,
    SkippedFile,
    SourceError,
    SourceProblem,
    count_unread,
    find_sources,
    is_url,
    load_source,
    normalize_origin,
    parse_source,
)
from router.knowledge.sources.numbers import DECIMALS
from router.knowledge.store_errors import StoreWriteFailed
from router.settings import Settings
from router.store_clients import open_redis, open_stores_for_writing
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import JsonOption, print_result
from sluice.cli.views.ingest import format_lost_sources, format_summary

WATCH_TICK_MS = 1000
WATCH_RETRY_SECONDS = 5.0


def ingest(  # noqa: PLR0913 - each is an option
    names: Annotated[
        list[str], typer.Argument(metavar="PATH|URL...", help="Files, folders or web addresses.")
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check only; write nothing.")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take out what these brought in before.")
    ] = False,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Also take out files that a folder no longer has.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --mirror.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and ingest again what changes.")
    ] = False,
    id_column: Annotated[
        str, typer.Option("--id-column", help="Column or field that identifies a row.")
    ] = "",
    date_format: Annotated[
        str, typer.Option("--date-format", help="dmy, mdy, ymd, or such as %d.%m.%Y.")
    ] = "",
    encoding: Annotated[
        str, typer.Option("--encoding", help="Such as cp1252; default: detected.")
    ] = "",
    decimal: Annotated[
        str, typer.Option("--decimal", help="point or comma: the decimal sign in tables.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Put documents, text, JSONL and tables into every store, so that the router can search them.

    A second run writes only what changed, and removes rows and sections that a source no longer
    has. A stopped run goes on where it was. What cannot be used is listed. Formats: docs/ingest.md.

    Exit code: 0 all of it, 1 something was left out, 2 nothing to read, 3 a store does not answer.
    """
    if remove:
        summary = asyncio.run(_remove(names))
        print_result(json, asdict(summary), f"{summary.removed} records removed")
        return
    if decimal and decimal not in DECIMALS:
        raise CliError(f"--decimal {decimal!r}: write point or comma", Exit.USAGE)
    options = ReadOptions(id_column, date_format, encoding, decimal)
    try:
        if watch and not dry_run:
            _watch(names, options, mirror=mirror, yes=yes)
        run = _dry_run if dry_run else partial(_run, mirror=mirror, yes=yes)
        summary = run(names, options)
        summary.unread = count_unread(names)
        print_result(json, asdict(summary), format_summary(summary, dry_run=dry_run))
    except SourceError as error:
        raise CliError(str(error), Exit.USAGE) from error
    except KeyboardInterrupt as error:
        message = "Stopped. The same command goes on where it was."
        raise CliError(message, Exit.INTERRUPTED) from error
    if summary.problems:
        raise typer.Exit(Exit.FAILED)


def _readable(names: list[str]) -> tuple[list[str], list[SourceProblem]]:
    """Return the files and addresses to read, and the files that are skipped."""
    sources = list(find_sources(names))
    if not sources:
        raise SourceError("nothing to read there: no file of a format that is read")
    skipped = [SourceProblem(f.name, f.reason) for f in sources if isinstance(f, SkippedFile)]
    return [name for name in sources if isinstance(name, str)], skipped


def _dry_run(names: list[str], options: ReadOptions) -> IngestionSummary:
    readable, skipped = _readable(names)
    summary = IngestionSummary(problems=skipped)
    for name in readable:
        report = summary.open_report(normalize_origin(name))
        try:
            for item in parse_source(load_source(name, options), options):
                summary.add(report, item)
        except SourceError as error:
            summary.add(report, _problem(name, error))
        summary.written += report.read
    return summary


def _problem(name: str, error: SourceError) -> SourceProblem:
    return SourceProblem(name, str(error).removeprefix(f"{name}: "))


def _run(names: list[str], options: ReadOptions, *, mirror: bool, yes: bool) -> IngestionSummary:
    return asyncio.run(_ingest(names, options, mirror=mirror, yes=yes))


async def _ingest(
    names: list[str], options: ReadOptions, *, mirror: bool = False, yes: bool = True
) -> IngestionSummary:
    readable, skipped = _readable(names)
    async with _open_ingestion(options) as ingestion:
        for problem in skipped:
            ingestion.summary.add_problem(problem)
        with _progress() as progress:
            for name in readable:
                try:
                    source = await asyncio.to_thread(load_source, name, options)
                    await ingestion.ingest_source(source, _progress_callback(progress, name))
                except SourceError as error:
                    # One file that cannot be read does not keep the others out.
                    ingestion.summary.add_problem(_problem(name, error))
            await ingestion.finish()
        if mirror:
            present = [normalize_origin(name) for name in readable]
            await _mirror(ingestion, names, present, yes=yes)
            await ingestion.wait_until_searchable()
        return ingestion.summary


async def _mirror(
    ingestion: Ingestion, names: list[str], present: Sequence[str], *, yes: bool
) -> None:
    """Remove what a folder no longer has, after it was shown."""
    lost_counts: dict[str, int] = {}
    for name in names:
        if not is_url(name):
            lost_counts |= await ingestion.lost_origins(normalize_origin(name), present)
    if not lost_counts:
        return
    typer.echo(format_lost_sources(lost_counts), err=True)
    if not yes and not (sys.stdin.isatty() and typer.confirm("Remove them?", err=True)):
        raise CliError("Nothing was removed: say --yes to remove them.", Exit.USAGE)
    for origin in lost_counts:
        await ingestion.remove_origin(origin)


async def _remove(names: Sequence[str]) -> IngestionSummary:
    async with _open_ingestion(ReadOptions()) as ingestion:
        for name in names:
            await ingestion.remove_origin(normalize_origin(name))
        await ingestion.wait_until_searchable()
        return ingestion.summary


@asynccontextmanager
async def _open_ingestion(options: ReadOptions) -> AsyncIterator[Ingestion]:
    try:
        settings = Settings.from_environment(Context.read().environment)
        stores = await open_stores_for_writing(settings.stores)
    except RouterSettingsError as error:
        raise CliError(f"{error}; or start everything with `sluice up`.", Exit.USAGE) from error
    redis = open_redis(settings.stores.cache_url)
    cache = SemanticCache(redis, settings.environment, CacheLimits())
    embedder = LocalEmbedder(cache_size=0, parallel=len(os.sched_getaffinity(0)))
    ingestion = Ingestion(stores, embedder, cache, options)
    try:
        await ingestion.prepare()
        yield ingestion
    except StoreWriteFailed as error:
        raise CliError(str(error), Exit.UNREACHABLE) from error
    finally:
        await ingestion.stop()
        await stores.close()
        await redis.aclose()


def _watch(names: list[str], options: ReadOptions, *, mirror: bool, yes: bool) -> NoReturn:
    """Ingest at first and whenever a file changes, until the person stops it.

    The watch begins before the first reading, so no change is missed. After an error the same is
    tried again.
    """
    from watchfiles import watch as watch_files  # noqa: PLC0415 - only --watch needs it

    if mirror and not yes:
        raise CliError("--watch cannot ask: say --yes with --mirror", Exit.USAGE)
    paths = [name for name in names if not is_url(name)]
    if not paths:
        raise CliError("--watch needs a file or a folder: web pages are not watched", Exit.USAGE)
    _readable(names)
    is_due, stopped = True, _stop_on_interrupt()
    for changes in watch_files(
        *paths, rust_timeout=WATCH_TICK_MS, yield_on_timeout=True, stop_event=stopped
    ):
        if not (is_due or changes):
            continue
        try:
            summary = _run(names, options, mirror=mirror, yes=True)
            typer.echo(format_summary(summary, dry_run=False))
            is_due = False
        except (SourceError, CliError) as error:
            typer.echo(f"{error} Trying again.", err=True)
            is_due = True
            time.sleep(WATCH_RETRY_SECONDS)
    raise KeyboardInterrupt


def _stop_on_interrupt() -> threading.Event:
    """Return an event that Ctrl-C sets, beside the KeyboardInterrupt that it raises.

    A library that is closing its connections may swallow the interrupt.
    """
    stopped = threading.Event()

    def stop(_number: int, _frame: object) -> NoReturn:
        stopped.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    return stopped


def _progress() -> Progress:
    """Show progress on standard error, and only on a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}: {task.completed} records"))
    console = Console(stderr=True)
    return Progress(*columns, TimeElapsedColumn(), console=console, disable=not sys.stderr.isatty())


def _progress_callback(progress: Progress, name: str) -> Callable[[int], None]:
    task = progress.add_task(name, total=None)

    def advance(records: int) -> None:
        progress.advance(task, records)

    return advance
