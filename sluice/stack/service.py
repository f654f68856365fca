"""The one seam: what the stack asks of each server."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from sluice.stack.port_allocator import LOOPBACK


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """Where one server lives: its data folder and its ports by purpose."""

    directory: Path
    ports: Mapping[str, int]

    def address(self, port_name: str) -> str:
        """``host:port`` of one of the ports."""
        return f"{LOOPBACK}:{self.ports[port_name]}"


class Service(Protocol):
    """One server. ``variable`` set in the environment replaces it by an external one.

    ``companions`` are further variables that go with an external address (user, password).
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
        """Raise MissingProgramError unless all it needs is installed."""

    async def prepare(self, context: ServiceContext) -> None:
        """Create data and configuration; the folder exists. Repeated before each start."""

    def argv(self, context: ServiceContext) -> tuple[str, ...]:
        """The command that runs it in the foreground."""

    async def check_health(self, context: ServiceContext) -> None:
        """Raise unless it answers a real request."""

    def environment(self, context: ServiceContext) -> dict[str, str]:
        """The variables that reach it; the value of ``variable`` is its address."""


@runtime_checkable
class PostStartHook(Protocol):
    """A service that needs a last touch once it is healthy. Repeated after each start."""

    async def post_start(self, context: ServiceContext) -> None: ...
