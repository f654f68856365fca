"""Checklists on real servers: router processes that say so themselves, Prometheus, Grafana's answers."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from activities.adapters.environment_probe import LiveEnvironmentProbe
from activities.adapters.prometheus import PrometheusMetrics
from activities.adapters.redis_flags import RedisFlags
from activities.contract.errors import MetricsUnreachableError
from activities.doubles.ledger import MemoryLedger
from sluice.flags import FeatureFlags, FlagReader
from sluice.flags.redis.process_registry import ServiceProcess, heartbeat
from sluice.flags.service.readback import flags_response

pytestmark = pytest.mark.integration
GUIDE_DASHBOARDS = (
    "Query Router Overview",
    "Phase 4 Monitoring",
    "Database Health",
    "Feature Flags",
)


@dataclass
class StubServer:
    """A router process, or a Grafana: answers by path, from a real flag reader where it has one."""

    reader: FlagReader | None = None
    pages: dict[str, tuple[int, Any]] = field(default_factory=dict)
    url: str = ""

    def answer(self, path: str) -> tuple[int, Any]:
        if path == "/flags" and self.reader is not None:
            return 200, flags_response("p1", self.reader)
        return self.pages.get(path.partition("?")[0], (404, {"detail": "nothing here"}))


@contextmanager
def running_stub(neighbour: StubServer) -> Iterator[StubServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = neighbour.answer(self.path)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    neighbour.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield neighbour
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class ProbeSetup:
    probe: LiveEnvironmentProbe
    redis: Redis
    environment: dict[str, str]


@pytest.fixture
async def probe_setup(redis_url: str, prometheus_url: str) -> AsyncIterator[ProbeSetup]:
    environment = {"REDIS_URL": redis_url, "PROMETHEUS_URL": prometheus_url}
    flags, metrics = RedisFlags.from_url(redis_url), PrometheusMetrics(prometheus_url)
    site = LiveEnvironmentProbe.from_environment(environment, flags, metrics, MemoryLedger())
    redis = Redis.from_url(redis_url)
    yield ProbeSetup(site, redis, environment)
    await redis.aclose()
    await site.close()
    await flags.close()
    metrics.close()


@pytest.fixture
async def router(probe_setup: ProbeSetup) -> AsyncIterator[StubServer]:
    """Run a live router process that follows the flags and reports its stores."""
    reader = FlagReader(probe_setup.environment["REDIS_URL"])
    reader.start()
    with running_stub(StubServer(reader)) as server:
        server.pages["/readyz"] = (200, {"status": "ready", "stores": {"graph": "ok"}})
        await heartbeat(probe_setup.redis, "default", ServiceProcess("p1", server.url, 1, 0))
        yield server
    reader.stop()


async def test_a_drill_is_confirmed_by_the_router_process(
    probe_setup: ProbeSetup, router: StubServer
) -> None:
    """Raised, seen, lowered, confirmed, timed, and nothing is left behind."""
    result = await probe_setup.probe.run_rollback_drill("default", 1.0)
    assert result.passed, result.reason
    assert "1 process" in result.reason
    assert (await probe_setup.probe.check_flag_propagation("default")).passed
    assert (await FeatureFlags(probe_setup.redis).document()).flags == {}


async def test_a_drill_without_routers_or_with_a_deaf_one_proves_nothing(
    probe_setup: ProbeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag that nobody read was not rolled back anywhere."""
    monkeypatch.setattr("activities.adapters.rollback_drill.SEEN_SECONDS_MAX", 0.3)
    assert (
        "no process is announced"
        in (await probe_setup.probe.run_rollback_drill("default", 1.0)).reason
    )
    with running_stub(StubServer()) as deaf:
        await heartbeat(probe_setup.redis, "default", ServiceProcess("p1", deaf.url, 1, 0))
        result = await probe_setup.probe.run_rollback_drill("default", 1.0)
    assert not result.passed
    assert "not seen by p1" in result.reason


async def test_a_slow_drill_is_not_done(probe_setup: ProbeSetup, router: StubServer) -> None:
    """The limit is the plan's."""
    result = await probe_setup.probe.run_rollback_drill("default", 0.0)
    assert not result.passed
    assert "the limit is 0 s" in result.reason


async def test_the_stores_check_reports_the_routers_readiness(
    probe_setup: ProbeSetup, router: StubServer
) -> None:
    """One sick store of one process is named; a process that isn't ready says why."""
    assert (await probe_setup.probe.check_stores("default")).passed
    router.pages["/readyz"] = (200, {"stores": {"graph": "ok", "metadata": "timeout"}})
    assert (
        "metadata is not well: timeout" in (await probe_setup.probe.check_stores("default")).reason
    )
    router.pages["/readyz"] = (503, {"detail": "no store answers"})
    result = await probe_setup.probe.check_stores("default")
    assert (result.passed, "not ready: no store answers" in result.reason) == (False, True)


async def test_prometheus_must_scrape_every_router(
    probe_setup: ProbeSetup, router: StubServer
) -> None:
    """A router that nobody measures would pass every gate."""
    result = await probe_setup.probe.check_scrape_targets("default", datetime.now(UTC))
    assert not result.passed
    assert "of job router, 0 up, of 1 live process" in result.reason


async def test_alert_rules_are_loaded_in_the_embedded_prometheus(probe_setup: ProbeSetup) -> None:
    """Production's rules; one that isn't there is named."""
    assert (await probe_setup.probe.check_alert_rules(("ErrorRateSpike", "Complaints"))).passed
    result = await probe_setup.probe.check_alert_rules(("ErrorRateSpike", "NoSuchAlert"))
    assert (result.passed, result.reason) == (False, "NoSuchAlert is not loaded")


async def test_dashboards_are_looked_for_in_grafana_or_its_folder(
    probe_setup: ProbeSetup, tmp_path: Path
) -> None:
    """Grafana's own answer where there is a Grafana; it is never taken for granted."""
    assert (await probe_setup.probe.check_dashboards(GUIDE_DASHBOARDS)).passed
    with running_stub(
        StubServer(pages={"/api/search": (200, [{"title": "Feature Flags"}])})
    ) as grafana:
        site = LiveEnvironmentProbe.from_environment(
            {**probe_setup.environment, "GRAFANA_URL": grafana.url, "GRAFANA_TOKEN": "t"},
            RedisFlags.from_url(probe_setup.environment["REDIS_URL"]),
            probe_setup.probe.metrics,
            MemoryLedger(),
        )
        assert (await site.check_dashboards(("Feature Flags",))).passed
        assert (
            "'Database Health' in Grafana" in (await site.check_dashboards(GUIDE_DASHBOARDS)).reason
        )
        grafana.pages["/api/search"] = (401, {"message": "no"})
        with pytest.raises(MetricsUnreachableError, match="status 401"):
            await site.check_dashboards(GUIDE_DASHBOARDS)
        await site.close()
    (tmp_path / "broken.json").write_text("{}")
    site = LiveEnvironmentProbe.from_environment(
        {**probe_setup.environment, "SLUICE_DASHBOARDS": str(tmp_path)},
        RedisFlags.from_url(probe_setup.environment["REDIS_URL"]),
        probe_setup.probe.metrics,
        MemoryLedger(),
    )
    with pytest.raises(MetricsUnreachableError, match=r"broken\.json is not a dashboard"):
        await site.check_dashboards(GUIDE_DASHBOARDS)
    await site.close()
