"""The console's process: ``python -m sluice.console.server --port 8300``."""

import argparse
import sys
from collections.abc import Sequence

import uvicorn

from activities.adapters.postgres_ledger import PostgresLedger
from sluice.cli.context import Context, stack_home
from sluice.console.app import create_app
from sluice.console.feeds.check_history import CheckHistory
from sluice.console.feeds.flag_board import FlagBoard
from sluice.console.feeds.rollout_feed import RolloutFeed
from sluice.console.feeds.rollout_list import RolloutList
from sluice.console.feeds.rollout_record import RolloutRecord
from sluice.console.feeds.rollout_source import TemporalRollouts
from sluice.console.login.console_key import gateway_line, load_console_key
from sluice.console.login.oidc import CALLBACK, OidcProvider
from sluice.console.login.passkeys import Passkeys
from sluice.console.services import ConsoleServices, utc_now
from sluice.console.settings import (
    DEFAULT_PORT,
    ConsoleSettings,
    ConsoleSettingsError,
    read_settings,
)
from sluice.console.signing import DecisionSigner
from sluice.console.web.login_links import LoginLinks
from sluice.flags.server.limited_protocol import LimitedHttpProtocol

SHUTDOWN_SECONDS = 2


def build_services(context: Context, settings: ConsoleSettings) -> ConsoleServices:
    """Connect the pages with Temporal, Postgres and Redis; nothing is opened yet."""
    source = TemporalRollouts(context)
    ledger = PostgresLedger(context.ledger_dsn)
    feed = RolloutFeed(source, CheckHistory(ledger).load)
    passkeys = Passkeys(settings)
    key = load_console_key(settings.console_key)
    return ConsoleServices(
        settings=settings,
        source=source,
        feed=feed,
        rollouts=RolloutList(source, utc_now),
        flags=FlagBoard(context, utc_now),
        record=RolloutRecord(ledger, feed),
        login_links=LoginLinks(settings.home / "login-url", settings.origin),
        passkeys=passkeys,
        signer=DecisionSigner(settings, passkeys, key),
        oidc=OidcProvider(settings.oidc, f"{settings.origin}{CALLBACK}") if settings.oidc else None,
    )


def serve(services: ConsoleServices, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; open event streams end within SHUTDOWN_SECONDS."""
    config = uvicorn.Config(
        create_app(services),
        host=host,
        port=port,
        http=LimitedHttpProtocol,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        server_header=False,
        # Its address is the browser's, unless a proxy on this machine says otherwise.
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
    )
    uvicorn.Server(config).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the login link and serve. Returns the exit status."""
    options = _parser().parse_args(arguments)
    context = Context.read()
    try:
        settings = _read_settings(context, options)
        if options.key:
            sys.stdout.write(f"{gateway_line(load_console_key(settings.console_key))}\n")
            return 0
        services = build_services(context, settings)
    except ConsoleSettingsError as error:
        sys.stderr.write(f"console: {error}\n")
        return 2
    address = services.login_links.url() if settings.local_actor else settings.origin
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
    serve(services, options.host, options.port)
    return 0


def _read_settings(context: Context, options: argparse.Namespace) -> ConsoleSettings:
    address, home = (options.host, options.port), stack_home() / "console"
    return read_settings(context.environment, address, context.actor, home)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sluice console")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--key", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
