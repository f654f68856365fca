"""Checklists on real servers: router processes that say so themselves, Prometheus, Grafana's answers."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from activities.errors import MetricsUnreachableError
from activities.prometheus import PrometheusMetrics
from activities.redis_flags import RedisFlags
from activities.site import LiveSite
from router.flags import FeatureFlags, FlagReader
from router.flags.processes import RouterProcess, announce, told

pytestmark = pytest.mark.integration
GUIDES = ("Query Router Overview", "Phase 4 Monitoring", "Database Health", "Feature Flags")


@dataclass
class Neighbour:
    """A router process, or a Grafana: answers by path, from a real flag reader where it has one."""

    reader: FlagReader | None = None
    pages: dict[str, tuple[int, Any]] = field(default_factory=dict)
    url: str = ""

    def answer(self, path: str) -> tuple[int, Any]:
        if path == "/flags" and self.reader is not None:
            return 200, told("p1", self.reader)
        return self.pages.get(path.partition("?")[0], (404, {"detail": "nothing here"}))


@contextmanager
def serving(neighbour: Neighbour) -> Iterator[Neighbour]:
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
class Place:
    site: LiveSite
    redis: Redis
    environment: dict[str, str]


@pytest.fixture
async def place(redis_url: str, prometheus_url: str) -> AsyncIterator[Place]:
    environment = {"REDIS_URL": redis_url, "PROMETHEUS_URL": prometheus_url}
    flags, metrics = RedisFlags.from_url(redis_url), PrometheusMetrics(prometheus_url)
    site = LiveSite.from_environment(environment, flags, metrics)
    redis = Redis.from_url(redis_url)
    yield Place(site, redis, environment)
    await redis.aclose()
    await site.close()
    await flags.close()
    metrics.close()


@pytest.fixture
async def router(place: Place) -> AsyncIterator[Neighbour]:
    """A live router process that follows the flags and is asked about its stores."""
    reader = FlagReader(place.environment["REDIS_URL"])
    reader.start()
    with serving(Neighbour(reader)) as one:
        one.pages["/readyz"] = (200, {"status": "ready", "stores": {"graph": "ok"}})
        await announce(place.redis, "default", RouterProcess("p1", one.url, 1, 0))
        yield one
    reader.stop()


async def test_a_drill_is_heard_from_the_process_itself(place: Place, router: Neighbour) -> None:
    """Raised, seen, lowered, confirmed, timed, and nothing is left behind."""
    found = await place.site.drill("default", 1.0)
    assert found.passed, found.because
    assert "1 router processes" in found.because
    assert (await place.site.flags("default")).passed
    assert (await FeatureFlags(place.redis).document()).flags == {}


async def test_a_drill_without_routers_or_with_a_deaf_one_proves_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag that nobody read was not rolled back anywhere."""
    monkeypatch.setattr("activities.drill.SEEN_SECONDS_MAX", 0.3)
    assert "no router process lives" in (await place.site.drill("default", 1.0)).because
    with serving(Neighbour()) as deaf:
        await announce(place.redis, "default", RouterProcess("p1", deaf.url, 1, 0))
        found = await place.site.drill("default", 1.0)
    assert not found.passed
    assert "not seen by p1" in found.because


async def test_a_slow_drill_is_not_done(place: Place, router: Neighbour) -> None:
    """The limit is the plan's."""
    found = await place.site.drill("default", 0.0)
    assert not found.passed
    assert "the limit is 0 s" in found.because


async def test_stores_are_what_the_routers_say(place: Place, router: Neighbour) -> None:
    """One sick store of one process is named; a process that isn't ready says why."""
    assert (await place.site.stores("default")).passed
    router.pages["/readyz"] = (200, {"stores": {"graph": "ok", "metadata": "timeout"}})
    assert "metadata is not well: timeout" in (await place.site.stores("default")).because
    router.pages["/readyz"] = (503, {"detail": "no store answers"})
    found = await place.site.stores("default")
    assert (found.passed, "not ready: no store answers" in found.because) == (False, True)


async def test_prometheus_must_scrape_every_router(place: Place, router: Neighbour) -> None:
    """A router that nobody measures would pass every gate."""
    found = await place.site.targets("default")
    assert not found.passed
    assert "scrapes 0 routers, 0 up, of 1 that live" in found.because


async def test_alert_rules_are_loaded_in_the_embedded_prometheus(place: Place) -> None:
    """Production's rules; one that isn't there is named."""
    assert (await place.site.alerts(("ErrorRateSpike", "Complaints"))).passed
    found = await place.site.alerts(("ErrorRateSpike", "NoSuchAlert"))
    assert (found.passed, found.because) == (False, "NoSuchAlert is not loaded")


async def test_dashboards_are_looked_for_in_grafana_or_its_folder(
    place: Place, tmp_path: Path
) -> None:
    """Grafana's own answer where there is a Grafana; it is never taken for granted."""
    assert (await place.site.dashboards(GUIDES)).passed
    with serving(Neighbour(pages={"/api/search": (200, [{"title": "Feature Flags"}])})) as grafana:
        site = LiveSite.from_environment(
            {**place.environment, "GRAFANA_URL": grafana.url, "GRAFANA_TOKEN": "t"},
            RedisFlags.from_url(place.environment["REDIS_URL"]),
            place.site.metrics,
        )
        assert (await site.dashboards(("Feature Flags",))).passed
        assert "'Database Health' in Grafana" in (await site.dashboards(GUIDES)).because
        grafana.pages["/api/search"] = (401, {"message": "no"})
        with pytest.raises(MetricsUnreachableError, match="status 401"):
            await site.dashboards(GUIDES)
        await site.close()
    (tmp_path / "broken.json").write_text("{}")
    site = LiveSite.from_environment(
        {**place.environment, "SLUICE_DASHBOARDS": str(tmp_path)},
        RedisFlags.from_url(place.environment["REDIS_URL"]),
        place.site.metrics,
    )
    with pytest.raises(MetricsUnreachableError, match=r"broken\.json is no dashboard"):
        await site.dashboards(GUIDES)
    await site.close()
