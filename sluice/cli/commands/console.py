"""``sluice console``: the web console in the foreground, or under the stack's care."""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from sluice.cli.context import Context, require_free_address, stack_home
from sluice.cli.errors import CliError, Exit
from sluice.stack import Stack

DEFAULT_PORT = 8300
MODULE = "sluice.console.server"


def console(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    link: Annotated[
        bool, typer.Option("--link", help="Print a login link of the running console.")
    ] = False,
    key: Annotated[
        bool, typer.Option("--key", help="Print the keyring's line of this console.")
    ] = False,
) -> None:
    """Serve the web console: follow rollouts, read the evidence, decide.

    Prints a link that logs in once. SLUICE_CONSOLE_URL is the address that browsers use.
    """
    if link:
        print(login_link(stack_home()))
        return
    if not key:
        require_free_address(host, port)
    os.environ.update(Context.read().environment)
    options = ("--key",) if key else ("--host", host, "--port", str(port))
    command = (sys.executable, "-m", MODULE, *options)
    os.execv(sys.executable, command)  # noqa: S606  our own module


def login_link(home: Path) -> str:
    """Return the one-time link that the running console wrote.

    Raises:
        CliError: NOT_FOUND when no console has run here.
    """
    try:
        return (home / "console" / "login-url").read_text(encoding="ascii")
    except FileNotFoundError as error:
        message = "No console has run here. Start one with `sluice console`."
        raise CliError(message, Exit.NOT_FOUND) from error


async def start_console(stack: Stack) -> str:
    """Start the console under the stack's care; return its login link.

    Raises:
        ServiceFailedError: it does not answer.
    """
    port = _free_port(preferred_port(os.environ.get("SLUICE_CONSOLE_URL", "")))
    argv = (sys.executable, "-m", MODULE, "--port", str(port))
    await stack.spawn("console", argv, health_url=f"http://127.0.0.1:{port}/healthz")
    return login_link(stack.home)


def preferred_port(url: str) -> int:
    """Return the port at which browsers expect a console of this machine, else the usual one."""
    with suppress(ValueError):  # the console itself names what is wrong with the address
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1"):
            return parts.port or DEFAULT_PORT
    return DEFAULT_PORT


def _free_port(wanted_port: int) -> int:
    """Return the wanted loopback port, or any free one when it is taken."""
    for port in (wanted_port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            bound: int = probe.getsockname()[1]
            return bound
    raise CliError("No free port on this machine.", Exit.FAILED)
