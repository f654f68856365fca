"""Checks of Redis, the announced processes, Postgres and Prometheus."""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import cast

import httpx
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.errors import EffectError
from sluice.cli.clients.flags import connect_redis, open_process_client
from sluice.cli.clients.plan_queries import ask_each_query
from sluice.cli.clients.prometheus import PrometheusUnreachableError, ask_prometheus
from sluice.cli.context import Context
from sluice.cli.doctor.finding import BAD, GOOD, WARN, DoctorFinding
from sluice.cli.errors import CliError
from sluice.flags import FlagStoreError
from sluice.flags.keys import FlagKeys
from sluice.flags.redis.process_registry import live_processes
from sluice.flags.redis.reader import LEASE_SECONDS
from sluice.flags.redis.store import COMMIT_SCRIPT
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.yaml_document import read_text, with_lines
from workflows.models import workflow_id

NOT_ANNOUNCED = (
    "none is announced; start `sluice router`, `sluice flags serve`, or a service with "
    "SluiceMiddleware or announce() (docs/flags.md)"
)
NOT_SCRAPED = (
    "answers, but no target is up: without a job for your service every gate lacks data. Routers that "
    "you start with `sluice router` here are scraped; for others see docs/your-service.md"
)
MEMORY_SHARE_MAX = 0.9


async def check_redis(context: Context) -> list[DoctorFinding]:
    try:
        redis = connect_redis(context.redis_url)
    except CliError as error:
        return [DoctorFinding("redis", BAD, f"{error}.")]
    try:
        await redis.ping()
        findings = await redis_health(redis, FlagKeys(context.environment_name))
        processes = await live_processes(redis, context.environment_name)
    except (RedisError, FlagStoreError) as error:
        problem = str(error).rstrip(".")
        return [DoctorFinding("redis", BAD, f"{problem}. Set REDIS_URL, or `sluice up`.")]
    finally:
        await redis.aclose()
    if not processes:
        return [
            *findings,
            DoctorFinding("processes", "warn", NOT_ANNOUNCED),
        ]
    async with open_process_client(context) as http:
        return findings + list(
            await asyncio.gather(*(_check_process(http, p.url) for p in processes))
        )


async def redis_health(redis: Redis, keys: FlagKeys) -> list[DoctorFinding]:
    """Return findings about writes, time and memory; a Redis that only answers reads can't roll back.

    The write is the script of every flag write, based on a document that no store has.
    """
    began = time.monotonic()
    names = (keys.document, keys.watermark, keys.audit)
    try:
        await cast("Awaitable[object]", redis.eval(COMMIT_SCRIPT, len(names), *names, "no version"))
    except ResponseError as error:
        text = f"answers, but refuses writes ({error}): no kill and no rollback can land"
        return [DoctorFinding("redis", BAD, text)]
    if (seconds := time.monotonic() - began) > LEASE_SECONDS / 2:
        text = (
            f"takes writes, but answers after {seconds:.1f} s: a process for which it does cannot renew "
            f"its lease of {LEASE_SECONDS:g} s, and treats nobody unless on_stale is hold"
        )
        return [DoctorFinding("redis", WARN, text)]
    memory = await redis.info("memory")
    used, memory_max = int(memory["used_memory"]), int(memory["maxmemory"])
    if memory_max and used >= MEMORY_SHARE_MAX * memory_max:
        policy = memory["maxmemory_policy"]
        text = f"uses {used / memory_max:.0%} of maxmemory ({policy}); raise it, or give the cache its own"
        return [DoctorFinding("redis", "warn", f"answers and takes writes, but {text}")]
    return [DoctorFinding("redis", GOOD, "answers and takes writes")]


async def _check_process(http: httpx.AsyncClient, url: str) -> DoctorFinding:
    try:
        reply = await http.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return DoctorFinding("process", BAD, f"{url} does not answer: {error!r}")
    state = GOOD if reply.is_success else BAD
    return DoctorFinding(
        "process", state, f"{url} {'is ready' if reply.is_success else reply.text}"
    )


async def check_plan_queries(context: Context, path: Path | None) -> list[DoctorFinding]:
    """Return a finding for each query of the plan that Prometheus can't answer."""
    if path is None:
        return []
    try:
        report = await ask_each_query(context, load_plan(path))
    except (PlanError, CliError, PrometheusUnreachableError) as error:
        return [DoctorFinding("plan", BAD, f"{path}: {error}")]
    text = read_text(path)
    findings = [
        DoctorFinding("plan", level, f"{path}: {diagnostic}")
        for level, problems in ((BAD, report.errors), (WARN, report.missing))
        for diagnostic in with_lines(text, problems)
    ]
    return findings or [DoctorFinding("plan", GOOD, "Prometheus answers each of its queries")]


async def check_postgres(context: Context) -> list[DoctorFinding]:
    ledger = PostgresLedger(context.ledger_dsn)
    try:
        last = await ledger.latest_rollout_id(workflow_id(""))
    except EffectError as error:
        return [DoctorFinding("postgres", BAD, f"{error}. Set POSTGRES_DSN, or `sluice up`.")]
    finally:
        await ledger.close()
    return [
        DoctorFinding("postgres", GOOD, f"the ledger answers; last rollout: {last or 'none yet'}")
    ]


async def check_prometheus(context: Context) -> list[DoctorFinding]:
    try:
        result = await ask_prometheus(context, "count(up == 1)")
    except (CliError, PrometheusUnreachableError) as error:
        return [DoctorFinding("prometheus", BAD, f"{error}. Set PROMETHEUS_URL, or `sluice up`.")]
    if not result:
        return [DoctorFinding("prometheus", "warn", NOT_SCRAPED)]
    return [
        DoctorFinding("prometheus", GOOD, f"answers; {result[0]['value'][1]} of its targets are up")
    ]
