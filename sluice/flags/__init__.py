"""Feature flags whose changes reach every process within a second, or turn the treatment off.

What talks to Redis is imported when it is first named: flags in memory need no driver.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sluice.flags.document import FlagDocument, FlagState, RouterPhases
from sluice.flags.errors import (
    FencedError,
    FlagError,
    FlagExistsError,
    FlagStoreError,
    InvalidFlagError,
    KilledError,
    UnknownFlagError,
)
from sluice.flags.evaluation import Evaluation, Reason
from sluice.flags.feature_flags import FeatureFlags
from sluice.flags.memory_reader import MemoryFlagReader
from sluice.flags.memory_store import MemoryFlagStore
from sluice.flags.store import FlagStore, StoredState
from sluice.flags.version_watermark import VersionWatermark
from sluice.flags.view import FlagView, Snapshot
from sluice.flags.write_metadata import AuditEntry, Fence, WriteMetadata

if TYPE_CHECKING:
    from sluice.flags.redis.reader import FlagReader
    from sluice.flags.redis.store import RedisFlagStore

__all__ = [
    "AuditEntry",
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
    "InvalidFlagError",
    "KilledError",
    "MemoryFlagReader",
    "MemoryFlagStore",
    "Reason",
    "RedisFlagStore",
    "RouterPhases",
    "Snapshot",
    "StoredState",
    "UnknownFlagError",
    "VersionWatermark",
    "WriteMetadata",
]
_LAZY = {"FlagReader": "redis.reader", "RedisFlagStore": "redis.store"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  any class
    if name in _LAZY:
        return getattr(import_module(f"sluice.flags.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
