"""Feature flags whose changes reach every process within a second, or turn the treatment off.

Each name is imported at its first use: a process loads only the parts and drivers that it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sluice.flags.desired_state import DesiredState
    from sluice.flags.document import FlagDocument, FlagState, RouterPhases
    from sluice.flags.errors import (
        ExcludedError,
        FencedError,
        FlagError,
        FlagExistsError,
        FlagStoreError,
        InvalidFlagError,
        KilledError,
        PhasesTakenError,
        UnknownFlagError,
    )
    from sluice.flags.evaluation import Evaluation, Reason
    from sluice.flags.feature_flags import FeatureFlags
    from sluice.flags.memory_reader import MemoryFlagReader
    from sluice.flags.memory_store import MemoryFlagStore
    from sluice.flags.openfeature import SluiceProvider
    from sluice.flags.redis.reader import FlagReader
    from sluice.flags.redis.store import RedisFlagStore
    from sluice.flags.service.announcement import Announcement, announce
    from sluice.flags.service.cohort_labels import CohortLabels
    from sluice.flags.service.middleware import SluiceMiddleware
    from sluice.flags.store import FlagStore, StoredState
    from sluice.flags.version_watermark import VersionWatermark
    from sluice.flags.view import FlagView, Snapshot
    from sluice.flags.write_metadata import AuditEntry, Fence, WriteMetadata

_MODULES = {
    "desired_state": ("DesiredState",),
    "document": ("FlagDocument", "FlagState", "RouterPhases"),
    "errors": (
        "ExcludedError",
        "FencedError",
        "FlagError",
        "FlagExistsError",
        "FlagStoreError",
        "InvalidFlagError",
        "KilledError",
        "PhasesTakenError",
        "UnknownFlagError",
    ),
    "evaluation": ("Evaluation", "Reason"),
    "feature_flags": ("FeatureFlags",),
    "memory_reader": ("MemoryFlagReader",),
    "memory_store": ("MemoryFlagStore",),
    "openfeature": ("SluiceProvider",),
    "redis.reader": ("FlagReader",),
    "redis.store": ("RedisFlagStore",),
    "service.announcement": ("Announcement", "announce"),
    "service.cohort_labels": ("CohortLabels",),
    "service.middleware": ("SluiceMiddleware",),
    "store": ("FlagStore", "StoredState"),
    "version_watermark": ("VersionWatermark",),
    "view": ("FlagView", "Snapshot"),
    "write_metadata": ("AuditEntry", "Fence", "WriteMetadata"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = [
    "Announcement",
    "AuditEntry",
    "CohortLabels",
    "DesiredState",
    "Evaluation",
    "ExcludedError",
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
    "PhasesTakenError",
    "Reason",
    "RedisFlagStore",
    "RouterPhases",
    "SluiceMiddleware",
    "SluiceProvider",
    "Snapshot",
    "StoredState",
    "UnknownFlagError",
    "VersionWatermark",
    "WriteMetadata",
    "announce",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the classes above
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
