"""Start, inspect and stop the servers of one data folder."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sluice.stack.data_directory import DataDirectory
from sluice.stack.errors import ServiceEndedError, UnknownServiceError
from sluice.stack.lock import exclusive_lock
from sluice.stack.port_allocator import PortAllocator
from sluice.stack.service import PostStartHook, Service, ServiceContext
from sluice.stack.services import SERVICE_NAMES, SERVICES_BY_NAME
from sluice.stack.services.postgres import LEDGER_VARIABLE, ledger_dsn
from sluice.stack.services.prometheus import add_scrape_target, write_scrape_targets
from sluice.stack.state import (
    ServiceRecord,
    ServiceStatus,
    StackState,
    load_state,
    without_own_addresses,
)
from sluice.stack.supervisor import (
    HealthCheck,
    LaunchSpec,
    Supervisor,
    await_health,
    http_check,
    is_dead,
    run_health_check,
)

ProgressCallback = Callable[[str, str, float], None]
"""Called with a service's name, its state (external, reused, starting, running or failed) and the
seconds since ``up`` began."""

START_ATTEMPTS = 3
UNRESPONSIVE_SECONDS_MAX = 20.0


class Stack:
    """The embedded servers under ``home``.

    ``environ`` (default: that of this process) decides which services are external, and started
    processes inherit it. ``up`` replaces a running server that has not answered for
    ``unresponsive_seconds_max``; a loaded machine answers late.
    """

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] | None = None,
        unresponsive_seconds_max: float = UNRESPONSIVE_SECONDS_MAX,
    ) -> None:
        self._patience_seconds = unresponsive_seconds_max
        self._home = DataDirectory(home.resolve())
        self._environ = without_own_addresses(
            os.environ if environ is None else environ, self._home
        )
        self._supervisor = Supervisor(self._home)
        self._ports = PortAllocator(self._home.ports_file)

    @property
    def home(self) -> Path:
        return self._home.path

    @property
    def logs(self) -> Path:
        return self._home.log_directory

    async def up(
        self, services: Sequence[str] = SERVICE_NAMES, on_progress: ProgressCallback | None = None
    ) -> StackState:
        """Start every stopped service of ``services`` in parallel; wait until all are healthy.

        A repeated call leaves healthy services alone.

        Raises:
            UnknownServiceError, StackBusyError.
            MissingProgramError: before anything is started.
            ServiceFailedError: the others stay up.
        """
        requested = [self._service(name) for name in services]
        report = _with_elapsed_seconds(on_progress)
        self._home.create()
        async with exclusive_lock(self._home.lock_file):
            self._supervisor.remove_dead_records()
            for service in requested:
                if not self._is_external(service):
                    service.require_installed()
            outcomes = await asyncio.gather(
                *(self._ensure_running(service, report) for service in requested),
                return_exceptions=True,
            )
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
            return load_state(self._home)

    async def down(self) -> list[str]:
        """Stop spawned processes, then the servers; return the stopped names."""
        if not self._home.path.exists():
            return []
        async with exclusive_lock(self._home.lock_file):
            names = list(load_state(self._home).services)
            spawned = [name for name in names if name not in SERVICES_BY_NAME]
            servers = [name for name in names if name in SERVICES_BY_NAME]
            return await self._stop_all(spawned) + await self._stop_all(servers)

    async def status(self) -> list[ServiceStatus]:
        """Check every service and every spawned process."""
        state = load_state(self._home)
        names = [*SERVICE_NAMES, *(name for name in state.services if name not in SERVICES_BY_NAME)]
        return list(await asyncio.gather(*(self._status(name, state) for name in names)))

    async def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        health_url: str | None = None,
    ) -> ServiceRecord:
        """Run a process (router, worker) under the stack's supervision; store its log and pid.

        It inherits the environment and the stack's addresses; ``env`` overrides both. A process of
        the same name is replaced. It is healthy when ``health_url`` answers 2xx or, without one,
        when it does not end at once.

        Raises:
            ServiceFailedError: it did not become healthy.
        """
        if name in SERVICES_BY_NAME:
            raise UnknownServiceError(name, ())
        self._home.create()
        plan = LaunchSpec(
            argv=tuple(argv),
            env={**self._environ, **self.environment(), **(env or {})},
            record=ServiceRecord(name=name, address=health_url or "", health_url=health_url),
            health_check=http_check(health_url) if health_url else None,
        )
        async with exclusive_lock(self._home.lock_file):
            await self._supervisor.stop(name)
            return await self._supervisor.start(plan)

    async def stop(self, name: str) -> bool:
        """Stop one service or spawned process; return False when it was not running."""
        if not self._home.path.exists():
            return False
        async with exclusive_lock(self._home.lock_file):
            return await self._supervisor.stop(name)

    def environment(self) -> dict[str, str]:
        """Return the variables that reach the recorded services, external ones included."""
        return load_state(self._home).environment

    def ledger_environment(self, role: str) -> dict[str, str]:
        """Return the ledger's address for a role; empty while Postgres is external or stopped."""
        record = load_state(self._home).services.get("postgres")
        is_own = record is not None and record.identity is not None
        context = self._context(SERVICES_BY_NAME["postgres"])
        return {LEDGER_VARIABLE: ledger_dsn(context, role)} if is_own else {}

    def set_scrape_targets(self, addresses: Sequence[str], job: str = "router") -> None:
        """Make the stack's own Prometheus scrape exactly these ``host:port`` as ``job``, within 6 s."""
        place = self._context(SERVICES_BY_NAME["prometheus"])
        write_scrape_targets(place, job, tuple(addresses))

    def add_scrape_target(self, address: str, job: str = "router") -> None:
        """Add ``host:port`` to the targets of ``job``; drop those that refuse connections."""
        add_scrape_target(self._context(SERVICES_BY_NAME["prometheus"]), job, address)

    async def remove_data(self) -> None:
        """Stop everything and delete the data folder."""
        await self.down()
        await asyncio.to_thread(shutil.rmtree, self._home.path, ignore_errors=True)

    def _service(self, name: str) -> Service:
        if name not in SERVICES_BY_NAME:
            raise UnknownServiceError(name, SERVICE_NAMES)
        return SERVICES_BY_NAME[name]

    def _context(self, service: Service) -> ServiceContext:
        return ServiceContext(
            self._home.service_directory(service.name), self._ports.allocated_ports(service.name)
        )

    def _is_external(self, service: Service) -> bool:
        return bool(self._environ.get(service.address_variable))

    async def _ensure_running(self, service: Service, report: Callable[[str, str], None]) -> None:
        if self._is_external(service):
            await self._supervisor.stop(service.name)  # our own, when one runs
            self._record_external(service)
            report(service.name, "external")
        elif await self._is_healthy(service):
            report(service.name, "reused")
        else:
            report(service.name, "starting")
            try:
                await self._start(service)
            except Exception:
                report(service.name, "failed")
                raise
            report(service.name, "running")

    def _record_external(self, service: Service) -> None:
        names = (service.address_variable, *service.companion_variables)
        environment = {name: self._environ[name] for name in names if name in self._environ}
        address = self._environ[service.address_variable]
        self._supervisor.save_record(
            ServiceRecord(name=service.name, address=address, environment=environment)
        )

    async def _is_healthy(self, service: Service) -> bool:
        entry = self._supervisor.find_record(service.name)
        if entry is None or entry.identity is None:
            return False
        place = self._context(service)
        trouble = await await_health(
            lambda: service.check_health(place), entry.identity, self._patience_seconds
        )
        return trouble is None

    async def _start(self, service: Service) -> None:
        """Start the service, again when another program took its port meanwhile."""
        await self._supervisor.stop(service.name)
        for _ in range(START_ATTEMPTS - 1):
            with suppress(ServiceEndedError):
                await self._start_once(service)
                return
        await self._start_once(service)

    async def _start_once(self, service: Service) -> None:
        ports = self._ports.allocate(service.name, service.port_names)
        place = ServiceContext(self._home.service_directory(service.name), ports)
        place.directory.mkdir(parents=True, exist_ok=True)
        await service.prepare(place)
        environment = service.environment(place)
        entry = ServiceRecord(
            name=service.name,
            address=environment[service.address_variable],
            stop_signal=int(service.stop_signal),
            environment=environment,
        )
        check = _startup_check(service, place)
        await self._supervisor.start(LaunchSpec(service.argv(place), self._environ, entry, check))

    async def _stop_all(self, names: Sequence[str]) -> list[str]:
        stopped = await asyncio.gather(*(self._supervisor.stop(name) for name in names))
        return [name for name, was_running in zip(names, stopped, strict=True) if was_running]

    async def _status(self, name: str, state: StackState) -> ServiceStatus:
        entry = state.services.get(name)
        if entry is None:
            return ServiceStatus(name, "stopped")
        if entry.pid is None:
            return ServiceStatus(name, "external", _without_credentials(entry.address))
        facts = (_without_credentials(entry.address), entry.pid, entry.log)
        if is_dead(entry):
            return ServiceStatus(name, "stopped", *facts, detail="ended by itself; see its log")
        trouble = await self._health_failure(entry)
        if trouble is None:
            return ServiceStatus(name, "running", *facts)
        return ServiceStatus(name, "unhealthy", *facts, detail=trouble)

    async def _health_failure(self, entry: ServiceRecord) -> str | None:
        if entry.name in SERVICES_BY_NAME:
            service = SERVICES_BY_NAME[entry.name]
            place = self._context(service)
            return await run_health_check(lambda: service.check_health(place))
        return await run_health_check(http_check(entry.health_url)) if entry.health_url else None


def _startup_check(service: Service, place: ServiceContext) -> HealthCheck:
    async def check() -> None:
        await service.check_health(place)
        if isinstance(service, PostStartHook):
            await service.post_start(place)

    return check


def _with_elapsed_seconds(on_progress: ProgressCallback | None) -> Callable[[str, str], None]:
    started = time.monotonic()

    def report(name: str, state: str) -> None:
        if on_progress is not None:
            on_progress(name, state, time.monotonic() - started)

    return report


def _without_credentials(address: str) -> str:
    """Return the address without user and password."""
    scheme, separator, rest = address.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]
