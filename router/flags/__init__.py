"""Feature flags whose changes reach every process within a second, or turn the treatment off."""

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
from router.flags.reader import FlagReader
from router.flags.redis_store import RedisFlagStore
from router.flags.store import FlagStore, Floor, Stored
from router.flags.view import FlagView, Snapshot

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
