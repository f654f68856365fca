"""The commands that query a router: ask, latency, key."""

import asyncio
import json as jsonlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import httpx
import typer

from router.analytics import PhaseLatency, fetch_latency_breakdown
from router.errors import RouterSettingsError
from router.http.api_keys import SCOPES, format_key_line, generate_key
from router.settings import Settings
from router.store_clients import open_postgres
from sluice.cli.clients.flags import open_process_client, redis_connection
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import JsonOption, print_note, print_result
from sluice.flags.redis.process_registry import live_processes

QUERY_TIMEOUT_SECONDS = 30
NOT_A_ROUTER = (404, 405, 501)
"""The answers of other servers to ``POST /query``."""


def ask(
    question: Annotated[str, typer.Argument(help="A question in plain words.")],
    url: Annotated[str, typer.Option(help="A router's URL; default: a live one.")] = "",
    user: Annotated[str, typer.Option(help="The user whose cohort answers.")] = "cli",
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Show the decisions, their reasons and the time of each phase."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Ask the router a question and print the answer's sources.

    SLUICE_API_KEY is sent to routers that require API keys.
    """
    asyncio.run(_ask(question, url, user, explain, json))


async def _ask(question: str, url: str, user: str, explain: bool, json: bool) -> None:
    context = Context.read()
    client = httpx.AsyncClient(trust_env=False) if url else open_process_client(context)
    client.timeout = QUERY_TIMEOUT_SECONDS
    body = {"query": question, "user_id": user, "explain": explain}
    key = context.environment.get("SLUICE_API_KEY")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with client as http:
        urls = [url.rstrip("/")] if url else await _live_urls(context)
        url, reply = await _post_query(http, urls, body, headers)
    try:
        document = reply.json()
    except ValueError as error:
        raise CliError(f"The router at {url} does not answer: {error}", Exit.UNREACHABLE) from error
    if reply.is_error:
        hint = "; set SLUICE_API_KEY" if reply.status_code == httpx.codes.UNAUTHORIZED else ""
        detail = f"{document.get('detail')}{hint}"
        raise CliError(f"The router refused ({reply.status_code}): {detail}")
    lines = [*(explanation_lines(document) if explain else ()), *_result_lines(document)]
    print_result(json, document, "\n".join(lines))


async def _post_query(
    http: httpx.AsyncClient, urls: list[str], body: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[str, httpx.Response]:
    """Ask the first process that is a router; services of other kinds announce themselves too."""
    problems = []
    for url in urls:
        try:
            reply = await http.post(f"{url}/query", json=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problems.append(f"the router at {url} does not answer: {error}")
            continue
        if reply.status_code not in NOT_A_ROUTER:
            return url, reply
        problems.append(f"{url} is not a router: it answers /query with {reply.status_code}")
    raise CliError(f"{'; '.join(problems[:3])}. Start one with `sluice router`.", Exit.UNREACHABLE)


async def _live_urls(context: Context) -> list[str]:
    async with redis_connection(context.redis_url) as redis:
        processes = await live_processes(redis, context.environment_name)
    if not processes:
        raise CliError("No router runs. Start one with `sluice router`.", Exit.UNREACHABLE)
    return [process.url.rstrip("/") for process in processes]


def _result_lines(document: Mapping[str, Any]) -> Iterator[str]:
    head = f"{document['intent']} ({document['confidence']:.0%})"
    head += f" from {', '.join(document['backends']) or 'no store'}"
    yield f"{head}, {document['latency_ms']:.0f} ms" + (", cached" if document["cached"] else "")
    for part, reason in document["failures"].items():
        yield f"degraded: without {part}: {reason}"
    if document["interpretation"]:
        yield f"understood: {document['interpretation']}"
    if document["value"] is not None:
        yield f"value: {document['value']}"
    if document["left_out"]:
        yield f"need not meet: {'; '.join(document['left_out'])}"
    for place, result in enumerate(document["results"], 1):
        yield f"{place}. {result['title']}  [{result['source']}]"
        yield f"   {result['text'][:300]}"
    if not document["results"]:
        yield "no results"


def explanation_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what ``--explain`` shows of a router's answer."""
    notes = document["explanation"]
    rows = {
        "intent": f"{document['intent']}, {document['confidence']:.0%} sure, decided by {document['tier']}",
        "cohort": document["cohort"],
        "cache": f"hit ({notes['cache']})" if document["cached"] else "miss",
        "complexity": _complexity_text(document["complexity"], notes.get("complexity", [])),
        "choice": _choice_text(notes.get("choice")),
        "rewrite": _rewrite_text(notes.get("rewrite")),
        "graph": _pairs_text(notes.get("graph")),
        "postgres": _pairs_text((notes.get("postgres") or {}).get("filter")),
        "matches": "; ".join((notes.get("question") or {}).get("matches", [])),
        "form": _form_text(notes.get("question")),
        "store": _pairs_text(notes.get("store")),
        "sql": (notes.get("postgres") or {}).get("sql", ""),
        "corrected": "; ".join(document["corrections"]),
        "time": ", ".join(f"{name} {ms:.1f} ms" for name, ms in document["phases_ms"].items()),
        "trace": document["trace_id"],
    }
    for name, text in rows.items():
        if text:
            yield f"{name:<11} {text}"
    yield ""


def _complexity_text(level: str, reasons: list[str]) -> str:
    return level + (f": {', '.join(reasons)}" if reasons else "")


def _choice_text(choice: Mapping[str, Any] | None) -> str:
    if not choice:
        return ""
    arms = " and ".join(choice["arms"])
    reason = f"the intent's default is {choice['default_of_intent']}; by {choice['by']}"
    scores = ", ".join(f"{arm} {score:.2f}" for arm, score in choice["scores"].items())
    return f"{arms} ({reason}; {f'scores {scores}; ' if scores else ''}propensity {choice['propensity']:g})"


def _rewrite_text(rewrite: Mapping[str, Any] | None) -> str:
    if not rewrite:
        return ""
    parts = rewrite["parts"]
    text = " | ".join(parts) if len(parts) > 1 else rewrite["text"]
    return f"{text} (by {rewrite['by']})"


def _form_text(question: Mapping[str, Any] | None) -> str:
    return jsonlib.dumps(question["form"], ensure_ascii=False) if question else ""


def _pairs_text(values: Mapping[str, Any] | None) -> str:
    texts = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in (values or {}).items()
    }
    return "; ".join(f"{name} {value}" for name, value in texts.items() if value not in ("", None))


