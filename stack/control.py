"""Start, inspect and stop the servers of one data folder."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from stack.errors import ServiceEndedError, UnknownServiceError
from stack.home import Home
from stack.lock import exclusive
from stack.ports import PortBook
from stack.service import Place, Service, Settles
from stack.services import ALL, BY_NAME
from stack.services.prometheus import add_target, write_targets
from stack.state import Entry, ServiceStatus, StackState, load_state
from stack.supervisor import Check, Launch, Supervisor, await_health, failure, http_check, is_dead

Progress = Callable[[str, str, float], None]
"""Called with a service's name, its state (external, reused, starting, running or failed) and the
seconds since ``up`` began."""

ATTEMPTS = 3
PATIENCE_SECONDS = 20.0


class Stack:
    """The embedded servers under ``home``.

    ``environ`` (default: ours, read once here) decides which services are external and is what
    started processes inherit. A running server that doesn't answer ``up`` for ``patience_seconds``
    is replaced; a loaded machine is no reason to end a healthy one.
    """

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._home = Home(home.resolve())
        self._environ = _without_ours(os.environ if environ is None else environ, self._home)
        self._supervisor = Supervisor(self._home)
        self._ports = PortBook(self._home.ports_file)

    @property
    def home(self) -> Path:
        return self._home.path

    @property
    def logs(self) -> Path:
        return self._home.logs

    async def up(
        self, services: Sequence[str] = ALL, on_progress: Progress | None = None
    ) -> StackState:
        """Start what isn't running of ``services``, in parallel, and wait until all are healthy.

        Repeating it is harmless: healthy services stay as they are. Raises UnknownServiceError,
        MissingProgramError (before anything is started), ServiceFailedError (the others stay up)
        or StackBusyError.
        """
        wanted = [self._service(name) for name in services]
        report = _clocked(on_progress)
        self._home.create()
        async with exclusive(self._home.lock_file):
            self._supervisor.forget_dead()
            for service in wanted:
                if not self._is_external(service):
                    service.require()
            outcomes = await asyncio.gather(
                *(self._ensure(service, report) for service in wanted), return_exceptions=True
            )
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
            return load_state(self._home)

    async def down(self) -> list[str]:
        """Stop everything: first spawned processes, then the servers. Gives the stopped names."""
        if not self._home.path.exists():
            return []
        async with exclusive(self._home.lock_file):
            names = list(load_state(self._home).services)
            spawned = [name for name in names if name not in BY_NAME]
            servers = [name for name in names if name in BY_NAME]
            return await self._stop_all(spawned) + await self._stop_all(servers)

    async def status(self) -> list[ServiceStatus]:
        """Every service and every spawned process, checked now."""
        state = load_state(self._home)
        names = [*ALL, *(name for name in state.services if name not in BY_NAME)]
        return list(await asyncio.gather(*(self._status(name, state) for name in names)))

    async def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        health_url: str | None = None,
    ) -> Entry:
        """Run a process of ours (router, worker) under the stack's care, logs and pid kept.

        It inherits our environment and the stack's addresses; ``env`` wins. A process of the same
        name is replaced. Healthy means ``health_url`` answers 2xx; without one, that it doesn't
        end at once. Raises ServiceFailedError.
        """
        if name in BY_NAME:
            raise UnknownServiceError(name, ())
        self._home.create()
        plan = Launch(
            argv=tuple(argv),
            env={**self._environ, **self.environment(), **(env or {})},
            entry=Entry(name=name, address=health_url or "", health_url=health_url),
            check=http_check(health_url) if health_url else None,
        )
        async with exclusive(self._home.lock_file):
            await self._supervisor.stop(name)
            return await self._supervisor.start(plan)

    async def stop(self, name: str) -> bool:
        """Stop one service or spawned process; False when it wasn't running."""
        if not self._home.path.exists():
            return False
        async with exclusive(self._home.lock_file):
            return await self._supervisor.stop(name)

    def environment(self) -> dict[str, str]:
        """The variables that reach the services now recorded, external ones included."""
        return load_state(self._home).environment

    def set_scrape_targets(self, addresses: Sequence[str], job: str = "router") -> None:
        """Let our Prometheus scrape exactly these ``host:port`` as ``job``.

        It takes up to 6 s: Prometheus passes discovered targets on every 5 s, and scrapes each second.
        An external Prometheus has a configuration of its own, which we don't touch.
        """
        place = self._place(BY_NAME["prometheus"])
        write_targets(place, job, tuple(addresses))

    def add_scrape_target(self, address: str, job: str = "router") -> None:
        """Let our Prometheus scrape ``host:port`` as ``job`` too; those that are gone are dropped."""
        add_target(self._place(BY_NAME["prometheus"]), job, address)

    async def remove_data(self) -> None:
        """Stop everything and delete the data folder."""
        await self.down()
        await asyncio.to_thread(shutil.rmtree, self._home.path, ignore_errors=True)

    def _service(self, name: str) -> Service:
        if name not in BY_NAME:
            raise UnknownServiceError(name, ALL)
        return BY_NAME[name]

    def _place(self, service: Service) -> Place:
        return Place(self._home.data(service.name), self._ports.known(service.name))

    def _is_external(self, service: Service) -> bool:
        return bool(self._environ.get(service.variable))

    async def _ensure(self, service: Service, report: Callable[[str, str], None]) -> None:
        if self._is_external(service):
            await self._supervisor.stop(service.name)  # ours, if one ran until now
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
        names = (service.variable, *service.companions)
        known = {name: self._environ[name] for name in names if name in self._environ}
        address = self._environ[service.variable]
        self._supervisor.record(Entry(name=service.name, address=address, environment=known))

    async def _is_healthy(self, service: Service) -> bool:
        entry = self._supervisor.entry(service.name)
        if entry is None or entry.identity is None:
            return False
        place = self._place(service)
        trouble = await await_health(
            lambda: service.check(place), entry.identity, self._patience_seconds
        )
        return trouble is None

    async def _start(self, service: Service) -> None:
        """Start, again if need be: a port may be lost to another program between look and use."""
        await self._supervisor.stop(service.name)
        for _ in range(ATTEMPTS - 1):
            with suppress(ServiceEndedError):
                await self._start_once(service)
                return
        await self._start_once(service)

    async def _start_once(self, service: Service) -> None:
        ports = self._ports.take(service.name, service.port_names)
        place = Place(self._home.data(service.name), ports)
        place.folder.mkdir(parents=True, exist_ok=True)
        await service.prepare(place)
        environment = service.environment(place)
        entry = Entry(
            name=service.name,
            address=environment[service.variable],
            stop_signal=int(service.stop_signal),
            environment=environment,
        )
        check = _healthy_and_settled(service, place)
        await self._supervisor.start(Launch(service.argv(place), self._environ, entry, check))

    async def _stop_all(self, names: Sequence[str]) -> list[str]:
        stopped = await asyncio.gather(*(self._supervisor.stop(name) for name in names))
        return [name for name, was_running in zip(names, stopped, strict=True) if was_running]

    async def _status(self, name: str, state: StackState) -> ServiceStatus:
        entry = state.services.get(name)
        if entry is None:
            return ServiceStatus(name, "stopped")
        if entry.pid is None:
            return ServiceStatus(name, "external", _without_secret(entry.address))
        known = (_without_secret(entry.address), entry.pid, entry.log)
        if is_dead(entry):
            return ServiceStatus(name, "stopped", *known, detail="ended by itself; see its log")
        trouble = await self._trouble(entry)
        if trouble is None:
            return ServiceStatus(name, "running", *known)
        return ServiceStatus(name, "unhealthy", *known, detail=trouble)

    async def _trouble(self, entry: Entry) -> str | None:
        if entry.name in BY_NAME:
            service = BY_NAME[entry.name]
            place = self._place(service)
            return await failure(lambda: service.check(place))
        return await failure(http_check(entry.health_url)) if entry.health_url else None


def _healthy_and_settled(service: Service, place: Place) -> Check:
    async def check() -> None:
        await service.check(place)
        if isinstance(service, Settles):
            await service.settle(place)

    return check


def _without_ours(environ: Mapping[str, str], home: Home) -> dict[str, str]:
    """Leave out addresses that come from our own ``stack.json``: they make no service external."""
    own = {
        item
        for entry in load_state(home).services.values()
        if entry.pid is not None
        for item in entry.environment.items()
    }
    return {name: value for name, value in environ.items() if (name, value) not in own}


def _clocked(on_progress: Progress | None) -> Callable[[str, str], None]:
    started = time.monotonic()

    def report(name: str, state: str) -> None:
        if on_progress is not None:
            on_progress(name, state, time.monotonic() - started)

    return report


def _without_secret(address: str) -> str:
    """The address fit for a screen: user and password left out."""
    scheme, separator, rest = address.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]
