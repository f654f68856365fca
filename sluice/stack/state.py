"""The recorded processes: the content of ``stack.json``."""

import json
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sluice.stack.data_directory import DataDirectory, read_json, write_atomically
from sluice.stack.process_id import ProcessId

ServiceState = Literal["running", "stopped", "unhealthy", "external"]


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """A server or process. ``pid`` is None for an external one, which the stack never stops.

    ``environment`` holds the variables that reach it. ``health_url`` is set for processes that are
    not services of the stack (router, worker).
    """

    name: str
    address: str
    pid: int | None = None
    start_seconds: float = 0.0
    log: str | None = None
    stop_signal: int = signal.SIGTERM
    health_url: str | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> ProcessId | None:
        return None if self.pid is None else ProcessId(self.pid, self.start_seconds)


@dataclass(frozen=True, slots=True)
class StackState:
    """All records by name, in the order of their starts."""

    services: Mapping[str, ServiceRecord] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of every record, merged."""
        merged: dict[str, str] = {}
        for entry in self.services.values():
            merged.update(entry.environment)
        return merged

    def with_record(self, entry: ServiceRecord) -> "StackState":
        return StackState({**self.services, entry.name: entry})

    def without_record(self, name: str) -> "StackState":
        return StackState({key: service for key, service in self.services.items() if key != name})


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One line of ``sluice status --stack``; ``detail`` is the problem or the version."""

    name: str
    state: ServiceState
    address: str | None = None
    pid: int | None = None
    log: str | None = None
    detail: str = ""


def load_state(home: DataDirectory) -> StackState:
    """Read the recorded state, empty before the first start. The processes may have ended since."""
    recorded: dict[str, dict[str, Any]] = read_json(home.state_file).get("services", {})
    return StackState(
        {name: ServiceRecord(**{**record, "name": name}) for name, record in recorded.items()}
    )


def save_state(home: DataDirectory, state: StackState) -> None:
    """Write ``stack.json``; an empty stack has none."""
    if not state.services:
        home.state_file.unlink(missing_ok=True)
        return
    services = {name: asdict(entry) for name, entry in state.services.items()}
    document = {"environment": state.environment, "services": services}
    write_atomically(home.state_file, json.dumps(document, indent=2))


def load_environment(home: Path) -> dict[str, str]:
    """Return the recorded addresses of the stack under ``home``; empty when it is down."""
    return load_state(DataDirectory(home)).environment


def without_own_addresses(environ: Mapping[str, str], home: DataDirectory) -> dict[str, str]:
    """Return the environment without addresses of our own ``stack.json``; they are not external."""
    own_variables = {
        item
        for entry in load_state(home).services.values()
        if entry.pid is not None
        for item in entry.environment.items()
    }
    return {name: value for name, value in environ.items() if (name, value) not in own_variables}
