"""One environment's flags as this process evaluates them, kept current from Redis.

Pushes, polls and the lease: `sync_thread.py`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol, Self

from redis import Redis

from sluice.flags.document import FlagDocument, FlagState
from sluice.flags.errors import InvalidFlagError
from sluice.flags.redis.connections import ClientFactory
from sluice.flags.redis.sync_thread import SyncConfig, subscribe
from sluice.flags.signatures.keys import load_public_keys
from sluice.flags.view import FlagView

DEFAULT_REDIS_URL = "redis://localhost:6379/0"

LEASE_SECONDS = 0.8


class ReaderListener(Protocol):
    """Receives changes on the sync thread, so it must return at once; its exceptions are dropped."""

    def on_flags_changed(self, names: frozenset[str]) -> None:
        """Handle a change of these flags."""

    def on_health(self, healthy: bool, error: str) -> None:
        """Handle the loss of the store (`healthy` False) or its return."""


class FlagReader(FlagView):
    """A view kept current from Redis; readers of one process share a thread and connections.

    `redis_url` may be a function that returns a redis-py client (for Sentinel, or custom TLS);
    give such a client timeouts below the lease, and no retries. With `public_keys` a flag that none
    of them has signed can only be lowered.
    """

    def __init__(
        self,
        redis_url: str | ClientFactory,
        *,
        environment: str = "default",
        lease_seconds: float = LEASE_SECONDS,
        poll_seconds: float = 0.25,
        public_keys: tuple[bytes, ...] = (),
    ) -> None:
        if not 0 < poll_seconds < lease_seconds:
            raise InvalidFlagError("poll_seconds must be above 0 and below lease_seconds")
        super().__init__()
        self._sync_config = SyncConfig(
            redis_url, environment, lease_seconds, poll_seconds, public_keys
        )
        self._unsubscribe: Callable[[], None] | None = None
        self._ready = threading.Event()
        self.listener: ReaderListener | None = None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Return a reader of `REDIS_URL`, `SLUICE_ENVIRONMENT` and `SLUICE_FLAGS_PUBLIC_KEYS`."""
        return cls(
            variables.get("REDIS_URL") or DEFAULT_REDIS_URL,
            environment=variables.get("SLUICE_ENVIRONMENT") or "default",
            public_keys=load_public_keys(variables),
        )

    @property
    def environment(self) -> str:
        """The environment whose flags these are."""
        return self._sync_config.environment

    @property
    def redis_url(self) -> str:
        """The store's URL; raise InvalidFlagError when the reader was given a function instead."""
        if not isinstance(self._sync_config.redis, str):
            raise InvalidFlagError("give FlagReader a Redis URL: user counts need it as well")
        return self._sync_config.redis

    def connect(self) -> Redis:
        """Return a new blocking client of the store, with the reader's timeouts."""
        return self._sync_config.client_factory()()

    def start(self) -> None:
        """Start following; does nothing when already started."""
        if self._unsubscribe is None:
            self._ready = threading.Event()
            self._unsubscribe = subscribe(self._sync_config, self)

    def stop(self) -> None:
        """Stop following: every treatment is off from now on."""
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()
        self._revoke()

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait for the first good read, at most `timeout` seconds; False if there was none."""
        return self._ready.wait(timeout)

    def on_document(self, document: FlagDocument) -> None:
        """Serve this document (called by the sync thread)."""
        before = self.snapshot().flags
        self._install(document)
        if self.listener is not None and (names := _changed_flags(before, document.flags)):
            with suppress(Exception):
                self.listener.on_flags_changed(names)

    def on_renewed(self, read_at: float) -> None:
        """Start the lease at `read_at` (monotonic) (called by the sync thread)."""
        self._renew(read_at, self._sync_config.lease_seconds)
        self._ready.set()

    def on_revoked(self) -> None:
        """Turn every treatment off (called by the sync thread)."""
        self._revoke()

    def on_health(self, healthy: bool, error: str) -> None:
        """Forward it to the listener (called by the sync thread)."""
        if self.listener is not None:
            with suppress(Exception):
                self.listener.on_health(healthy, error)

    def on_fork(self) -> None:
        """Replace the event: its lock may have been held at the fork (called by the sync thread)."""
        was_ready, self._ready = self._ready.is_set(), threading.Event()
        if was_ready:
            self._ready.set()


def _changed_flags(
    before: Mapping[str, FlagState], after: Mapping[str, FlagState]
) -> frozenset[str]:
    return frozenset(name for name in {*before, *after} if before.get(name) != after.get(name))
