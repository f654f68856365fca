"""The thread that keeps a process's views of the flags true, or lets them expire.

Pushes make it fast; a poll bounds what a lost push costs; the lease bounds everything else. The
lease runs from before the last good read, so `lease_seconds` after a write was acknowledged no
process serves what was there before it: it has read the new version, or its lease is over.

All readers of one process that follow the same flags in the same way share one follower: a push
then wakes one thread a process, not one a reader.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from redis.exceptions import RedisError

from router.flags.errors import FlagError
from router.flags.keys import FlagKeys
from router.flags.model import FlagDocument, load
from router.flags.source import Connect, FlagSource, Poll, connect_by_url, session
from router.flags.store import Floor
from router.flags.trust import Server, trusted

logger = structlog.get_logger(__name__)

RECONNECT_SECONDS = 0.05
STOP_SECONDS = 2.0


class Follows(Protocol):
    """What a follower keeps true. All of it is called with the follower's lock held."""

    def installed(self, document: FlagDocument) -> None:
        """Serve this document from now on; its lease is told apart."""

    def renewed(self, read_at: float) -> None:
        """What is served was the store's latest at that time (monotonic)."""

    def revoked(self) -> None:
        """Nothing is fresh any more."""

    def followed(self, healthy: bool, error: str) -> None:
        """Following broke off, or works again."""

    def forked(self) -> None:
        """This is a child process now: locks may have been held at the fork."""


@dataclass(frozen=True)
class Source:
    """Where the flags are and how often to look: what readers must have in common to share."""

    redis: str | Connect
    environment: str
    lease_seconds: float
    poll_seconds: float

    def connect(self) -> Connect:
        """Return the factory of clients."""
        if not isinstance(self.redis, str):
            return self.redis
        return connect_by_url(self.redis, min(self.poll_seconds, self.lease_seconds / 3))


class Follower:
    """Follows one source from a dedicated thread with its own connections, for all its views."""

    def __init__(self, source: Source) -> None:
        self._keys = FlagKeys(source.environment)
        self._connect = source.connect()
        self._lease_seconds, self._poll_seconds = source.lease_seconds, source.poll_seconds
        self._views: list[Follows] = []
        self._document: FlagDocument | None = None
        self._good_read_at = -math.inf
        self._seen_version = 0
        self._server = Server()
        self._healthy = True
        self._launch()

    def attach(self, view: Follows) -> None:
        """Keep this view true as well."""
        with self._lock:
            self._views.append(view)
            if self._document is not None:
                view.installed(self._document)
                if time.monotonic() < self._good_read_at + self._lease_seconds:
                    view.renewed(self._good_read_at)

    def detach(self, view: Follows) -> bool:
        """Leave this view alone from now on; return whether any other is left."""
        with self._lock:
            self._views.remove(view)
            return bool(self._views)

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)

    def rearm_after_fork(self) -> None:
        """The child has neither the thread nor a right to the parent's sockets.

        What is left of the lease is as good here as there: the clock is the same.
        """
        if not self._stopping.is_set():
            for view in self._views:
                view.forked()
            self._launch()

    def _launch(self) -> None:
        # Locks and events may have been held at the fork: never take them over.
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flag-reader", daemon=True)
        self._thread.start()

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
        due = time.monotonic() + self._poll_seconds
        while not stopping.is_set():
            text = source.wait(due - time.monotonic())
            if text is not None and not self._pushed(text):
                source.skip()
                self._read(source)
            elif time.monotonic() >= due:
                self._check(source, source.poll())
            else:
                continue
            due = time.monotonic() + self._poll_seconds

    def _pushed(self, text: bytes) -> bool:
        """Serve a pushed document; False if only a read can tell what to make of the text.

        It may have lain in a buffer for long, so it never renews the lease.
        """
        try:
            document = load(text)
        except FlagError:
            return False
        if document.version > self._seen_version:
            self._serve(document)
        return document.version == self._held_version()

    def _held_version(self) -> int:
        return self._document.version if self._document else -1

    def _check(self, source: FlagSource, poll: Poll) -> None:
        self._seen_version = max(self._seen_version, poll.floor.version)
        current = poll.version == self._held_version() >= self._seen_version
        if current and source.server == self._server:
            self._accept(poll.read_at)
        else:
            self._read(source)

    def _read(self, source: FlagSource) -> None:
        reading = source.read()
        document = FlagDocument() if reading.text is None else load(reading.text)
        self._seen_version = max(self._seen_version, reading.floor.version)
        if document.version < self._seen_version:
            self._refuse(source, document.version, reading.floor)
            return
        self._server = source.server
        self._serve(document)
        self._accept(reading.read_at)

    def _serve(self, document: FlagDocument) -> None:
        self._seen_version = document.version
        held = self._document = trusted(document, self._server)
        self._tell(lambda view: view.installed(held))

    def _accept(self, read_at: float) -> None:
        self._good_read_at = read_at
        self._tell(lambda view: view.renewed(read_at))
        self._report(healthy=True)

    def _refuse(self, source: FlagSource, version: int, floor: Floor) -> None:
        """Serve nothing from a store that lost writes, and leave word of it for all others."""
        self._good_read_at = -math.inf
        self._tell(lambda view: view.revoked())
        lost = f"the store holds version {version}; {self._seen_version} has been seen"
        self._report(healthy=False, error=lost)
        if floor.version < self._seen_version:
            flags = self._document.flags.items() if self._document else ()
            killed = frozenset(name for name, flag in flags if flag.killed)
            source.raise_floor(Floor(self._seen_version, killed | floor.killed))

    def _tell(self, what: Callable[[Follows], None]) -> None:
        with self._lock:
            for view in tuple(self._views):
                what(view)

    def _report(self, *, healthy: bool, error: str = "") -> None:
        """Log changes only: an hour without Redis is one line, not fourteen thousand."""
        if healthy == self._healthy:
            return
        self._healthy = healthy
        if healthy:
            logger.info("flags_followed", version=self._held_version())
        else:
            logger.warning("flags_not_followed", error=error, version=self._held_version())
        self._tell(lambda view: view.followed(healthy, error))


_followers: dict[Source, Follower] = {}
_registry = threading.Lock()


def follow(source: Source, view: Follows) -> Callable[[], None]:
    """Keep the view true until the function returned is called."""
    with _registry:
        follower = _followers.get(source)
        if follower is None:
            follower = _followers[source] = Follower(source)
        follower.attach(view)

    def leave() -> None:
        with _registry:
            if follower.detach(view):
                return
            del _followers[source]
        follower.stop()

    return leave


def _rearm_all() -> None:
    global _registry  # noqa: PLW0603 - it may have been held at the fork
    _registry = threading.Lock()
    for follower in tuple(_followers.values()):
        follower.rearm_after_fork()


os.register_at_fork(after_in_child=_rearm_all)
