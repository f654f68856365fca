"""The embedded stack: the real servers on one machine, for ``sluice up``, the demo and tests.

What starts servers is imported when it is first named: it loads a driver of each.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stack.errors import (
    MissingProgramError,
    ServiceFailedError,
    StackBusyError,
    StackError,
    UnknownServiceError,
)
from stack.home import default_home
from stack.state import Entry, ServiceStatus, StackState, load_environment

if TYPE_CHECKING:
    from stack.control import Progress, Stack
    from stack.services import ALL

__all__ = [
    "ALL",
    "Entry",
    "MissingProgramError",
    "Progress",
    "ServiceFailedError",
    "ServiceStatus",
    "Stack",
    "StackBusyError",
    "StackError",
    "StackState",
    "UnknownServiceError",
    "default_home",
    "load_environment",
]
_LATE = {"ALL": "services", "Progress": "control", "Stack": "control"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  any of them
    if name in _LATE:
        return getattr(import_module(f"stack.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
