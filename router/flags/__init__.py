"""Feature flags whose changes reach every process within a second, or turn the treatment off.

What talks to Redis is imported when it is first named: flags in memory need no driver.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from router.flags.change import AuditEntry, Change, Fence
from router.flags.errors import (
    FencedError,
    FlagError,
    FlagExistsError,
    FlagStoreError,
    InvalidFlagError,
    KilledError,
    UnknownFlagError,
)
from router.flags.evaluation import Evaluation, Reason
from router.flags.flags import FeatureFlags
from router.flags.memory import MemoryFlagStore
from router.flags.memory_reader import MemoryFlagReader
from router.flags.model import FlagDocument, FlagState, Phases
from router.flags.store import FlagStore, Floor, Stored
from router.flags.view import FlagView, Snapshot

if TYPE_CHECKING:
    from router.flags.reader import FlagReader
    from router.flags.redis_store import RedisFlagStore

__all__ = [
    "AuditEntry",
    "Change",
    "Evaluation",
    "FeatureFlags",
    "Fence",
    "FencedError",
    "FlagDocument",
    "FlagError",
    "FlagExistsError",
    "FlagReader",
    "FlagState",
    "FlagStore",
    "FlagStoreError",
    "FlagView",
    "Floor",
    "InvalidFlagError",
    "KilledError",
    "MemoryFlagReader",
    "MemoryFlagStore",
    "Phases",
    "Reason",
    "RedisFlagStore",
    "Snapshot",
    "Stored",
    "UnknownFlagError",
]
_LATE = {"FlagReader": "reader", "RedisFlagStore": "redis_store"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  any class
    if name in _LATE:
        return getattr(import_module(f"router.flags.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
