"""The thread that keeps a process's views of the flags current, or lets them expire.

Pushes make it fast; a poll bounds what a lost push costs; the lease bounds everything else. The
lease runs from before the last good read, so `lease_seconds` after a write was acknowledged no
process serves what was there before it: it has read the new version, or its lease is over.

All readers of one process with the same configuration share one thread: a push then wakes one
thread per process, not one per reader.
"""

from __future__ import annotations

import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from redis.exceptions import RedisError

from sluice.flags.document import FlagDocument, load_document
from sluice.flags.durability import ServerRun, mark_doubtful
from sluice.flags.errors import FlagError
from sluice.flags.keys import FlagKeys
from sluice.flags.redis.connections import (
    ClientFactory,
    FlagConnection,
    VersionPoll,
    make_client_factory,
    open_connection,
)
from sluice.flags.signatures.trust import TrustFilter
from sluice.flags.version_watermark import VersionWatermark

logger = logging.getLogger(__name__)

RECONNECT_SECONDS = 0.05
STOP_SECONDS = 2.0


class FlagListener(Protocol):
    """A view that the thread keeps current. Every method is called with the thread's lock held."""

    def on_document(self, document: FlagDocument) -> None:
        """Serve this document from now on; `on_renewed` sets its lease."""

    def on_renewed(self, read_at: float) -> None:
        """Start the lease at `read_at` (monotonic): the served document was the latest then."""

    def on_revoked(self) -> None:
        """Turn every treatment off."""

    def on_health(self, healthy: bool, error: str) -> None:
        """Handle the loss of the store (`healthy` False) or its return."""

    def on_fork(self) -> None:
        """Replace locks in a child process: the parent may have held them at the fork."""


@dataclass(frozen=True)
class SyncConfig:
    """The store and the intervals: readers with equal configurations share a thread."""

    redis: str | ClientFactory
    environment: str
    lease_seconds: float
    poll_seconds: float
    public_keys: tuple[bytes, ...] = ()

    def trust_filter(self) -> TrustFilter | None:
        """Return the filter of unsigned flags; None where no key is set."""
        if not self.public_keys:
            return None
        return TrustFilter(self.public_keys, self.environment)

    def client_factory(self) -> ClientFactory:
        """Return the factory of clients."""
        if not isinstance(self.redis, str):
            return self.redis
        return make_client_factory(self.redis, min(self.poll_seconds, self.lease_seconds / 3))


