"""A port that someone else has taken is one clear line, before a server loads or prints a link."""

import socket
import sys
from collections.abc import Iterator
from typing import cast

import pytest
from temporalio.client import Client

from sluice.cli.errors import Exit
from sluice.cli.main import _run
from sluice.worker.health import serve_health
from sluice.worker.settings import WorkerSettings, WorkerSettingsError
from sluice.worker.telemetry import build_runtime


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("router",), "--port"),
        (("router", "--port", "0"), "--operations-port"),
        (("console",), "--port"),
        (("flags", "serve"), "--port"),
    ],
)
def test_a_taken_port_of_a_command_is_named_with_its_option(
    command: tuple[str, ...],
    option: str,
    taken_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["sluice", *command, option, str(taken_port)])
    assert _run() == Exit.FAILED
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        f"sluice: cannot listen on 127.0.0.1:{taken_port} (Address already in use); "
        f"choose another with {option}\n"
    )


async def test_a_taken_port_of_the_worker_is_named_with_its_variable(taken_port: int) -> None:
    address = f"127.0.0.1:{taken_port}"
    with pytest.raises(WorkerSettingsError, match=rf"HEALTH_ADDRESS='{address}' cannot be served"):
        async with serve_health(address, cast("Client", None), "sluice"):
            pass
    with pytest.raises(WorkerSettingsError, match=rf"METRICS_ADDRESS='{address}' cannot be served"):
        build_runtime(WorkerSettings(metrics_address=address))
