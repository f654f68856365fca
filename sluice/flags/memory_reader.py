"""A view of a `MemoryFlagStore` that is never stale: for tests and single-process use."""

from __future__ import annotations

import math
import time

from sluice.flags.evaluation import Evaluation
from sluice.flags.memory_store import MemoryFlagStore
from sluice.flags.mutations import base_document
from sluice.flags.view import FlagView, Snapshot


class MemoryFlagReader(FlagView):
    """Sees every write of its store at once."""

    def __init__(self, store: MemoryFlagStore) -> None:
        super().__init__()
        self._store = store
        self._document_text: str | None = None
        self._sync()

    def evaluate(self, name: str, user_id: str) -> Evaluation:
        """Evaluate on what the store holds now."""
        self._sync()
        return super().evaluate(name, user_id)

    def snapshot(self) -> Snapshot:
        """Return what the store holds now."""
        self._sync()
        return super().snapshot()

    def _sync(self) -> None:
        if self._snapshot is None or self._document_text is not self._store.document_text:
            self._document_text = self._store.document_text
            self._install(base_document(self._store.current_state()))
        self._renew(time.monotonic(), math.inf)
