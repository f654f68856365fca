"""The embedded stack: the real servers on one machine, for ``sluice up``, the demo and tests."""

from stack.control import Progress, Stack
from stack.errors import (
    MissingProgramError,
    ServiceFailedError,
    StackBusyError,
    StackError,
    UnknownServiceError,
)
from stack.home import default_home
from stack.services import ALL
from stack.state import Entry, ServiceStatus, StackState, load_environment

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
