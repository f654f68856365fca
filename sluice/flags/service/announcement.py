"""Announce this process, and answer `GET /flags` and `/readyz` for it: a rollback is read back there.

A process answers on a port of its own, in a thread of its own: several workers behind one port,
and a worker whose event loop is busy, are then read back like any other.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from contextlib import closing, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from redis import Redis
from redis.exceptions import RedisError

from sluice.flags.errors import InvalidFlagError
from sluice.flags.keys import FlagKeys
from sluice.flags.redis.process_registry import (
    HEARTBEAT_SECONDS,
    ServiceProcess,
    registry_entry,
)
from sluice.flags.redis.reader import FlagReader
from sluice.flags.service.advertised_address import advertised_url, split_address
from sluice.flags.service.readback import flags_response

LISTEN_VARIABLE = "SLUICE_READBACK_ADDRESS"
ADVERTISED_VARIABLE = "SLUICE_ADVERTISED_ADDRESS"
LISTEN_ADDRESS = "127.0.0.1:0"
REQUEST_SECONDS_MAX = 1.0
STOP_SECONDS = 2.0
logger = logging.getLogger(__name__)


def announce(reader: FlagReader, listen: str = "", advertised: str = "") -> Announcement:
    """Register this process and serve its flags until `close`; restarts by itself after a fork.

    `listen` is the `host:port` to bind (port 0: any free one); default `SLUICE_READBACK_ADDRESS`,
    else `127.0.0.1:0`. `advertised` is the `host` or `host:port` that the worker connects to;
    default `SLUICE_ADVERTISED_ADDRESS`, else what `listen` says.

    Raises:
        InvalidFlagError: `listen` is not `host:port`, or the port is taken.
    """
    announcement = Announcement(
        reader,
        listen or os.environ.get(LISTEN_VARIABLE) or LISTEN_ADDRESS,
        advertised or os.environ.get(ADVERTISED_VARIABLE, ""),
    )
    announcement.start()
    return announcement


class Announcement:
    """One process in the registry: a heartbeat each second, and a server for the read-back."""

    def __init__(self, reader: FlagReader, listen: str, advertised: str) -> None:
        self._reader = reader
        self._listen = split_address(listen)
        self._advertised = advertised
        self._stopping = threading.Event()
        self.process: ServiceProcess

    def start(self) -> None:
        """Bind the port, then register in the background. Raises InvalidFlagError."""
        self._stopping = threading.Event()
        self._server = self._bind()
        port = self._server.server_address[1]
        url = advertised_url(self._advertised, self._listen[0], port)
        self.process = ServiceProcess.this_process(url)
        self._threads = (
            threading.Thread(target=self._server.serve_forever, name="readback", daemon=True),
            threading.Thread(target=self._send_heartbeats, name="heartbeat", daemon=True),
        )
        for thread in self._threads:
            thread.start()
        _announcements.add(self)

    def close(self) -> None:
        """Leave the registry and stop answering; does nothing the second time."""
        if self._stopping.is_set():
            return
        _announcements.discard(self)
        self._stopping.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        self._server.server_close()

    def restart_after_fork(self) -> None:
        """Give the child a process id, a port and threads of its own."""
        self._server.socket.close()
        try:
            self.start()
        except InvalidFlagError as error:  # the parent keeps a fixed port
            logger.warning("this process is not announced after a fork: %s", error)

    def _bind(self) -> ReadbackServer:
        try:
            return ReadbackServer(self._listen, _ReadbackHandler, self)
        except OSError as error:
            host, port = self._listen
            raise InvalidFlagError(
                f"cannot listen on {host}:{port} for the read-back ({error.strerror}); "
                f"set {LISTEN_VARIABLE} to a free address, or to port 0"
            ) from None

    def answer(self, path: str) -> tuple[int, bytes]:
        """Return status and JSON body of `GET /flags` and `GET /readyz`; 404 for any other path."""
        if path == "/flags":
            return 200, json.dumps(flags_response(self.process.id, self._reader)).encode()
        if path == "/readyz":
            state = "stale" if self._reader.stale else "ok"
            return 503 if self._reader.stale else 200, json.dumps(
                {"stores": {"flags": state}}
            ).encode()
        return 404, b"{}"

    def _send_heartbeats(self) -> None:
        stopping, is_registered = self._stopping, True
        with closing(self._reader.connect()) as redis:
            while not stopping.is_set():
                error = self._send_heartbeat(redis)
                if error and is_registered:
                    logger.warning("the heartbeat of %s failed: %s", self.process.id, error)
                is_registered = not error
                stopping.wait(HEARTBEAT_SECONDS)
            with suppress(RedisError, OSError):
                redis.hdel(self._processes_key, self.process.id)

    def _send_heartbeat(self, redis: Redis) -> str:
        try:
            seconds, micros = redis.time()
            entry = registry_entry(
                replace(self.process, pid=os.getpid()), int(seconds) + int(micros) / 1e6
            )
            redis.hset(self._processes_key, self.process.id, entry)
        except (RedisError, OSError) as error:
            return repr(error)
        return ""

    @property
    def _processes_key(self) -> str:
        return FlagKeys(self._reader.environment).processes


class ReadbackServer(ThreadingHTTPServer):
    """An HTTP server whose handlers know their announcement."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        announcement: Announcement,
    ) -> None:
        self.announcement = announcement
        super().__init__(address, handler)


class _ReadbackHandler(BaseHTTPRequestHandler):
    """Answers what the announcement answers."""

    server: ReadbackServer
    timeout = REQUEST_SECONDS_MAX

    def do_GET(self) -> None:
        status, body = self.server.announcement.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: a worker asks often."""


_announcements: set[Announcement] = set()


def _restart_all() -> None:
    for announcement in tuple(_announcements):
        announcement.restart_after_fork()


os.register_at_fork(after_in_child=_restart_all)
