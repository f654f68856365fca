"""The port to whatever keeps the flag document: read it, and replace it if it is still the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from router.flags.change import AuditEntry, Change
from router.flags.model import FlagDocument
from router.flags.trust import Server


@dataclass(frozen=True)
class Floor:
    """The newest version any reader has seen, left by one that found the store holding less.

    A document below the floor is an old copy: the store lost writes (a restart from an old
    snapshot, a failover, a flush). `killed` names the kill latches that reader held.
    """

    version: int = 0
    killed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Stored:
    """One consistent reading of the store. `now_ms` is the store's own clock (Unix time).

    `floor_text` is the floor exactly as stored: a commit compares it. `server` is who answered.
    """

    document: FlagDocument | None
    floor: Floor = field(default_factory=Floor)
    now_ms: int = 0
    floor_text: str = ""
    server: Server = field(default_factory=Server)

    @property
    def version(self) -> int:
        """The document's version; 0 when there is none."""
        return self.document.version if self.document else 0

    @property
    def lost_writes(self) -> bool:
        """Whether someone has seen a newer document than the store holds now."""
        return self.version < self.floor.version


@dataclass(frozen=True)
class Write:
    """A document to put in place of the one that was read, with its line of the audit trail."""

    read: Stored
    document: FlagDocument
    flag: str
    action: str
    before: object
    after: object
    change: Change

    @property
    def audited(self) -> bool:
        """Whether the trail gets a line: a run that re-asserts what is so changes nothing."""
        return self.change.fence is None or self.before != self.after


class FlagStore(Protocol):
    """Keeps one environment's document and audit trail. All methods raise only FlagStoreError."""

    async def read(self) -> Stored:
        """Read document, floor and clock from the primary."""
        ...

    async def commit(self, write: Write) -> bool:
        """Replace, audit and announce in one atomic step.

        False if the store changed meanwhile, or the connection broke before the answer came:
        read again and see.
        """
        ...

    async def history(self, flag: str | None, limit: int) -> list[AuditEntry]:
        """Return the newest entries first: one flag's, or all when `flag` is None."""
        ...
