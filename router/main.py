"""One router process: ``python -m router.main --port 8100``, configured by the environment."""

import argparse
import asyncio
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import disable_created_metrics

from router.errors import RouterSettingsError
from router.http.app import ServiceState, create_app
from router.observability.logs import configure_logging
from router.observability.telemetry import Telemetry
from router.router import QueryRouter
from router.settings import Settings
from sluice.flags.redis.process_registry import ServiceProcess
from sluice.flags.server.limited_protocol import LimitedHttpProtocol
from sluice.flags.service.advertised_address import advertised_url

GRACEFUL_SHUTDOWN_SECONDS = 10
SETTINGS_STATUS = 2
LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
KEEP_ALIVE_SECONDS = 75
"""Longer than load balancers keep an idle connection (60 s): if the server closed first, a request
could arrive on a closed connection and be lost."""
logger = structlog.get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then finish the queries in flight. Return the exit status."""
    options = _parser().parse_args(arguments)
    # It would add a second series per counter.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the client leaves it untyped
    try:
        settings = Settings.from_environment()
        configure_logging(settings.operation.log_level, settings.operation.log_format)
        _require_access_rules(settings, options.host)
        state = ServiceState(telemetry=Telemetry.from_environment(os.environ))
        if options.operations_port:
            state.run_operations = partial(_run_operations, options)
        process = ServiceProcess.this_process(_advertised_url(settings, options))
        threshold = settings.limits.cache_threshold
        router = QueryRouter(settings=settings, cache_similarity_threshold=threshold)
        app = create_app(router, process, state)
    except RouterSettingsError as error:
        logger.error("settings", reason=str(error))  # noqa: TRY400 - no traceback for a typo
        return SETTINGS_STATUS
    config = _server_config(app, options.host, options.port)
    server = DrainingServer(config, state, settings.operation.drain_seconds)
    # An unusable setting is one line in the log; a traceback would only hide it.
    logging.getLogger("uvicorn.error").addFilter(lambda _: state.startup_error is None)
    with suppress(SystemExit):
        server.run()
    if state.startup_error is not None:
        logger.error("settings", reason=str(state.startup_error))
        return SETTINGS_STATUS
    return 0 if server.started else 1


def _require_access_rules(settings: Settings, host: str) -> None:
    """Refuse to listen beyond this machine without API keys, unless that is stated."""
    access = settings.access
    if access.keys_path or access.open_access or host in LOOPBACK_HOSTS:
        return
    raise RouterSettingsError(
        f"--host {host} lets other machines query without a key: set SLUICE_API_KEYS "
        "(`sluice key TENANT` makes keys), or SLUICE_OPEN_ACCESS=1 behind a gateway with its own"
    )


def _advertised_url(settings: Settings, options: argparse.Namespace) -> str:
    """Return the URL of the operations, which the worker polls."""
    address = settings.operation.advertised_address
    if options.operations_port:
        return advertised_url(address, options.operations_host, options.operations_port)
    return advertised_url(address, options.host, options.port)


def _server_config(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        log_config=None,
        loop="uvloop",
        http=LimitedHttpProtocol,
        server_header=False,
        proxy_headers=False,  # nothing depends on the caller's address
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
    )


@asynccontextmanager
async def _run_operations(options: argparse.Namespace, app: FastAPI) -> AsyncIterator[None]:
    """Serve the operations on their own port while the public server runs."""
    config = _server_config(app, options.operations_host, options.operations_port)
    server = OperationsServer(config)
    serving = asyncio.create_task(server.serve(), name="operations")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class OperationsServer(uvicorn.Server):
    """A second server in the same process, which leaves the signals to the first one."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class DrainingServer(uvicorn.Server):
    """Server whose ``/readyz`` returns 503 for ``drain_seconds`` after the first SIGTERM.

    Queries are still answered, so a load balancer stops sending before connections are refused. A
    second signal ends the wait.
    """

    def __init__(self, config: uvicorn.Config, state: ServiceState, drain_seconds: float) -> None:
        super().__init__(config)
        self._state = state
        self._seconds = drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        was_draining, self._state.draining = self._state.draining, True
        if was_draining or not self._seconds:
            super().handle_exit(sig, frame)
            return
        logger.info("draining", seconds=self._seconds)
        timer = threading.Timer(self._seconds, super().handle_exit, (sig, frame))
        timer.daemon = True
        timer.start()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m router.main", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument(
        "--operations-host", default="127.0.0.1", help="address for the operations (127.0.0.1)"
    )
    parser.add_argument(
        "--operations-port",
        type=int,
        help="port for /flags, /healthz, /readyz and /metrics; without it they share --port",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
