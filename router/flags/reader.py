"""The thread that keeps a process's view of the flags true, or lets it expire.

Pushes make it fast; a poll bounds what a lost push costs; the lease bounds everything else. The
lease runs from before the last good read, so `lease_seconds` after a write was acknowledged no
process serves what was there before it: it has read the new version, or its lease is over.
"""

from __future__ import annotations

import os
import random
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

import structlog
from redis.exceptions import RedisError

from router.flags.errors import FlagError, InvalidFlagError
from router.flags.keys import FlagKeys
from router.flags.model import FlagDocument, FlagState, load
from router.flags.source import Connect, FlagSource, Poll, connect_by_url, session
from router.flags.store import Floor
from router.flags.trust import Server, trusted
from router.flags.view import FlagView

logger = structlog.get_logger(__name__)

RECONNECT_SECONDS = 0.05
STOP_SECONDS = 2.0


class ReaderListener(Protocol):
    """Told on the reader's thread, so it must be quick; what it raises is dropped."""

    def changed(self, names: frozenset[str]) -> None:
        """Another document is served, and these flags differ in it."""

    def followed(self, healthy: bool, error: str) -> None:
        """Following broke off, or works again."""


class FlagReader(FlagView):
    """Follows one environment's flags from a dedicated thread with its own connections.

    `redis_url` may be a function that returns a redis-py client (for Sentinel, or custom TLS);
    give such a client timeouts below the lease, and no retries.
    """

    def __init__(
        self,
        redis_url: str | Connect,
        *,
        environment: str = "default",
        lease_seconds: float = 0.8,
        poll_seconds: float = 0.25,
    ) -> None:
        if not 0 < poll_seconds < lease_seconds:
            raise InvalidFlagError("poll_seconds must be above 0 and below lease_seconds")
        super().__init__()
        self._keys = FlagKeys(environment)
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        timeout = min(poll_seconds, lease_seconds / 3)
        self._connect = (
            connect_by_url(redis_url, timeout) if isinstance(redis_url, str) else redis_url
        )
        self._seen_version = 0
        self._server = Server()
        self._healthy = True
        self.listener: ReaderListener | None = None
        self._thread: threading.Thread | None = None
        self._arm()
        rearm = weakref.WeakMethod(self._rearm_after_fork)
        os.register_at_fork(after_in_child=lambda: (method := rearm()) and method())

    def start(self) -> None:
        """Start following; does nothing when already started."""
        if self._thread is None:
            self._arm()
            self._launch()

    def stop(self) -> None:
        """Stop following: every treatment is off from now on."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(STOP_SECONDS)
        self._revoke()

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait for the first good read, at most `timeout` seconds; False if there was none."""
        return self._ready.wait(timeout)

    def _arm(self) -> None:
        self._stopping = threading.Event()
        self._ready = threading.Event()

    def _launch(self) -> None:
        self._thread = threading.Thread(target=self._run, name="flag-reader", daemon=True)
        self._thread.start()

    def _rearm_after_fork(self) -> None:
        # The child has neither the thread nor a right to the parent's sockets; what is left of
        # the lease is as good here as there (same clock). Locks may have been held: renew them.
        was_running, was_ready = self._thread is not None, self._snapshot is not None
        self._arm()
        if was_ready:
            self._ready.set()
        if was_running:
            self._launch()

    def _run(self) -> None:
        stopping = self._stopping
        while not stopping.is_set():
            try:
                with session(self._connect, self._keys) as source:
                    self._follow(source, stopping)
            except (RedisError, OSError, FlagError, ValueError) as error:
                self._report(healthy=False, error=repr(error))
            except Exception as error:  # noqa: BLE001 - this thread must outlive any driver bug
                self._report(healthy=False, error=repr(error))
            stopping.wait(RECONNECT_SECONDS * random.uniform(1, 3))  # noqa: S311 - jitter

    def _follow(self, source: FlagSource, stopping: threading.Event) -> None:
        self._read(source)
        while not stopping.is_set():
            news = source.wait(self._poll_seconds)
            if news is None:
                self._check(source, source.poll())
            else:
                self._seen_version = max(self._seen_version, news.version)
                self._read(source)

    def _check(self, source: FlagSource, poll: Poll) -> None:
        self._seen_version = max(self._seen_version, poll.floor.version)
        held = self._snapshot.version if self._snapshot else -1
        if poll.version == held >= self._seen_version and source.server == self._server:
            self._accepted(poll.read_at)
        else:
            self._read(source)

    def _read(self, source: FlagSource) -> None:
        reading = source.read()
        document = FlagDocument() if reading.text is None else load(reading.text)
        self._seen_version = max(self._seen_version, reading.floor.version)
        if document.version < self._seen_version:
            self._refuse(source, document.version, reading.floor)
            return
        self._seen_version = document.version
        before = self.snapshot().flags
        self._install(trusted(document, source.server))
        self._server = source.server
        self._accepted(reading.read_at)
        self._tell_changes(before)

    def _accepted(self, read_at: float) -> None:
        self._renew(read_at, self._lease_seconds)
        self._ready.set()
        self._report(healthy=True)

    def _refuse(self, source: FlagSource, version: int, floor: Floor) -> None:
        """Serve nothing from a store that lost writes, and leave word of it for all others."""
        self._revoke()
        lost = f"the store holds version {version}; {self._seen_version} has been seen"
        self._report(healthy=False, error=lost)
        if floor.version < self._seen_version:
            flags = self.snapshot().flags.items()
            killed = frozenset(name for name, flag in flags if flag.killed)
            source.raise_floor(Floor(self._seen_version, killed | floor.killed))

    def _tell_changes(self, before: Mapping[str, FlagState]) -> None:
        after = self.snapshot().flags
        names = frozenset(n for n in {*before, *after} if before.get(n) != after.get(n))
        if names and self.listener is not None:
            with suppress(Exception):
                self.listener.changed(names)

    def _report(self, *, healthy: bool, error: str = "") -> None:
        """Log changes only: an hour without Redis is one line, not fourteen thousand."""
        if healthy == self._healthy:
            return
        self._healthy = healthy
        if healthy:
            logger.info("flags_followed", version=self.snapshot().version)
        else:
            logger.warning("flags_not_followed", error=error, version=self.snapshot().version)
        if self.listener is not None:
            with suppress(Exception):
                self.listener.followed(healthy, error)
