"""The supervisor: starts processes, waits for their health, records and stops them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from sluice.stack import process
from sluice.stack.data_directory import DataDirectory
from sluice.stack.errors import ServiceEndedError, ServiceFailedError
from sluice.stack.process_id import ProcessId
from sluice.stack.state import ServiceRecord, load_state, save_state

HealthCheck = Callable[[], Awaitable[None]]

POLL_SECONDS = 0.1
CHECK_TIMEOUT_SECONDS = 3.0
START_TIMEOUT_SECONDS = 90.0
STOP_GRACE_SECONDS = 10.0
STARTUP_SECONDS = 0.3
LOG_TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """The start of one process; ``record`` is stored with the process's pid.

    ``health_check`` raises while the process is not healthy. Without one, a process that does not
    end at once is healthy.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    record: ServiceRecord
    health_check: HealthCheck | None = None
    timeout_seconds: float = START_TIMEOUT_SECONDS


class Supervisor:
    """Supervisor of the processes in ``stack.json``."""

    def __init__(self, home: DataDirectory) -> None:
        self._home = home

    def find_record(self, name: str) -> ServiceRecord | None:
        return load_state(self._home).services.get(name)

    def save_record(self, entry: ServiceRecord) -> None:
        save_state(self._home, load_state(self._home).with_record(entry))

    def remove_record(self, name: str) -> None:
        save_state(self._home, load_state(self._home).without_record(name))

    def remove_dead_records(self) -> list[str]:
        """Drop the records of ended processes; return their names."""
        dead = [
            service.name for service in load_state(self._home).services.values() if is_dead(service)
        ]
        for name in dead:
            self.remove_record(name)
        return dead

    async def start(self, spec: LaunchSpec) -> ServiceRecord:
        """Start the process, record it at once, wait until it is healthy.

        Raises:
            ServiceFailedError: with the end of its log. The process is stopped again.
        """
        name, log = spec.record.name, self._home.log_file(spec.record.name)
        offset = log.stat().st_size if log.exists() else 0
        try:
            identity = process.launch(spec.argv, spec.env, log)
        except OSError as error:
            raise ServiceFailedError(name, f"cannot be started: {error}", log, "") from error
        entry = _with_process(spec.record, identity, log)
        self.save_record(entry)
        trouble = await await_health(spec.health_check, identity, spec.timeout_seconds)
        if trouble is None:
            return entry
        error_type = ServiceFailedError if await self.stop(name) else ServiceEndedError
        raise error_type(name, trouble, log, await asyncio.to_thread(_log_tail, log, offset))

    async def stop(self, name: str, grace_seconds: float = STOP_GRACE_SECONDS) -> bool:
        """Stop a process and drop its record; return False when it was not running."""
        entry = self.find_record(name)
        if entry is None:
            return False
        identity, stopped = entry.identity, False
        if identity is not None:
            stopped = await process.stop(identity, entry.stop_signal, grace_seconds)
        self.remove_record(name)
        return stopped


def is_dead(entry: ServiceRecord) -> bool:
    return entry.identity is not None and process.find(entry.identity) is None


async def run_health_check(check: HealthCheck) -> str | None:
    """Run a health check within its time; return None when healthy, else the problem."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001  # drivers raise what they like; all mean unhealthy
        return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
    return None


def http_check(url: str) -> HealthCheck:
    """Return a check that passes while ``url`` answers with a 2xx status."""

    async def check() -> None:
        async with httpx.AsyncClient(timeout=CHECK_TIMEOUT_SECONDS, trust_env=False) as client:
            (await client.get(url)).raise_for_status()

    return check


async def await_health(
    check: HealthCheck | None, identity: ProcessId, timeout_seconds: float
) -> str | None:
    """Return None once healthy, else the problem (it ended, or the time is over)."""
    if check is None:
        await asyncio.sleep(STARTUP_SECONDS)
        return "ended at once" if process.find(identity) is None else None
    deadline = time.monotonic() + timeout_seconds
    while (trouble := await run_health_check(check)) is not None:
        if process.find(identity) is None:
            return "ended before it was healthy"
        if time.monotonic() > deadline:
            return f"not healthy after {timeout_seconds:.0f} s ({trouble})"
        await asyncio.sleep(POLL_SECONDS)
    # Another program on the port may have answered for a process that failed to bind it.
    has_ended = process.find(identity) is None
    return "ended while another process answers at its address" if has_ended else None


def _with_process(entry: ServiceRecord, identity: ProcessId, log: Path) -> ServiceRecord:
    return ServiceRecord(
        name=entry.name,
        address=entry.address,
        pid=identity.pid,
        start_seconds=identity.start_seconds,
        log=str(log),
        stop_signal=entry.stop_signal,
        health_url=entry.health_url,
        environment=entry.environment,
    )


def _log_tail(log: Path, offset: int) -> str:
    with log.open("rb") as file:
        file.seek(offset)
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])
