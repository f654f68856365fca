"""Real servers for every test: each is started once per session, when a test first asks for it.

Session fixtures share one stack in a temporary folder; ``make_stack`` gives a test a stack of its
own, to break. All are plain (sync) fixtures, so event loops and their scopes don't matter.
"""

import asyncio
import gc
import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
import redis
from hypothesis import settings

from sluice.stack import SERVICE_NAMES, Stack
from sluice.stack.owner_watchdog import watch_owner
from sluice.stack.services import SERVICES
from tests.coverage_gate import register_coverage
from tests.neo4j_server import NoNeo4jError, real_neo4j
from tests.xdist_scheduler import pytest_xdist_make_scheduler

__all__ = ["pytest_xdist_make_scheduler"]

# An example's wall-clock time says how busy the machine is; pytest's own timeout ends what hangs.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

T = TypeVar("T")
StackFactory = Callable[[Sequence[str]], Stack]
ScrapeTargets = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Neo4jSettings:
    """The address of the Bolt graph server; all tests share its one database."""

    uri: str
    user: str
    password: str
    database: str


def run_blocking(work: Callable[[], Awaitable[T]]) -> T:
    """Run async work to its end from sync code, in a thread: a running event loop isn't disturbed."""
    outcome: list[T] = []
    trouble: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(asyncio.run(_as_coroutine(work())))
        except BaseException as error:  # noqa: BLE001  # handed to the waiting thread
            trouble.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if trouble:
        raise trouble[0]
    return outcome[0]


async def _as_coroutine(work: Awaitable[T]) -> T:
    return await work


def clean_environ() -> dict[str, str]:
    """Our environment without addresses of servers: tests start their own."""
    ours = {name for one in SERVICES for name in (one.address_variable, *one.companion_variables)}
    return {name: value for name, value in os.environ.items() if name not in ours}


@pytest.fixture(scope="session")
def stack_guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No server outlives the session, even if pytest is killed."""
    with watch_owner(tmp_path_factory.getbasetemp()):
        yield


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory, stack_guard: None) -> Stack:
    """Give the session's stack; a server starts once ``up`` names it."""
    return Stack(tmp_path_factory.mktemp("stack"), clean_environ())


@pytest.fixture
def make_stack(tmp_path: Path, stack_guard: None) -> Iterator[StackFactory]:
    """Start a private stack of the named services; stopped after the test, whatever it did to it."""
    stacks: list[Stack] = []

    def start_stack(services: Sequence[str] = SERVICE_NAMES) -> Stack:
        stack = Stack(tmp_path / f"stack-{len(stacks)}", clean_environ())
        stacks.append(stack)
        run_blocking(lambda: stack.up(services))
        return stack

    yield start_stack
    for stack in stacks:
        run_blocking(stack.down)


def _address(stack: Stack, service: str, variable: str) -> str:
    return run_blocking(lambda: stack.up([service])).services[service].environment[variable]


@pytest.fixture(scope="session")
def redis_server_url(shared_stack: Stack) -> str:
    """Give the session's Redis, with the data of earlier tests."""
    return _address(shared_stack, "redis", "REDIS_URL")


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """Give the session's Redis, emptied."""
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushall()
    return redis_server_url


@pytest.fixture(scope="session")
def postgres_dsn(shared_stack: Stack) -> str:
    """Give the session's Postgres as its administrator, who may create databases and roles.

    Choose table names of your own, or drop what you create.
    """
    address = urlsplit(_address(shared_stack, "postgres", "POSTGRES_DSN"))
    password = (shared_stack.home / "data/postgres/password").read_text()
    return f"postgresql://sluice:{password}@127.0.0.1:{address.port}/postgres"


@pytest.fixture(scope="session")
def neo4j_settings(shared_stack: Stack) -> Neo4jSettings:
    """Give the session's Bolt graph server: choose labels of your own, or delete what you create."""
    _address(shared_stack, "graph", "NEO4J_URI")
    environment = shared_stack.environment()
    return Neo4jSettings(
        uri=environment["NEO4J_URI"],
        user=environment["NEO4J_USER"],
        password=environment["NEO4J_PASSWORD"],
        database=environment["NEO4J_DATABASE"],
    )


@pytest.fixture(scope="session")
def real_neo4j_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a real Neo4j 5; without one, skip the test and name it in the summary."""
    running = real_neo4j(tmp_path_factory.mktemp("neo4j"))
    try:
        uri = running.__enter__()
    except NoNeo4jError as error:
        pytest.skip(f"{NO_NEO4J}: {error}")
    yield uri
    running.__exit__(None, None, None)


SCREENSHOTS_VARIABLE = "SLUICE_SCREENSHOTS"
NO_NEO4J = "NOT RUN ON A REAL NEO4J"
NO_NODE = "NOT RUN WITH THE JAVASCRIPT PROVIDER"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--coverage-gate", action="store_true", help="measure and limit the coverage")
    parser.addoption("--screenshots", action="store_true", help="write the pictures of docs/images")


def pytest_configure(config: pytest.Config) -> None:
    register_coverage(config)
    if config.getoption("--screenshots"):
        os.environ[SCREENSHOTS_VARIABLE] = str(Path(__file__).parents[1] / "docs" / "images")


def screenshot_folder(otherwise: Path) -> Path:
    """Return docs/images with ``--screenshots``, else a folder that the test throws away."""
    return Path(os.environ.get(SCREENSHOTS_VARIABLE, otherwise))


def pytest_collection_finish() -> None:
    """Freeze the objects of collection, so that garbage collection skips them."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(each.longrepr) for each in terminalreporter.stats.get("skipped", [])]
    for alarm in (NO_NEO4J, NO_NODE):
        reasons = [text.partition(alarm)[2].strip("' :)") for text in skipped if alarm in text]
        if reasons:
            title = f"{len(reasons)} tests were {alarm}: {reasons[0]}"
            terminalreporter.section(title, sep="!", red=True, bold=True)


@pytest.fixture(scope="session")
def qdrant_url(shared_stack: Stack) -> str:
    """Give the session's Qdrant: choose collection names of your own."""
    return _address(shared_stack, "qdrant", "QDRANT_URL")


@pytest.fixture(scope="session")
def temporal_address(shared_stack: Stack) -> str:
    """Give the session's Temporal dev server (real time), namespace ``default``: choose your own ids."""
    return _address(shared_stack, "temporal", "TEMPORAL_ADDRESS")


@pytest.fixture(scope="session")
def prometheus_url(shared_stack: Stack) -> str:
    """Give the session's Prometheus, which scrapes each second."""
    return _address(shared_stack, "prometheus", "PROMETHEUS_URL")


@pytest.fixture
def scrape_targets(shared_stack: Stack, prometheus_url: str) -> Iterator[ScrapeTargets]:
    """Point the session's Prometheus at ``host:port`` addresses as job ``router``; undone after."""
    assert prometheus_url
    yield shared_stack.set_scrape_targets
    shared_stack.set_scrape_targets([])
