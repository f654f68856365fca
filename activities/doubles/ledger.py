"""The ledger's in-memory double; it passes the same contract tests as Postgres."""

import json
from collections.abc import Sequence

from activities.contract.errors import LedgerRefusedError
from activities.contract.models import LedgerEntry, LedgerKind

ENDINGS_MAX = 50


class MemoryLedger:
    """Keeps entries for the life of the process: for tests and rehearsals."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], LedgerEntry] = {}

    async def append(self, entry: LedgerEntry) -> LedgerEntry:
        """Keep the first entry under a rollout and key, and return it."""
        try:
            json.loads(entry.body)
        except ValueError as error:
            raise LedgerRefusedError(f"ledger entry {entry.key!r}: body is not JSON") from error
        return self._entries.setdefault((entry.rollout_id, entry.key), entry)

    async def latest_rollout_id(self, prefix: str) -> str | None:
        """Return the id of the rollout that wrote last among those whose id starts with ``prefix``."""
        ids = [e.rollout_id for e in self._entries.values() if e.rollout_id.startswith(prefix)]
        return ids[-1] if ids else None

    async def endings(self, prefix: str) -> Sequence[LedgerEntry]:
        """Return the last states of ended rollouts, newest first."""
        matches = [e for e in self._entries.values() if e.rollout_id.startswith(prefix)]
        return [entry for entry in reversed(matches) if entry.kind == "state"][:ENDINGS_MAX]

    async def evidence(self, rollout_id: str) -> Sequence[LedgerEntry]:
        """Return all entries but events, in the order of writing."""
        own_entries = (e for e in self._entries.values() if e.rollout_id == rollout_id)
        return [entry for entry in own_entries if entry.kind != "event"]

    async def entries(self, rollout_id: str, kind: LedgerKind) -> Sequence[LedgerEntry]:
        """Return all entries of one kind, oldest first."""
        matches = [
            e for e in self._entries.values() if (e.rollout_id, e.kind) == (rollout_id, kind)
        ]
        return sorted(matches, key=lambda entry: entry.at)
