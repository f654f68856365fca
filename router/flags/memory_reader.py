"""A view of a `MemoryFlagStore` that is never stale: for tests and single-process use."""

from __future__ import annotations

import math
import time

from router.flags.evaluation import Evaluation
from router.flags.memory import MemoryFlagStore
from router.flags.mutations import recovered
from router.flags.view import FlagView, Snapshot


class MemoryFlagReader(FlagView):
    """Sees every write of its store at once."""

    def __init__(self, store: MemoryFlagStore) -> None:
        super().__init__()
        self._store = store
        self._text: str | None = None
        self._follow()

    def evaluate(self, name: str, user_id: str) -> Evaluation:
        """Evaluate on what the store holds now."""
        self._follow()
        return super().evaluate(name, user_id)

    def snapshot(self) -> Snapshot:
        """Return what the store holds now."""
        self._follow()
        return super().snapshot()

    def _follow(self) -> None:
        if self._snapshot is None or self._text is not self._store.text:
            self._text = self._store.text
            self._install(recovered(self._store.stored()))
        self._renew(time.monotonic(), math.inf)
