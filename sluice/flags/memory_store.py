"""The in-memory double of the Redis store; it passes the same contract tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from sluice.flags.document import dump_document
from sluice.flags.durability import ServerRun
from sluice.flags.store import DocumentWrite, StoredState
from sluice.flags.version_watermark import VersionWatermark, dump_watermark
from sluice.flags.write_metadata import AuditEntry


class MemoryFlagStore:
    """A `FlagStore` in this process. `clock_ms` is the store's clock, Unix milliseconds.

    Give `server` another run id to play a restart that may have lost writes.
    """

    def __init__(self, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.document_text: str | None = None
        self.watermark = VersionWatermark()
        self.server_run = ServerRun("memory")
        self._clock_ms = clock_ms
        self._audit: list[AuditEntry] = []

    async def read(self) -> StoredState:
        """Return what is stored now."""
        return self.current_state()

    def current_state(self) -> StoredState:
        """Return what is stored now, without awaiting (for `MemoryFlagReader`)."""
        return StoredState.from_text(
            self.document_text,
            watermark=self.watermark,
            now_ms=self._clock_ms(),
            watermark_text=dump_watermark(self.watermark),
            server_run=self.server_run,
        )

    async def commit(self, writes: Sequence[DocumentWrite]) -> bool:
        """Replace and audit, or return False when the store is not as it was read."""
        now = self.current_state()
        based_on = writes[0].based_on
        if (now.version_text, now.watermark) != (based_on.version_text, based_on.watermark):
            return False
        self.document_text = dump_document(writes[-1].document)
        for write in writes:
            if write.is_audited:
                self._audit.append(self._audit_entry(write))
        return True

    async def history(self, flag: str | None, limit: int) -> list[AuditEntry]:
        """Return the newest entries first."""
        newest = reversed(self._audit)
        return [entry for entry in newest if flag is None or entry.flag == flag][:limit]

    def _audit_entry(self, write: DocumentWrite) -> AuditEntry:
        at_ms = self._clock_ms()
        return AuditEntry(
            id=f"{at_ms}-{len(self._audit)}",
            at_ms=at_ms,
            flag=write.flag,
            action=write.action,
            before=json.loads(json.dumps(write.before)),
            after=json.loads(json.dumps(write.after)),
            version=write.document.version,
            metadata=write.metadata,
        )
