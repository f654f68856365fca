"""The in-memory double of the Redis store; it passes the same contract tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from router.flags.change import AuditEntry
from router.flags.floor import dump_floor
from router.flags.model import dump, load
from router.flags.store import Floor, Stored, Write
from router.flags.trust import Server


class MemoryFlagStore:
    """A `FlagStore` in this process. `clock_ms` is the store's clock, Unix milliseconds.

    Give `server` another run id to play a restart that may have lost writes.
    """

    def __init__(self, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.text: str | None = None
        self.floor = Floor()
        self.server = Server("memory")
        self._clock_ms = clock_ms
        self._audit: list[AuditEntry] = []

    async def read(self) -> Stored:
        """Return what is stored now."""
        return self.stored()

    def stored(self) -> Stored:
        """Return what is stored now, without awaiting (for `MemoryFlagReader`)."""
        document = None if self.text is None else load(self.text)
        return Stored(document, self.floor, self._clock_ms(), dump_floor(self.floor), self.server)

    async def commit(self, write: Write) -> bool:
        """Replace and audit, or return False when the store is not as it was read."""
        now = self.stored()
        if (now.version, now.floor) != (write.read.version, write.read.floor):
            return False
        self.text = dump(write.document)
        if write.audited:
            self._audit.append(self._entry(write))
        return True

    async def history(self, flag: str | None, limit: int) -> list[AuditEntry]:
        """Return the newest entries first."""
        newest = reversed(self._audit)
        return [entry for entry in newest if flag is None or entry.flag == flag][:limit]

    def _entry(self, write: Write) -> AuditEntry:
        at_ms = self._clock_ms()
        return AuditEntry(
            id=f"{at_ms}-{len(self._audit)}",
            at_ms=at_ms,
            flag=write.flag,
            action=write.action,
            before=json.loads(json.dumps(write.before)),
            after=json.loads(json.dumps(write.after)),
            version=write.document.version,
            change=write.change,
        )
