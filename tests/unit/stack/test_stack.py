import os
import sys
from pathlib import Path

import psutil
import pytest

from sluice.stack import (
    MissingProgramError,
    ServiceFailedError,
    ServiceRecord,
    Stack,
    StackState,
    UnknownServiceError,
    load_environment,
)
from sluice.stack.data_directory import DataDirectory
from sluice.stack.executables import find_executable, package_file
from sluice.stack.services import SERVICE_NAMES, SERVICES_BY_NAME
from sluice.stack.state import save_state


def python_script(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def test_an_address_in_the_environment_replaces_a_server(tmp_path: Path) -> None:
    environ = {"NEO4J_URI": "bolt://db:7687", "NEO4J_USER": "u", "NEO4J_PASSWORD": "p"}
    seen: list[tuple[str, str]] = []
    stack = Stack(tmp_path, environ)

    await stack.up(["graph"], on_progress=lambda name, state, _: seen.append((name, state)))

    assert seen == [("graph", "external")]
    assert stack.environment() == environ
    assert load_environment(tmp_path) == environ
    status = {one.name: one for one in await stack.status()}
    assert status["graph"].state == "external"
    assert status["graph"].address == "bolt://db:7687"
    assert await stack.down() == []


async def test_status_shows_no_password(tmp_path: Path) -> None:
    stack = Stack(tmp_path, {"POSTGRES_DSN": "postgresql://me:hidden@db:5432/x"})
    await stack.up(["postgres"])
    status = {one.name: one for one in await stack.status()}
    assert status["postgres"].address == "postgresql://db:5432/x"


async def test_status_of_nothing_lists_every_service_as_stopped(tmp_path: Path) -> None:
    assert {one.name: one.state for one in await Stack(tmp_path, {}).status()} == dict.fromkeys(
        SERVICE_NAMES, "stopped"
    )


async def test_an_unknown_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownServiceError, match="known: temporal, redis"):
        await Stack(tmp_path, {}).up(["mysql"])


def test_a_missing_program_is_named_with_its_remedy() -> None:
    with pytest.raises(MissingProgramError, match="apt-get install prometheus"):
        find_executable("prometheus-that-is-not-there", "apt-get install prometheus")
    with pytest.raises(MissingProgramError, match="pip install"):
        package_file("no_such_package", "bin/server")


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_every_service_is_replaced_by_a_variable_it_provides(name: str) -> None:
    """A service publishes exactly the variables that can replace it: demo and production agree."""
    service = SERVICES_BY_NAME[name]
    assert service.address_variable not in service.companion_variables
    assert service.address_variable.isupper()


async def test_a_process_that_ends_at_once_is_an_error_with_its_words(tmp_path: Path) -> None:
    stack = Stack(tmp_path, dict(os.environ))
    with pytest.raises(ServiceFailedError, match="no such table"):
        await stack.spawn("worker", python_script("raise SystemExit('no such table')"))
    assert await stack.stop("worker") is False


async def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailedError, match="cannot be started"):
        await Stack(tmp_path, {}).spawn("worker", ("/nonexistent/program",))


async def test_a_spawned_process_is_replaced_not_doubled(tmp_path: Path) -> None:
    stack = Stack(tmp_path, dict(os.environ))
    first = await stack.spawn("worker", python_script("import time; time.sleep(60)"))
    second = await stack.spawn("worker", python_script("import time; time.sleep(60)"))
    try:
        assert first.pid != second.pid
        (worker,) = [one for one in await stack.status() if one.name == "worker"]
        assert (worker.state, worker.pid) == ("running", second.pid)
    finally:
        assert await stack.down() == ["worker"]


async def test_a_spawned_process_gets_our_environment_and_the_addresses(tmp_path: Path) -> None:
    stack = Stack(tmp_path, {**os.environ, "REDIS_URL": "redis://r", "WHO": "parent"})
    await stack.up(["redis"])
    code = "import os, time\nprint(os.environ['REDIS_URL'], os.environ['WHO'], flush=True)\ntime.sleep(60)"
    await stack.spawn("worker", python_script(code), env={"WHO": "worker"})
    await stack.down()
    assert (stack.logs / "worker.log").read_text() == "redis://r worker\n"


async def test_our_own_addresses_make_nothing_external(tmp_path: Path) -> None:
    """The command line fills its environment from stack.json; a dead stack must still come back."""
    entry = ServiceRecord(
        "redis", "redis://old", pid=2**22 + 1, environment={"REDIS_URL": "redis://old"}
    )
    save_state(DataDirectory(tmp_path), StackState().with_record(entry))

    stack = Stack(tmp_path, {**os.environ, "REDIS_URL": "redis://old"})
    state = await stack.up(["redis"])
    try:
        assert state.services["redis"].pid is not None
        assert state.environment["REDIS_URL"] != "redis://old"
    finally:
        assert await stack.down() == ["redis"]


async def test_a_server_of_ours_ends_when_an_external_one_takes_over(tmp_path: Path) -> None:
    pid = (await Stack(tmp_path, dict(os.environ)).up(["redis"])).services["redis"].pid
    assert pid is not None
    stack = Stack(tmp_path, {"REDIS_URL": "redis://elsewhere"})
    await stack.up(["redis"])
    assert not psutil.pid_exists(pid)
    assert stack.environment() == {"REDIS_URL": "redis://elsewhere"}
