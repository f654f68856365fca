"""The ``sluice`` command. Exit codes: docs/cli.md."""

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from sluice.cli.errors import CliError, Exit, missing_extra_message
from sluice.cli.registry import COMMANDS, build_app, called_command
from sluice.installation import missing_packages


def run() -> NoReturn:
    """Run the command and leave at once.

    Leaving through ``os._exit`` is deliberate: an interpreter that shuts down right after an RPC
    aborts in about a fifth of runs (sdk-python#300).
    """
    code = _run()
    with contextlib.suppress(BrokenPipeError):  # `sluice list | head` is not a failure
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _run() -> int:
    try:
        result = build_app(sys.argv[1:])(standalone_mode=False)
    except CliError as error:
        print(f"sluice: {error}", file=sys.stderr)
        return error.code
    except ModuleNotFoundError as error:
        return _report_missing_extra(error, sys.argv[1:])
    except typer.TyperException as error:
        return _report_usage_error(error)
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.OK


def _report_missing_extra(error: ModuleNotFoundError, arguments: Sequence[str]) -> int:
    """Print the pip command that adds the called command's packages.

    Raises:
        ModuleNotFoundError: all packages of the extra are there, so the fault lies with us.
    """
    name = called_command(arguments)
    extra = COMMANDS[name].extra if name in COMMANDS else ""
    if not extra or not missing_packages(extra):
        raise error
    print(f"sluice: {missing_extra_message(name, extra)}", file=sys.stderr)
    return Exit.FAILED


def _report_usage_error(error: typer.TyperException) -> int:
    """Print the message of a wrong call. An empty message means that typer printed the help."""
    if message := error.format_message():
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "sluice"
        print(f"sluice: {message} Try `{command} --help`.", file=sys.stderr)
    return Exit.USAGE
