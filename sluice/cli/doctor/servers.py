"""Checks of Redis, the routers, Postgres and Prometheus."""

import asyncio

import httpx
from redis.exceptions import RedisError

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.errors import EffectError
from sluice.cli.clients.flags import connect_redis
from sluice.cli.context import Context
from sluice.cli.doctor.finding import BAD, GOOD, DoctorFinding
from sluice.cli.errors import CliError
from sluice.flags import FlagStoreError
from sluice.flags.redis.process_registry import live_processes
from workflows.models import workflow_id

NOT_SCRAPED = (
    "answers, but does not scrape a router: without a job `router` every gate lacks data. Routers that "
    "you start with `sluice router` here are scraped; for others see ops/prometheus/prometheus.yml"
)


async def check_redis(context: Context) -> list[DoctorFinding]:
    try:
        redis = connect_redis(context.redis_url)
    except CliError as error:
        return [DoctorFinding("redis", BAD, f"{error}.")]
    try:
        await redis.ping()
        processes = await live_processes(redis, context.environment_name)
    except (RedisError, FlagStoreError) as error:
        why = str(error).rstrip(".")
        return [DoctorFinding("redis", BAD, f"{why}. Set REDIS_URL, or `sluice up`.")]
    finally:
        await redis.aclose()
    findings = [DoctorFinding("redis", GOOD, "answers")]
    if not processes:
        return [
            *findings,
            DoctorFinding("routers", "warn", "none is running; start one with `sluice router`"),
        ]
    async with httpx.AsyncClient(timeout=3, trust_env=False) as http:
        return findings + list(
            await asyncio.gather(*(_check_router(http, p.url) for p in processes))
        )


async def _check_router(http: httpx.AsyncClient, url: str) -> DoctorFinding:
    try:
        reply = await http.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return DoctorFinding("router", BAD, f"{url} does not answer: {error!r}")
    state = GOOD if reply.is_success else BAD
    return DoctorFinding("router", state, f"{url} {'is ready' if reply.is_success else reply.text}")


async def check_postgres(context: Context) -> list[DoctorFinding]:
    ledger = PostgresLedger(context.postgres_dsn)
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
    url = f"{context.prometheus_url}/api/v1/query"
    try:
        credentials = context.prometheus_credentials()
        async with httpx.AsyncClient(
            timeout=5,
            headers=credentials.headers,
            verify=credentials.ssl_context(),
            trust_env=False,
        ) as http:
            reply = await http.get(url, params={"query": 'count(up{job="router"} == 1)'})
            reply.raise_for_status()
            result = reply.json()["data"]["result"]
    except (CliError, httpx.HTTPError, ValueError, KeyError) as error:
        return [DoctorFinding("prometheus", BAD, f"{error!r}. Set PROMETHEUS_URL, or `sluice up`.")]
    if not result:
        return [DoctorFinding("prometheus", "warn", NOT_SCRAPED)]
    return [
        DoctorFinding("prometheus", GOOD, f"answers, and scrapes {result[0]['value'][1]} routers")
    ]
