"""The ``sluice`` command. Exit codes: docs/cli.md."""

import contextlib
import os
import sys
from typing import NoReturn

import typer

from cli import consent, doctor, evidence, people, rollout_commands, servers
from cli.errors import CliError, Exit

app = typer.Typer(
    name="sluice",
    help="Durable, metric-gated rollouts for AI query routers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

ROLLOUTS = (
    ("start", rollout_commands.start),
    ("lint", rollout_commands.lint),
    ("status", servers.status),
    ("watch", rollout_commands.watch),
    ("list", rollout_commands.list_rollouts),
    ("explain", evidence.explain_rollout),
    ("report", evidence.report),
)
PEOPLE = ("promote", "pause", "resume", "abort", "rollback", "retry", "kill")
SERVERS = ("up", "down", "worker", "router", "ask", "demo")

for name, command in ROLLOUTS:
    app.command(name, rich_help_panel="Rollouts")(command)
app.command("approve", rich_help_panel="Decisions")(consent.approve)
app.command("attest", rich_help_panel="Decisions")(consent.attest)
for name in PEOPLE:
    app.command(name, rich_help_panel="Decisions")(getattr(people, name))
app.command("doctor", rich_help_panel="Servers")(doctor.doctor)
for name in SERVERS:
    app.command(name, rich_help_panel="Servers")(getattr(servers, name))


def run() -> NoReturn:
    """Run the command and leave at once.

    Leaving through ``os._exit`` is deliberate: an interpreter that shuts down right after an RPC
    aborts in about a fifth of runs (sdk-python#300).
    """
    code = _run()
    with contextlib.suppress(BrokenPipeError):  # `sluice list | head` is no failure
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _run() -> int:
    try:
        result = app(standalone_mode=False)
    except CliError as error:
        print(f"sluice: {error}", file=sys.stderr)
        return error.code
    except typer.TyperException as error:
        return _misused(error)
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.OK


def _misused(error: typer.TyperException) -> int:
    """Say what is wrong with the words of the call; without any words the help has said it."""
    if message := error.format_message():
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "sluice"
        print(f"sluice: {message} Try `{command} --help`.", file=sys.stderr)
    return Exit.USAGE
