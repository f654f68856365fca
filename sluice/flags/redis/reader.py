"""What one process believes about one environment's flags, followed in Redis.

How long it may believe it, and how news reaches it: `follower.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from sluice.flags.document import FlagDocument, FlagState
from sluice.flags.errors import InvalidFlagError
from sluice.flags.redis.connections import ClientFactory
from sluice.flags.redis.sync_thread import SyncConfig, subscribe
from sluice.flags.view import FlagView


class ReaderListener(Protocol):
    """Told on the follower's thread, so it must be quick; what it raises is dropped."""

    def on_flags_changed(self, names: frozenset[str]) -> None:
        """Another document is served, and these flags differ in it."""

    def on_health(self, healthy: bool, error: str) -> None:
        """Following broke off, or works again."""


class FlagReader(FlagView):
    """Follows one environment's flags; readers of one process share a thread and connections.

    `redis_url` may be a function that returns a redis-py client (for Sentinel, or custom TLS);
    give such a client timeouts below the lease, and no retries.
    """

    def __init__(
        self,
        redis_url: str | ClientFactory,
        *,
        environment: str = "default",
        lease_seconds: float = 0.8,
        poll_seconds: float = 0.25,
    ) -> None:
        if not 0 < poll_seconds < lease_seconds:
            raise InvalidFlagError("poll_seconds must be above 0 and below lease_seconds")
        super().__init__()
        self._sync_config = SyncConfig(redis_url, environment, lease_seconds, poll_seconds)
        self._unsubscribe: Callable[[], None] | None = None
        self._ready = threading.Event()
        self.listener: ReaderListener | None = None

    def start(self) -> None:
        """Start following; does nothing when already started."""
        if self._unsubscribe is None:
            self._ready = threading.Event()
            self._unsubscribe = subscribe(self._sync_config, self)

    def stop(self) -> None:
        """Stop following: every treatment is off from now on."""
        leave, self._unsubscribe = self._unsubscribe, None
        if leave is not None:
            leave()
        self._revoke()

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait for the first good read, at most `timeout` seconds; False if there was none."""
        return self._ready.wait(timeout)

    def on_document(self, document: FlagDocument) -> None:
        """Serve this document (called by the follower)."""
        before = self.snapshot().flags
        self._install(document)
        if self.listener is not None and (names := _changed_flags(before, document.flags)):
            with suppress(Exception):
                self.listener.on_flags_changed(names)

    def on_renewed(self, read_at: float) -> None:
        """Serve it until the lease from this time on is over (called by the follower)."""
        self._renew(read_at, self._sync_config.lease_seconds)
        self._ready.set()

    def on_revoked(self) -> None:
        """Serve treatments no longer (called by the follower)."""
        self._revoke()

    def on_health(self, healthy: bool, error: str) -> None:
        """Pass it on to the listener (called by the follower)."""
        if self.listener is not None:
            with suppress(Exception):
                self.listener.on_health(healthy, error)

    def on_fork(self) -> None:
        """Take no event over from the parent process (called by the follower)."""
        was_ready, self._ready = self._ready.is_set(), threading.Event()
        if was_ready:
            self._ready.set()


def _changed_flags(
    before: Mapping[str, FlagState], after: Mapping[str, FlagState]
) -> frozenset[str]:
    return frozenset(name for name in {*before, *after} if before.get(name) != after.get(name))
