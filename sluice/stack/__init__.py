"""The embedded stack: the real servers on one machine, for ``sluice up``, the demo and tests.

``Stack`` is imported at its first use, because it imports a driver of each server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sluice.stack.data_directory import default_home
from sluice.stack.errors import (
    MissingProgramError,
    ServiceFailedError,
    StackBusyError,
    StackError,
    UnknownServiceError,
)
from sluice.stack.state import ServiceRecord, ServiceStatus, StackState, load_environment

if TYPE_CHECKING:
    from sluice.stack.services import SERVICE_NAMES
    from sluice.stack.stack import ProgressCallback, Stack

__all__ = [
    "SERVICE_NAMES",
    "MissingProgramError",
    "ProgressCallback",
    "ServiceFailedError",
    "ServiceRecord",
    "ServiceStatus",
    "Stack",
    "StackBusyError",
    "StackError",
    "StackState",
    "UnknownServiceError",
    "default_home",
    "load_environment",
]
_LAZY = {"SERVICE_NAMES": "services", "ProgressCallback": "stack", "Stack": "stack"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  any of them
    if name in _LAZY:
        return getattr(import_module(f"sluice.stack.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
