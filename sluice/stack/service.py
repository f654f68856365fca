"""The port of a server: the methods that the stack calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from sluice.stack.port_allocator import LOOPBACK


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """The data folder of one server and its ports by purpose."""

    directory: Path
    ports: Mapping[str, int]

    def address(self, port_name: str) -> str:
        """Return ``host:port`` of one of the ports."""
        return f"{LOOPBACK}:{self.ports[port_name]}"


class Service(Protocol):
    """A server. ``address_variable`` set in the environment replaces it by an external one.

    ``companion_variables`` are further variables that go with an external address (user, password).
    """

    @property
    def name(self) -> str: ...
    @property
    def address_variable(self) -> str: ...
    @property
    def companion_variables(self) -> tuple[str, ...]: ...
    @property
    def port_names(self) -> tuple[str, ...]: ...
    @property
    def stop_signal(self) -> int: ...

    def require_installed(self) -> None:
        """Raise MissingProgramError unless its programs are installed."""

    async def prepare(self, context: ServiceContext) -> None:
        """Create data and configuration; the folder exists. Repeated before each start."""

    def argv(self, context: ServiceContext) -> tuple[str, ...]:
        """Return the command that runs it in the foreground."""

    async def check_health(self, context: ServiceContext) -> None:
        """Raise an error unless it answers a real request."""

    def environment(self, context: ServiceContext) -> dict[str, str]:
        """Return the variables that reach it; the value of ``address_variable`` is its address."""


@runtime_checkable
class PostStartHook(Protocol):
    """A service with a step to run once it is healthy, after each start."""

    async def post_start(self, context: ServiceContext) -> None: ...
