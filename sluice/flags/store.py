"""The port to the store of the flag document: read it, and replace it if it is unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from sluice.flags.document import FlagDocument, load_document, salvage_document, stored_version
from sluice.flags.durability import ServerRun
from sluice.flags.errors import FlagStoreError
from sluice.flags.version_watermark import VersionWatermark
from sluice.flags.write_metadata import AuditEntry, WriteMetadata


@dataclass(frozen=True)
class StoredState:
    """One consistent reading of the store. `now_ms` is the store's own clock (Unix time).

    `watermark_text` is the watermark as stored: a commit compares it. `server_run` answered.
    `unreadable` is the reason why the stored text is not a document; `salvaged` is what of it can
    be parsed all the same. With a `watermark_problem`, only a kill may be written.
    """

    document: FlagDocument | None
    watermark: VersionWatermark = field(default_factory=VersionWatermark)
    now_ms: int = 0
    watermark_text: str = ""
    server_run: ServerRun = field(default_factory=ServerRun)
    unreadable: str = ""
    salvaged: FlagDocument | None = None
    unreadable_version: int | None = None
    watermark_problem: str = ""

    @classmethod
    def from_text(cls, text: str | bytes | None, **fields: Any) -> Self:  # noqa: ANN401  its own
        """Build one from the stored text, which need not be a document."""
        try:
            return cls(None if text is None else load_document(text), **fields)
        except FlagStoreError as error:
            salvaged, version = salvage_document(text or b""), stored_version(text or b"")
            return cls(
                None,
                **fields,
                unreadable=str(error),
                salvaged=salvaged,
                unreadable_version=version,
            )

    def after(self, document: FlagDocument) -> Self:
        """Return the state that the next write of the same commit builds on."""
        return replace(self, document=document, unreadable="", salvaged=None, watermark_problem="")

    @property
    def version_text(self) -> str:
        """The version as the commit script reads it from the stored text."""
        if not self.unreadable:
            return str(self.version)
        return "unreadable" if self.unreadable_version is None else str(self.unreadable_version)

    @property
    def version(self) -> int:
        """The document's version; 0 without a document."""
        return self.document.version if self.document else 0

    @property
    def has_lost_writes(self) -> bool:
        """True when a reader has seen a newer document than the stored one."""
        return self.version < self.watermark.version


@dataclass(frozen=True)
class DocumentWrite:
    """A document to put in place of the one that was read, with its line of the audit trail."""

    based_on: StoredState
    document: FlagDocument
    flag: str
    action: str
    before: object
    after: object
    metadata: WriteMetadata
    is_reduction: bool = False
    """True when it exposes only users who are exposed now: such a write needs no audit entry."""

    @property
    def is_audited(self) -> bool:
        """True when the trail gets a line: a run that re-asserts the same values changes nothing."""
        return self.metadata.fence is None or self.before != self.after


class FlagStore(Protocol):
    """Keeps one environment's document and audit trail. All methods raise only FlagStoreError."""

    async def read(self) -> StoredState:
        """Read document, watermark and clock from the primary."""
        ...

    async def commit(self, writes: Sequence[DocumentWrite]) -> bool:
        """Replace, audit and announce in one atomic step; a reduction also without its audit.

        Each write builds on the one before it. The first is based on what the store must hold, and
        the last has the new document.

        False if the store changed meanwhile, or the connection broke before the answer came:
        read again and see.
        """
        ...

    async def history(self, flag: str | None, limit: int) -> list[AuditEntry]:
        """Return the newest entries first: one flag's, or all when `flag` is None."""
        ...
