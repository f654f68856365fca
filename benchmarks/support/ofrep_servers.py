"""OFREP servers to measure: `sluice flags serve` on a Redis of its own, and running peers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from sluice.flags.server.api_keys import EVALUATE, format_key_line, generate_key


@dataclass(frozen=True)
class OfrepServer:
    """A server that runs, with its process and the key that it requires."""

    name: str
    url: str
    pid: int
    key: str = ""

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


@contextmanager
def sluice_server(redis_url: str, folder: Path) -> Iterator[OfrepServer]:
    """Run `sluice flags serve` with one key."""
    key, path = generate_key(), folder / "keys"
    path.write_text(format_key_line("benchmark", (EVALUATE,), key))
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"REDIS_URL": redis_url, "SLUICE_FLAGS_API_KEYS": str(path)}
    command = [str(Path(sys.executable).with_name("sluice")), "flags", "serve", "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603  ours
        command, env={**os.environ, **settings}, stderr=subprocess.DEVNULL
    )
    server = OfrepServer("Sluice", f"http://127.0.0.1:{port}", process.pid, key)
    try:
        _wait_ready(f"{server.url}/readyz")
        yield server
    finally:
        process.terminate()
        process.wait(15)


def running_peer(text: str) -> OfrepServer:
    """Return the server of `NAME=URL`, which must listen on this machine."""
    name, _, url = text.partition("=")
    port = urlsplit(url).port
    listening = [
        each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN
    ]
    pids = [each.pid for each in listening if each.pid and tuple(each.laddr)[1:] == (port,)]
    if not pids:
        raise SystemExit(f"--peer {text}: nothing listens there; write NAME=http://127.0.0.1:PORT")
    return OfrepServer(name, url.rstrip("/"), pids[0])


def _wait_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"{url} did not answer within a minute")
