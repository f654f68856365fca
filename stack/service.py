"""The one seam: what the stack asks of each server."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from stack.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server lives: its data folder and its ports by purpose."""

    folder: Path
    ports: Mapping[str, int]

    def at(self, port_name: str) -> str:
        """``host:port`` of one of the ports."""
        return f"{LOOPBACK}:{self.ports[port_name]}"


class Service(Protocol):
    """One server. ``variable`` set in the environment replaces it by an external one.

    ``companions`` are further variables that go with an external address (user, password).
    """

    @property
    def name(self) -> str: ...
    @property
    def variable(self) -> str: ...
    @property
    def companions(self) -> tuple[str, ...]: ...
    @property
    def port_names(self) -> tuple[str, ...]: ...
    @property
    def stop_signal(self) -> int: ...

    def require(self) -> None:
        """Raise MissingProgramError unless all it needs is installed."""

    async def prepare(self, place: Place) -> None:
        """Create data and configuration; the folder exists. Repeated before each start."""

    def argv(self, place: Place) -> tuple[str, ...]:
        """The command that runs it in the foreground."""

    async def check(self, place: Place) -> None:
        """Raise unless it answers a real request."""

    def environment(self, place: Place) -> dict[str, str]:
        """The variables that reach it; the value of ``variable`` is its address."""


@runtime_checkable
class Settles(Protocol):
    """A service that needs a last touch once it is healthy. Repeated after each start."""

    async def settle(self, place: Place) -> None: ...
