"""The ``sluice`` command. Exit codes: docs/cli.md."""

import contextlib
import os
import sys
from typing import NoReturn

import typer

from sluice.cli.errors import CliError, Exit
from sluice.cli.registry import build_app


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
        result = build_app(sys.argv[1:])(standalone_mode=False)
    except CliError as error:
        print(f"sluice: {error}", file=sys.stderr)
        return error.code
    except typer.TyperException as error:
        return _report_usage_error(error)
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.OK


def _report_usage_error(error: typer.TyperException) -> int:
    """Say what is wrong with the words of the call; without any words the help has said it."""
    if message := error.format_message():
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "sluice"
        print(f"sluice: {message} Try `{command} --help`.", file=sys.stderr)
    return Exit.USAGE
