"""The guide's four examples run as they are printed, each as a program on the real servers."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from prometheus_client import start_http_server

from router.embedding import LocalEmbedder
from router.knowledge.record_writer import ingest_records
from router.knowledge.records import Link, Record
from router.observability.metrics import RouterMetrics
from router.settings import Settings
from router.store_clients import open_stores

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCRAPE_WAIT_SECONDS_MAX = 20
ExampleRun = subprocess.CompletedProcess[str]
ScrapeTargets = Callable[[Sequence[str]], None]
GUIDE = ("router_config_phase3", "feature_flag_setup", "online_learning_setup", "monitoring_setup")


class GraphServer(Protocol):
    uri: str
    user: str
    password: str
    database: str


def run_example(example: str, addresses: dict[str, str]) -> ExampleRun:
    return subprocess.run(  # noqa: S603  # our own examples
        [sys.executable, "-W", "error", ROOT / "examples" / f"{example}.py"],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **addresses},
        cwd=ROOT / "tests",  # no .sluice here: only these addresses count
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


RECORDS = (
    Record("TRK-7", "truck", "Truck TRK-7", "Truck TRK-7 is two hours late today.", "trucks/TRK-7"),
    Record(
        "DRV-1",
        "driver",
        "Driver Ana Keller",
        "Ana Keller drives the night tour to Basel.",
        "drivers/DRV-1",
        links=(Link("DRIVES", "TRK-7"),),
    ),
)


@pytest.fixture
def stores(
    redis_url: str, postgres_dsn: str, neo4j_settings: GraphServer, qdrant_url: str
) -> dict[str, str]:
    """Give the addresses of filled stores: a router of empty ones cannot answer."""
    addresses = {
        "REDIS_URL": redis_url,
        "POSTGRES_DSN": postgres_dsn,
        "NEO4J_URI": neo4j_settings.uri,
        "NEO4J_USER": neo4j_settings.user,
        "NEO4J_PASSWORD": neo4j_settings.password,
        "NEO4J_DATABASE": neo4j_settings.database,
        "QDRANT_URL": qdrant_url,
    }
    asyncio.run(ingest_examples(Settings.from_environment(addresses)))
    return addresses


async def ingest_examples(settings: Settings) -> None:
    stores = await open_stores(settings.stores)
    try:
        await ingest_records(RECORDS, stores, LocalEmbedder())
    finally:
        await stores.close()


def test_the_examples_are_the_guides() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(GUIDE)


@pytest.mark.parametrize(
    ("example", "says"),
    [
        ("router_config_phase3", "cohort: control"),
        ("feature_flag_setup", "Total flags: 0"),
        ("online_learning_setup", "At 0 % user_alice is in control"),
    ],
)
def test_example_sets_the_router_up(example: str, says: str, stores: dict[str, str]) -> None:
    done = run_example(example, stores)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout


def run_monitoring_until(url: str, until: Callable[[ExampleRun], bool]) -> ExampleRun:
    """Run the example until Prometheus has caught up; the last run's outcome in any case."""
    deadline = time.monotonic() + SCRAPE_WAIT_SECONDS_MAX
    while not until(done := run_example("monitoring_setup", {"PROMETHEUS_URL": url})):
        if time.monotonic() > deadline:
            break
    return done


def test_monitoring_shows_what_a_router_serves(
    prometheus_url: str, scrape_targets: ScrapeTargets
) -> None:
    """A process with the router's registry, really scraped."""
    server, thread = start_http_server(0, "127.0.0.1", registry=RouterMetrics().registry)
    try:
        scrape_targets([f"127.0.0.1:{server.server_port}"])
        done = run_monitoring_until(
            prometheus_url, lambda done: "Feedback count   0.000" in done.stdout
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert "Feedback count   0.000" in done.stdout
    assert "no data yet: Query Router Overview: Routers up" not in done.stdout


def test_monitoring_says_that_no_router_is_scraped(prometheus_url: str) -> None:
    done = run_monitoring_until(prometheus_url, lambda done: done.returncode == 1)
    assert done.returncode == 1
    assert "scrapes no router" in done.stderr
