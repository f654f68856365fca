"""The catalogue of a team's stores: discover, index, check, show, schema."""

import asyncio
import json as jsonlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from redis.exceptions import RedisError
from rich.progress import Progress

from router.backends.resilient_backend import ResilientBackend
from router.catalog.document import dump_catalog, json_schema, load_catalog
from router.catalog.drift import drift
from router.catalog.errors import CatalogError
from router.catalog.model import Catalog
from router.catalog.values import ColumnValues
from router.catalog_search.discovery import discover as discover_stores
from router.catalog_search.postgres_search import open_read_only_pool
from router.catalog_search.question_check import (
    ExpectedQuestion,
    QuestionCheck,
    QuestionChecker,
    load_questions,
)
from router.catalog_search.search import CatalogSearch
from router.catalog_search.stores import open_catalog
from router.catalog_search.value_source import ValueSource
from router.catalog_search.value_store import ValueStore
from router.embedding import LocalEmbedder
from router.errors import RouterSettingsError
from router.intent import IntentClassifier
from router.observability.metrics import RouterMetrics
from router.settings import Settings
from router.store_clients import open_neo4j, open_redis, open_stores
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import JsonOption, print_note, print_result

app = typer.Typer(help="Describe the stores that a router answers from.", no_args_is_help=True)
CatalogOption = Annotated[
    Path | None,
    typer.Option("--catalog", "-c", help="A file or a folder; default: SLUICE_CATALOG."),
]
EXAMPLES = 3


