import json
import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from sluice.stack import ServiceRecord, Stack, StackState, load_environment
from sluice.stack.data_directory import (
    DataDirectory,
    default_home,
    load_or_create_password,
    read_json,
    write_atomically,
)
from sluice.stack.errors import StackBusyError
from sluice.stack.lock import exclusive_lock
from sluice.stack.port_allocator import LOOPBACK, PortAllocator, is_free
from sluice.stack.process import find, identify, launch, stop
from sluice.stack.process_id import ProcessId
from sluice.stack.state import load_state, save_state

UNUSED_PID = 2**22 + 1  # above every pid that Linux gives
SLEEP_PROGRAM = (sys.executable, "-c", "import time; time.sleep(60)")
SIGTERM_IGNORING_PROGRAM = (
    sys.executable,
    "-c",
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)",
)


async def test_a_recycled_pid_is_never_killed() -> None:
    """Our own pid under another start is someone else: it is neither found nor stopped."""
    ours = identify(psutil.Process())
    stranger = ProcessId(ours.pid, ours.start_seconds - 60.0)

    assert find(ours) is not None
    assert find(stranger) is None
    assert await stop(stranger, signal.SIGKILL, grace_seconds=0.1) is False


async def test_a_process_ends_politely_first(tmp_path: Path) -> None:
    identity = launch(SLEEP_PROGRAM, os.environ, tmp_path / "log")
    assert await stop(identity, signal.SIGTERM, grace_seconds=5.0) is True
    assert find(identity) is None
    assert await stop(identity, signal.SIGTERM, grace_seconds=5.0) is False


async def test_a_process_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    identity = launch(SIGTERM_IGNORING_PROGRAM, os.environ, log)
    while not log.read_text().strip():  # until its child runs and the signal is ignored
        assert find(identity) is not None
    child = psutil.Process(int(log.read_text()))

    await stop(identity, signal.SIGTERM, grace_seconds=0.3)

    assert find(identity) is None
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_remembered_port_is_kept_while_free(tmp_path: Path) -> None:
    first = PortAllocator(tmp_path / "ports.json").allocate("redis", ("redis",))
    assert PortAllocator(tmp_path / "ports.json").allocate("redis", ("redis",)) == first


def test_a_lost_port_is_replaced(tmp_path: Path) -> None:
    book = PortAllocator(tmp_path / "ports.json")
    port = book.allocate("redis", ("redis",))["redis"]
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
        assert book.allocate("redis", ("redis",))["redis"] != port


def test_ports_of_one_book_differ(tmp_path: Path) -> None:
    book = PortAllocator(tmp_path / "ports.json")
    names = tuple(f"port{number}" for number in range(50))
    assert len(set(book.allocate("many", names).values())) == 50


def test_state_survives_the_file(tmp_path: Path) -> None:
    home = DataDirectory(tmp_path)
    entry = ServiceRecord(
        "redis", "redis://x", UNUSED_PID, 1.5, "log", environment={"REDIS_URL": "redis://x"}
    )
    save_state(home, StackState().with_record(entry))

    assert load_state(home).services == {"redis": entry}
    assert load_environment(tmp_path) == {"REDIS_URL": "redis://x"}
    assert read_json(home.state_file)["services"]["redis"]["pid"] == UNUSED_PID


def test_the_state_file_is_private(tmp_path: Path) -> None:
    """It holds passwords."""
    write_atomically(tmp_path / "file", "secret")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_no_stack_means_no_addresses(tmp_path: Path) -> None:
    assert load_environment(tmp_path / "nothing") == {}


def test_a_password_is_generated_once(tmp_path: Path) -> None:
    first = load_or_create_password(tmp_path / "password")
    assert len(first) >= 24
    assert load_or_create_password(tmp_path / "password") == first


def test_home_follows_the_variable(tmp_path: Path) -> None:
    assert default_home({}, tmp_path) == tmp_path / ".sluice"
    assert default_home({"SLUICE_HOME": str(tmp_path / "x")}, Path("/elsewhere")) == tmp_path / "x"


async def test_two_commands_at_once_wait_for_each_other(tmp_path: Path) -> None:
    async with exclusive_lock(tmp_path / "lock"):
        with pytest.raises(StackBusyError, match="another sluice command"):
            async with exclusive_lock(tmp_path / "lock", timeout_seconds=0.2):
                pass
    async with exclusive_lock(tmp_path / "lock", timeout_seconds=0.2):
        pass


async def test_a_leftover_record_of_the_dead_is_cleaned(tmp_path: Path) -> None:
    """After a crash or reboot: the pids are gone or other people's; down ends nobody."""
    ours = identify(psutil.Process())
    services = {
        "redis": {"pid": ours.pid, "start_seconds": ours.start_seconds - 60.0, "address": "a"},
        "worker": {"pid": UNUSED_PID, "start_seconds": 1.0, "address": "b"},
    }
    (tmp_path / "stack.json").write_text(json.dumps({"environment": {}, "services": services}))
    stack = Stack(tmp_path, {})

    states = {one.name: one.state for one in await stack.status()}
    assert states["redis"] == "stopped"
    assert states["worker"] == "stopped"
    assert await stack.down() == []
    assert not (tmp_path / "stack.json").exists()