def latency(
    hours: Annotated[float, typer.Option(help="How far back.", min=0.01)] = 24.0,
    cohort: Annotated[str | None, typer.Option(help="control or treatment; default: both.")] = None,
    json: JsonOption = False,
) -> None:
    """Show where the time of recent queries went, phase by phase, from the decision log."""

    async def run() -> dict[str, PhaseLatency]:
        try:
            settings = Settings.from_environment(Context.read().environment)
            pool = await open_postgres(settings.stores)
        except RouterSettingsError as error:
            raise CliError(str(error), Exit.USAGE) from error
        try:
            return await fetch_latency_breakdown(
                pool, settings.environment, seconds=hours * 3600, cohort=cohort
            )
        except asyncpg.UndefinedTableError:
            return {}
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            message = f"Postgres does not answer: {error}. Set POSTGRES_DSN, or `sluice up`."
            raise CliError(message, Exit.UNREACHABLE) from error
        finally:
            await pool.close()

    latencies = asyncio.run(run())
    print_result(
        json, {name: asdict(row) for name, row in latencies.items()}, _latency_table(latencies)
    )


def _latency_table(latencies: Mapping[str, PhaseLatency]) -> str:
    if not latencies:
        return "no query was logged in that time"
    head = f"{'phase':<18} {'queries':>8} {'mean ms':>9} {'P50':>9} {'P90':>9} {'P99':>9}"
    rows = (
        f"{name:<18} {row.queries:>8} {row.mean_ms:>9.2f} {row.p50_ms:>9.2f} "
        f"{row.p90_ms:>9.2f} {row.p99_ms:>9.2f}"
        for name, row in latencies.items()
    )
    return "\n".join([head, *rows])


def key(
    tenant: Annotated[str, typer.Argument(help="Whose key: letters, digits, . _ -")],
    scope: Annotated[
        list[str] | None, typer.Option(help="query or feedback; may be repeated; default: both.")
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day on which the key is valid, in UTC."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make an API key; its line goes into the file that SLUICE_API_KEYS names.

    The key is shown once; the file holds only its hash. Routers read the file again within
    seconds; to withdraw a key, remove its line.
    """
    secret = generate_key()
    try:
        line = format_key_line(
            tenant, tuple(scope or SCOPES), secret, expires.date() if expires else None
        )
    except RouterSettingsError as error:
        raise CliError(str(error), Exit.USAGE) from error
    if not json:
        print_note(f"give this to {tenant}, it is not shown again: {secret}")
    print_result(json, {"tenant": tenant, "key": secret, "line": line}, line)