@app.command()
def discover(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the file; default: print it.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read what the stores hold and write it as a catalogue."""
    settings = _settings()
    catalog = asyncio.run(
        discover_stores(settings.stores, lambda store, text: print_note(f"{store}: {text}"))
    )
    if not catalog.kinds:
        raise CliError(
            "No store was read: set POSTGRES_DSN, NEO4J_URI or QDRANT_URL", Exit.UNREACHABLE
        )
    if out is not None:
        out.write_text(dump_catalog(catalog), "utf-8")
    text = f"{out}: {_summary(catalog)}" if out else dump_catalog(catalog)
    print_result(json, catalog.model_dump(mode="json", exclude_defaults=True), text)


@app.command()
def index(catalog: CatalogOption = None, json: JsonOption = False) -> None:
    """Read the values of short texts and keep them in Redis for every router."""
    settings = _settings()
    document = _load(catalog, settings)
    counts, size = asyncio.run(_index(document, settings))
    text = f"{sum(counts.values())} values of {len(counts)} kinds, {size / 1024:.0f} KiB in Redis"
    print_result(json, {"values": counts, "bytes": size}, text)


@app.command()
def check(
    catalog: CatalogOption = None,
    questions: Annotated[
        Path | None,
        typer.Option(help="Ask these too: a question a line, or JSON with `query` and `store`."),
    ] = None,
    tenant: Annotated[str, typer.Option(help="The tenant who asks.")] = "default",
    json: JsonOption = False,
) -> None:
    """Compare the catalogue with the stores and with questions; ends with 1 where they differ."""
    settings = _settings()
    document = _load(catalog, settings)
    expected = _load_questions(questions) if questions else []
    stores = asyncio.run(
        discover_stores(settings.stores, lambda store, text: print_note(f"{store}: {text}"))
    )
    differences = list(drift(document, stores))
    caller = {"tenant": tenant, "user": "cli"}
    checks = _ask_all(document, settings, expected, caller) if expected else []
    lines = [
        *(f"{each.change:<8} {each.place}: {each.message}" for each in differences),
        *map(_question_line, checks),
    ]
    drift_document = [asdict(difference) for difference in differences]
    check_document = {"drift": drift_document, "questions": [asdict(check) for check in checks]}
    print_result(json, check_document, "\n".join(lines) or "the stores are as the file says")
    if differences or any(check.problem for check in checks):
        raise typer.Exit(1)


@app.command()
def show(
    kind: Annotated[str, typer.Argument(help="A kind of the catalogue.")],
    catalog: CatalogOption = None,
    json: JsonOption = False,
) -> None:
    """Print one kind: its columns, what it is linked to, examples."""
    document = _load(catalog, _settings())
    if kind not in document.kinds:
        kind_names = ", ".join(sorted(document.kinds))
        raise CliError(f"No kind {kind!r}; the catalogue has {kind_names}", Exit.USAGE)
    kind_document = document.kinds[kind].model_dump(mode="json", exclude_defaults=True)
    print_result(json, kind_document, "\n".join(_kind_lines(document, kind)))


@app.command()
def schema() -> None:
    """Print the JSON schema of the file, for completion in editors."""
    print(json_schema(), end="")


def _settings() -> Settings:
    try:
        return Settings.from_environment(Context.read().environment)
    except RouterSettingsError as error:
        raise CliError(str(error), Exit.USAGE) from error


def _load(path: Path | None, settings: Settings) -> Catalog:
    file = path or settings.catalog
    if file is None:
        raise CliError("Give --catalog FILE or set SLUICE_CATALOG", Exit.USAGE)
    try:
        return load_catalog(file)
    except CatalogError as error:
        raise CliError(str(error), Exit.USAGE) from error


def _load_questions(path: Path) -> list[ExpectedQuestion]:
    try:
        return load_questions(path)
    except CatalogError as error:
        raise CliError(str(error), Exit.USAGE) from error


def _ask_all(
    catalog: Catalog,
    settings: Settings,
    questions: Sequence[ExpectedQuestion],
    caller: Mapping[str, str],
) -> list[QuestionCheck]:
    try:
        return asyncio.run(_ask(catalog, settings, questions, caller))
    except RouterSettingsError as error:
        raise CliError(str(error), Exit.USAGE) from error


async def _ask(
    catalog: Catalog,
    settings: Settings,
    questions: Sequence[ExpectedQuestion],
    caller: Mapping[str, str],
) -> list[QuestionCheck]:
    """Ask the questions, over values that are read from Redis or the stores first."""
    embedder = LocalEmbedder()
    redis = open_redis(settings.stores.redis_url)
    clients = await open_stores(settings.stores, vectors_required=False)
    opened = await open_catalog(catalog, settings, clients, (embedder, redis))
    metrics, seconds = RouterMetrics(), settings.limits.backend_seconds
    backends = {each.name: ResilientBackend(each, metrics, seconds) for each in opened.backends}
    search = CatalogSearch(opened.reader, backends)
    checker = QuestionChecker(search, embedder, IntentClassifier.load(embedder), caller)
    try:
        await opened.reader.refresh()
        return [await checker.check(question) for question in questions]
    except (RedisError, OSError, TimeoutError) as error:
        raise CliError(f"Values not read: {error}", Exit.UNREACHABLE) from error
    finally:
        await asyncio.gather(opened.close(), clients.close(), redis.aclose())


def _question_line(check: QuestionCheck) -> str:
    sign = "unsure" if check.problem else "ok"
    value = "" if check.value is None else f", value {check.value}"
    read = f"{check.interpretation} [{check.store}, {check.results} results{value}]"
    return f"{sign:<8} {check.query}: {read if check.store else ''} {check.problem}".rstrip()


async def _index(catalog: Catalog, settings: Settings) -> tuple[dict[str, int], int]:
    pool = await open_read_only_pool(settings.stores.postgres_dsn)
    driver = open_neo4j(settings.stores)
    redis = open_redis(settings.stores.redis_url)
    try:
        source = ValueSource(pool, driver, settings.stores.neo4j_database)
        values = await _read_values(source, catalog)
        size = await ValueStore(redis, settings.environment).save(catalog, values)
    except (RedisError, OSError, TimeoutError) as error:
        raise CliError(f"Not indexed: {error}", Exit.UNREACHABLE) from error
    finally:
        await asyncio.gather(pool.close(), driver.close(), redis.aclose())
    return {name: sum(len(c.values) for c in columns) for name, columns in values.items()}, size


async def _read_values(source: ValueSource, catalog: Catalog) -> dict[str, list[ColumnValues]]:
    total = sum(kind.store != "qdrant" for kind in catalog.visible_kinds.values())
    values: dict[str, list[ColumnValues]] = {}
    with Progress(transient=True) as progress:
        task = progress.add_task("reading values", total=total)
        async for name, columns in source.read(catalog):
            values[name] = columns
            progress.advance(task)
    return values


def _summary(catalog: Catalog) -> str:
    unsure = [name for name, kind in catalog.kinds.items() if kind.certainty < 1]
    text = f"{len(catalog.kinds)} kinds, {len(catalog.links)} links"
    return text + (f"; look at {', '.join(sorted(unsure))} first" if unsure else "")


def _kind_lines(catalog: Catalog, name: str) -> Iterator[str]:
    kind = catalog.kinds[name]
    rows = "" if kind.rows is None else f", {kind.rows} rows"
    yield f"{name}: {kind.store} {kind.source}{rows}, {kind.certainty:.0%} sure"
    if kind.description:
        yield f"  {kind.description}"
    for role, columns in (("key", kind.key), ("title", kind.title), ("date", (kind.date,))):
        yield f"  {role:<6} {', '.join(filter(None, columns)) or '-'}"
    for column, facts in kind.columns.items():
        hidden = " (hidden)" if facts.hide else ""
        examples = jsonlib.dumps(list(facts.samples[:EXAMPLES]), ensure_ascii=False)
        yield f"    {column:<24} {facts.type:<12}{hidden} {examples if facts.samples else ''}"
    for link in catalog.links:
        if name in (link.start, link.end):
            yield f"  {link.start} → {link.end}: {link.name}"
