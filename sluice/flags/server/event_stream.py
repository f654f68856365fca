"""Server-sent events after which OFREP clients fetch their flags again.

Format: ADR 0008 of github.com/open-feature/protocol. An event names a revision: a change of the
configuration, the end of the lease or its return. One task compares the view with the last
revision twenty times a second, since nothing else happens when a lease ends. A slow client skips
revisions: each stream holds the last one only.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass

from xxhash import xxh3_64_hexdigest

from sluice.flags.view import FlagView, Snapshot

TICK_SECONDS = 0.05
HEARTBEAT_SECONDS = 15.0
RETRY_MS = 1000
STREAMS_MAX = 2000
STREAMS_PER_KEY_MAX = 1000
"""The default: one key, which browsers may share, cannot take the streams of all others."""
CATCH_UP_SECONDS = 1.0
"""Longer than the lease: after it a server has the newer version, or is stale."""


@dataclass(frozen=True, slots=True)
class FlagRevision:
    """The configuration that a server evaluates; `id` is the same at each server of the store."""

    version: int
    stale: bool
    confirmation: str

    @property
    def id(self) -> str:
        """Return the name of the revision: its version first."""
        return f"{self.version}-{'stale' if self.stale else self.confirmation}"

    def event(self) -> str:
        """Return the event that sends a client to the bulk endpoint."""
        data = {
            "type": "refetchEvaluation",
            "etag": self.id,
            "lastModified": self.version // 1000,
            "stale": self.stale,
        }
        return f"id: {self.id}\nevent: message\ndata: {json.dumps(data)}\n\n"


class RevisionFeed:
    """The present revision of a view, and its changes for any number of streams."""

    def __init__(self, view: FlagView, streams_per_key: int = STREAMS_PER_KEY_MAX) -> None:
        self._view = view
        self._streams_per_key = streams_per_key
        self._streams: Counter[str] = Counter()
        self._snapshot: Snapshot | None = None
        self._confirmation = ""
        self._changed = asyncio.Event()
        self.closed = False

    @property
    def streams(self) -> int:
        """Return the number of open streams."""
        return self._streams.total()

    def refusal(self, caller: str) -> str:
        """Return the reason to refuse the caller one more stream; empty when it may open one.

        ``caller`` is the hash of its API key, and empty where no keys are configured.
        """
        if self.streams >= STREAMS_MAX:
            return f"this server has {STREAMS_MAX} event streams already: use another, or poll"
        if caller and self._streams[caller] >= self._streams_per_key:
            return (
                f"this API key has {self._streams_per_key} event streams already: poll, or raise "
                "SLUICE_FLAGS_STREAMS_PER_KEY"
            )
        return ""

    def current(self) -> FlagRevision:
        """Return the revision that an evaluation uses now."""
        snapshot = self._view.snapshot()
        if snapshot is not self._snapshot:
            self._snapshot, self._confirmation = snapshot, _confirmation_of(snapshot)
        return FlagRevision(snapshot.version, self._view.stale, self._confirmation)

    async def run(self) -> None:
        """Wake the streams at each change, until `close`."""
        last = self.current()
        while not self.closed:
            await asyncio.sleep(TICK_SECONDS)
            if (revision := self.current()) != last:
                last = revision
                self._wake()

    def close(self) -> None:
        """End every stream: its client connects to another server."""
        self.closed = True
        self._wake()

    async def stream(self, seen: str, caller: str = "") -> AsyncGenerator[str, None]:
        """Yield an event for each revision after `seen`, the last id that the client knows."""
        self._streams[caller] += 1
        try:
            yield f"retry: {RETRY_MS}\n\n"
            while not self.closed:
                changed, revision = self._changed, self.current()
                if revision.id != seen:
                    seen = revision.id
                    yield revision.event()
                elif not await _happens(changed, HEARTBEAT_SECONDS):
                    yield ": the connection is alive\n\n"
        finally:
            self._streams[caller] -= 1
            self._streams += Counter()  # drops callers without a stream

    async def catch_up(self, revision_id: str) -> None:
        """Wait until this server has the version that another one announced, or is stale."""
        text = revision_id.partition("-")[0]
        if not (text.isascii() and text.isdecimal()):
            return
        version = int(text[:16])
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_SECONDS):
                while self._is_behind(version):
                    await self._changed.wait()

    def _is_behind(self, version: int) -> bool:
        return self._view.snapshot().version < version and not self._view.stale

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _confirmation_of(snapshot: Snapshot) -> str:
    """Return a hash of what may differ within one version: whether the store lost writes."""
    states = [
        (f.name, f.version, f.confirmed, f.rollout_percentage) for f in snapshot.flags.values()
    ]
    return xxh3_64_hexdigest(repr(sorted(states)).encode())


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
