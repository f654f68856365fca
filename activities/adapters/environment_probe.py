"""The environment probe on router processes, Prometheus, Grafana and the flag store."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import httpx
from redis.asyncio import Redis

from activities.adapters.monitoring_probe import MonitoringProbe
from activities.adapters.prometheus_credentials import PrometheusCredentials
from activities.adapters.redis_flags import COMMAND_SECONDS_MAX
from activities.adapters.related_rollouts import RelatedRollouts
from activities.adapters.rollback_drill import RollbackDrill, no_process_message
from activities.adapters.stored_flags import store_errors
from activities.contract.models import ProbeResult
from activities.contract.ports import Flags, Ledger, MetricsProvider
from sluice.flags.redis.process_client import process_client
from sluice.flags.redis.process_registry import ServiceProcess, live_processes
from sluice.flags.redis.urls import connect
from sluice.installation import data_file
from sluice.rollout.units import format_count

READINESS_SECONDS_MAX = 5.0
DASHBOARDS_FOLDER = "ops/grafana/dashboards"
ROUTER_JOBS = ("router",)
TOO_FEW_TARGETS = "`names` must list the jobs of all services of this environment"


@dataclass(frozen=True)
class LiveEnvironmentProbe:
    """See ``activities.contract.ports.EnvironmentProbe``. Connects at first use."""

    redis: Redis
    http: httpx.AsyncClient
    metrics: MetricsProvider
    monitoring: MonitoringProbe
    _drill: RollbackDrill
    _related: RelatedRollouts

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], store: Flags, metrics: MetricsProvider, ledger: Ledger
    ) -> Self:
        """Make one from the worker's settings (docs/configuration.md)."""
        url = environment.get("REDIS_URL", "redis://localhost:6379/0")
        redis = connect(
            url, socket_timeout=COMMAND_SECONDS_MAX, socket_connect_timeout=COMMAND_SECONDS_MAX
        )
        http = process_client(environment)
        credentials = PrometheusCredentials.from_environment(environment)
        monitoring = MonitoringProbe(
            http=httpx.AsyncClient(trust_env=False),
            prometheus_http=httpx.AsyncClient(
                headers=credentials.headers, verify=credentials.ssl_context(), trust_env=False
            ),
            prometheus_url=environment.get("PROMETHEUS_URL", "http://localhost:9090"),
            dashboards_folder=Path(
                environment.get("SLUICE_DASHBOARDS") or data_file(DASHBOARDS_FOLDER)
            ),
            grafana_url=environment.get("GRAFANA_URL", ""),
            grafana_token=environment.get("GRAFANA_TOKEN", ""),
        )
        related = RelatedRollouts(store, ledger)
        return cls(redis, http, metrics, monitoring, RollbackDrill(store, redis), related)

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()
        await self.monitoring.http.aclose()
        await self.monitoring.prometheus_http.aclose()
        await self.redis.aclose()

    async def check_stores(self, environment: str) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``; each process reports it (``GET /readyz``)."""
        processes = await self._live_processes(environment)
        if not processes:
            return ProbeResult(passed=False, reason=no_process_message(environment))
        problems = await asyncio.gather(
            *(self._readiness_problem(process) for process in processes)
        )
        failures = [
            f"{process.id}: {problem}"
            for process, problem in zip(processes, problems, strict=True)
            if problem
        ]
        success = f"every store answers {format_count(len(processes), 'process')}"
        return ProbeResult(passed=not failures, reason="; ".join(failures) or success)

    async def check_scrape_targets(
        self, environment: str, at: datetime, jobs: tuple[str, ...] = ()
    ) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        targets = _up_selector(jobs or ROUTER_JOBS)
        up, scraped, processes = await asyncio.gather(
            asyncio.to_thread(self.metrics.query, f"sum({targets})", at),
            asyncio.to_thread(self.metrics.query, f"count({targets})", at),
            self._live_processes(environment),
        )
        count = len(processes)
        if not count:
            return ProbeResult(passed=False, reason=no_process_message(environment))
        names = ", ".join(jobs or ROUTER_JOBS)
        text = (
            f"Prometheus scrapes {format_count(round(scraped or 0), 'target')} of job {names}, "
            f"{up or 0:g} up, of {format_count(count, 'live process')}"
        )
        is_complete = scraped is not None and scraped >= count > 0
        advice = "" if is_complete else f"; {TOO_FEW_TARGETS}"
        return ProbeResult(passed=is_complete and up == scraped, reason=text + advice)

    async def check_dashboards(self, titles: tuple[str, ...]) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return await self.monitoring.check_dashboards(titles)

    async def check_alert_rules(self, names: tuple[str, ...]) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return await self.monitoring.check_alert_rules(names)

    async def check_flag_propagation(self, environment: str) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return await self._drill.check_propagation(environment)

    async def check_excluded_flags(self, environment: str, flags: tuple[str, ...]) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return await self._related.check_excluded(environment, flags)

    async def check_required_rollouts(self, environment: str, keys: tuple[str, ...]) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return await self._related.check_required(environment, keys)

    async def run_rollback_drill(self, environment: str, seconds_max: float) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return await self._drill.run(environment, seconds_max)

    async def _live_processes(self, environment: str) -> list[ServiceProcess]:
        async with store_errors():
            return await live_processes(self.redis, environment)

    async def _readiness_problem(self, process: ServiceProcess) -> str:
        try:
            reply = await self.http.get(
                f"{process.url.rstrip('/')}/readyz", timeout=READINESS_SECONDS_MAX
            )
            body = reply.json()
        except (httpx.HTTPError, httpx.InvalidURL, json.JSONDecodeError) as error:
            return f"does not answer: {error!r}"
        if not reply.is_success:
            return f"not ready: {body.get('detail', reply.status_code)}"
        unhealthy_stores = {
            name: state for name, state in body.get("stores", {}).items() if state != "ok"
        }
        if not body.get("stores"):
            return "names no store"
        return ", ".join(f"{name} is not well: {state}" for name, state in unhealthy_stores.items())


def _up_selector(jobs: tuple[str, ...]) -> str:
    """Return the selector of the jobs' ``up``; job names are text, not expressions."""
    pattern = "|".join(re.escape(job) for job in jobs).replace("\\", "\\\\").replace('"', '\\"')
    return f'up{{job=~"{pattern}"}}'