class SyncThread:
    """Reads one store from a dedicated thread with its own connections, for all its listeners."""

    def __init__(self, source: SyncConfig) -> None:
        self._keys = FlagKeys(source.environment)
        self._client_factory = source.client_factory()
        self._lease_seconds, self._poll_seconds = source.lease_seconds, source.poll_seconds
        self._listeners: list[FlagListener] = []
        self._document: FlagDocument | None = None
        self._good_read_at = -math.inf
        self._newest_seen_version = 0
        self._server_run = ServerRun()
        self._trust = source.trust_filter()
        self._healthy = True
        self._start_thread()

    def attach(self, listener: FlagListener) -> None:
        """Add a listener; it receives the present document at once."""
        with self._lock:
            self._listeners.append(listener)
            if self._document is not None:
                listener.on_document(self._document)
                if time.monotonic() < self._good_read_at + self._lease_seconds:
                    listener.on_renewed(self._good_read_at)

    def detach(self, listener: FlagListener) -> bool:
        """Remove a listener; return True if another one is left."""
        with self._lock:
            self._listeners.remove(listener)
            return bool(self._listeners)

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)

    def restart_after_fork(self) -> None:
        """Start a thread in the child, which must not use the parent's sockets.

        The rest of the lease holds in the child too: both have the same clock.
        """
        if not self._stopping.is_set():
            for view in self._listeners:
                view.on_fork()
            self._start_thread()

    def _start_thread(self) -> None:
        # Locks and events may have been held at the fork: never take them over.
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flag-reader", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        stopping = self._stopping
        while not stopping.is_set():
            try:
                with open_connection(self._client_factory, self._keys) as source:
                    self._sync(source, stopping)
            except (RedisError, OSError, FlagError, ValueError) as error:
                self._report_health(healthy=False, error=repr(error))
            except Exception as error:  # noqa: BLE001 - this thread must outlive any driver bug
                self._report_health(healthy=False, error=repr(error))
            stopping.wait(RECONNECT_SECONDS * random.uniform(1, 3))  # noqa: S311 - jitter

    def _sync(self, source: FlagConnection, stopping: threading.Event) -> None:
        self._read(source)
        due = time.monotonic() + self._poll_seconds
        while not stopping.is_set():
            text = source.wait_for_push(due - time.monotonic())
            if text is not None and not self._apply_push(text):
                source.discard_queued_pushes()
                self._read(source)
            elif time.monotonic() >= due:
                self._apply_poll(source, source.poll())
            else:
                continue
            due = time.monotonic() + self._poll_seconds

    def _apply_push(self, text: bytes) -> bool:
        """Serve a pushed document; return False if the store must be read instead.

        A push may have waited in a buffer, so it never renews the lease.
        """
        try:
            document = load_document(text)
        except FlagError:
            return False
        if document.version > self._newest_seen_version:
            self._serve(document)
        return document.version == self._served_version()

    def _served_version(self) -> int:
        return self._document.version if self._document else -1

    def _apply_poll(self, source: FlagConnection, poll: VersionPoll) -> None:
        self._newest_seen_version = max(self._newest_seen_version, poll.watermark.version)
        current = poll.version == self._served_version() >= self._newest_seen_version
        if current and source.server_run == self._server_run:
            self._renew_lease(poll.read_at)
        else:
            self._read(source)

    def _read(self, source: FlagConnection) -> None:
        reading = source.read()
        document = FlagDocument() if reading.text is None else load_document(reading.text)
        self._newest_seen_version = max(self._newest_seen_version, reading.watermark.version)
        if document.version < self._newest_seen_version:
            self._reject_stale_store(source, document.version, reading.watermark)
            return
        self._server_run = source.server_run
        self._serve(document)
        self._renew_lease(reading.read_at)

    def _serve(self, document: FlagDocument) -> None:
        self._newest_seen_version = document.version
        if self._trust is not None:
            document = self._trust.apply(document)
        served_document = self._document = mark_doubtful(document, self._server_run)
        self._notify(lambda view: view.on_document(served_document))

    def _renew_lease(self, read_at: float) -> None:
        self._good_read_at = read_at
        self._notify(lambda view: view.on_renewed(read_at))
        self._report_health(healthy=True)

    def _reject_stale_store(
        self, source: FlagConnection, version: int, floor: VersionWatermark
    ) -> None:
        """Turn treatments off over a store that lost writes, and raise the watermark for others."""
        self._good_read_at = -math.inf
        self._notify(lambda view: view.on_revoked())
        problem = f"the store holds version {version}; {self._newest_seen_version} has been seen"
        self._report_health(healthy=False, error=problem)
        if floor.version < self._newest_seen_version:
            flags = self._document.flags.items() if self._document else ()
            killed = frozenset(name for name, flag in flags if flag.killed)
            source.raise_watermark(
                VersionWatermark(self._newest_seen_version, killed | floor.killed)
            )

    def _notify(self, callback: Callable[[FlagListener], None]) -> None:
        with self._lock:
            for view in tuple(self._listeners):
                callback(view)

    def _report_health(self, *, healthy: bool, error: str = "") -> None:
        """Log changes only: an hour without Redis is one line, not fourteen thousand."""
        if healthy == self._healthy:
            return
        self._healthy = healthy
        if healthy:
            logger.info("the flags are followed, at version %d", self._served_version())
        else:
            logger.warning(
                "the flags are not followed, version %d: %s", self._served_version(), error
            )
        self._notify(lambda view: view.on_health(healthy, error))


_sync_threads: dict[SyncConfig, SyncThread] = {}
_registry_lock = threading.Lock()


def subscribe(config: SyncConfig, listener: FlagListener) -> Callable[[], None]:
    """Keep the listener current until the returned function is called."""
    with _registry_lock:
        follower = _sync_threads.get(config)
        if follower is None:
            follower = _sync_threads[config] = SyncThread(config)
        follower.attach(listener)

    def unsubscribe() -> None:
        with _registry_lock:
            if follower.detach(listener):
                return
            del _sync_threads[config]
        follower.stop()

    return unsubscribe


def _restart_all() -> None:
    global _registry_lock  # noqa: PLW0603 - it may have been held at the fork
    _registry_lock = threading.Lock()
    for follower in tuple(_sync_threads.values()):
        follower.restart_after_fork()


os.register_at_fork(after_in_child=_restart_all)
