"""One router process: ``python -m router.main --port 8100``. Addresses come from the environment."""

import argparse
import logging
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import structlog
import uvicorn
from prometheus_client import disable_created_metrics

from router.errors import RouterSettingsError
from router.http.app import ServiceState, create_app
from router.observability.logs import configure_logging
from router.observability.telemetry import Telemetry
from router.router import QueryRouter
from router.settings import Settings
from sluice.flags.redis.process_registry import ServiceProcess
from sluice.flags.service.advertised_address import advertised_url

GRACEFUL_SHUTDOWN_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
"""Longer than load balancers keep an idle connection (60 s): the side that sends must be the one
that closes, or a request meets a connection just closed and is lost."""
logger = structlog.get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then finish what is in flight. Returns the exit status."""
    options = _parser().parse_args(arguments)
    # A second series per counter that nobody asked for:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the client leaves it untyped
    try:
        settings = Settings.from_environment()
        configure_logging(settings.operation.log_level, settings.operation.log_format)
        state = ServiceState(telemetry=Telemetry.from_environment(os.environ))
        address = settings.operation.advertised_address
        process = ServiceProcess.this_process(advertised_url(address, options.host, options.port))
        threshold = settings.limits.cache_threshold
        router = QueryRouter(settings=settings, cache_similarity_threshold=threshold)
        app = create_app(router, process, state)
    except RouterSettingsError as error:
        logger.error("settings", why=str(error))  # noqa: TRY400 - the message says it all; no traceback for a typo
        return 2
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        log_config=None,
        loop="uvloop",
        http="httptools",
        server_header=False,
        proxy_headers=False,  # nothing here depends on the caller's address
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
    )
    server = DrainingServer(config, state, settings.operation.drain_seconds)
    # A setting that can't be used is one line in the log; the traceback would only hide it.
    logging.getLogger("uvicorn.error").addFilter(lambda _: state.startup_error is None)
    with suppress(SystemExit):
        server.run()
    if state.startup_error is not None:
        logger.error("settings", why=str(state.startup_error))
        return 2
    return 0 if server.started else 1


class DrainingServer(uvicorn.Server):
    """On the first SIGTERM ``/readyz`` says no for ``seconds`` while queries are still taken.

    So a load balancer has looked away before connections are refused. A second signal ends it.
    """

    def __init__(self, config: uvicorn.Config, state: ServiceState, drain_seconds: float) -> None:
        super().__init__(config)
        self._state = state
        self._seconds = drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        again, self._state.draining = self._state.draining, True
        if again or not self._seconds:
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
    return parser


if __name__ == "__main__":
    sys.exit(main())
