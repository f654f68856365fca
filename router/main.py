"""One router process: ``python -m router.main --port 8100``. Addresses come from the environment."""

import argparse
import os
import secrets
import socket
import sys
from collections.abc import Sequence

import structlog
import uvicorn
from prometheus_client import disable_created_metrics

from router.errors import SettingsError
from router.flags.processes import RouterProcess
from router.router import QueryRouter
from router.service import create_app
from router.settings import Settings

DRAIN_SECONDS = 10
logger = structlog.get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then finish what is in flight. Returns the exit status."""
    options = _parser().parse_args(arguments)
    # A second series per counter that nobody asked for:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the client leaves it untyped
    try:
        app = create_app(
            QueryRouter(settings=Settings.from_environment()), _process(options.host, options.port)
        )
    except SettingsError as error:
        logger.error("settings", why=str(error))  # noqa: TRY400 - the message says it all; no traceback for a typo
        return 2
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 1


def _process(host: str, port: int) -> RouterProcess:
    """The id is new with each start: a restarted process is another process."""
    identity = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    return RouterProcess(identity, f"http://{host}:{port}", os.getpid(), 0.0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m router.main", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    return parser


if __name__ == "__main__":
    sys.exit(main())
