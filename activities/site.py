"""The site port on the real thing: router processes, Prometheus, Grafana and the flag store."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import httpx
from redis.asyncio import Redis

from activities.checklist_models import Found
from activities.drill import Drill
from activities.flag_writes import store_errors
from activities.monitoring import Monitoring
from activities.ports import Flags, Metrics
from activities.redis_flags import COMMAND_SECONDS_MAX
from router.flags.address import connect
from router.flags.processes import RouterProcess, live_processes

READY_SECONDS = 5.0
DASHBOARDS = Path(__file__).parent.parent / "ops" / "grafana" / "dashboards"
UP = 'sum(up{job="router"})'
SCRAPED = 'count(up{job="router"})'


@dataclass(frozen=True)
class LiveSite:
    """See ``activities.ports.Site``. Connects at first use."""

    redis: Redis
    http: httpx.AsyncClient
    metrics: Metrics
    monitoring: Monitoring
    _drill: Drill

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], store: Flags, metrics: Metrics
    ) -> Self:
        """Make one from the worker's settings (docs/configuration.md)."""
        url = environment.get("REDIS_URL", "redis://localhost:6379/0")
        redis = connect(
            url, socket_timeout=COMMAND_SECONDS_MAX, socket_connect_timeout=COMMAND_SECONDS_MAX
        )
        http = httpx.AsyncClient(trust_env=False)
        monitoring = Monitoring(
            http=http,
            prometheus_url=environment.get("PROMETHEUS_URL", "http://localhost:9090"),
            dashboards_folder=Path(environment.get("SLUICE_DASHBOARDS", DASHBOARDS)),
            grafana_url=environment.get("GRAFANA_URL", ""),
            grafana_token=environment.get("GRAFANA_TOKEN", ""),
        )
        return cls(redis, http, metrics, monitoring, Drill(store, redis, http))

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()
        await self.redis.aclose()

    async def stores(self, environment: str) -> Found:
        """See ``activities.ports.Site``; each process says so itself (``GET /readyz``)."""
        processes = await self._processes(environment)
        if not processes:
            return Found(passed=False, because="no router process lives: start one")
        wrong = await asyncio.gather(*(self._unready(one) for one in processes))
        bad = [f"{one.id}: {why}" for one, why in zip(processes, wrong, strict=True) if why]
        well = f"every store answers {len(processes)} router processes"
        return Found(passed=not bad, because="; ".join(bad) or well)

    async def targets(self, environment: str) -> Found:
        """See ``activities.ports.Site``."""
        now = datetime.now(UTC)
        ask = self.metrics.query
        up, scraped, processes = await asyncio.gather(
            asyncio.to_thread(ask, UP, now),
            asyncio.to_thread(ask, SCRAPED, now),
            self._processes(environment),
        )
        count = len(processes)
        text = f"Prometheus scrapes {scraped or 0:g} routers, {up or 0:g} up, of {count} that live"
        enough = scraped is not None and scraped >= count > 0
        return Found(passed=enough and up == scraped, because=text)

    async def dashboards(self, titles: tuple[str, ...]) -> Found:
        """See ``activities.ports.Site``."""
        return await self.monitoring.dashboards(titles)

    async def alerts(self, names: tuple[str, ...]) -> Found:
        """See ``activities.ports.Site``."""
        return await self.monitoring.alerts(names)

    async def flags(self, environment: str) -> Found:
        """See ``activities.ports.Site``."""
        return await self._drill.raised(environment)

    async def drill(self, environment: str, seconds_max: float) -> Found:
        """See ``activities.ports.Site``."""
        return await self._drill.rolled_back(environment, seconds_max)

    async def _processes(self, environment: str) -> list[RouterProcess]:
        async with store_errors():
            return await live_processes(self.redis, environment)

    async def _unready(self, process: RouterProcess) -> str:
        try:
            reply = await self.http.get(f"{process.url.rstrip('/')}/readyz", timeout=READY_SECONDS)
            body = reply.json()
        except (httpx.HTTPError, httpx.InvalidURL, json.JSONDecodeError) as error:
            return f"does not answer: {error!r}"
        if not reply.is_success:
            return f"not ready: {body.get('detail', reply.status_code)}"
        bad = {name: state for name, state in body.get("stores", {}).items() if state != "ok"}
        if not body.get("stores"):
            return "names no store"
        return ", ".join(f"{name} is not well: {state}" for name, state in bad.items())
