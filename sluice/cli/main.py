"""The ``sluice`` command. Exit codes: docs/cli.md."""

import contextlib
import errno
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

import typer

from sluice.cli.errors import CliError, Exit, missing_extra_message
from sluice.cli.output import print_note
from sluice.cli.registry import COMMANDS, build_app, called_command, words_to_complete
from sluice.rollout.printable import unprintable_problem

UNWRITABLE_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def run() -> NoReturn:
    """Run the command and leave at once.

    Leaving through ``os._exit`` is deliberate: an interpreter that shuts down right after an RPC
    aborts in about a fifth of runs (sdk-python#300).
    """
    signal.signal(signal.SIGTERM, _end_with_children)
    code = _run()
    with contextlib.suppress(BrokenPipeError):  # `sluice list | head` is not a failure
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _end_with_children(_number: int, _frame: object) -> None:
    """End on SIGTERM, with every server that this command has started."""
    import psutil  # noqa: PLC0415  only here

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)


def _run() -> int:
    try:
        _require_printable(sys.argv[1:])
        with _without_collections():
            app = build_app(sys.argv[1:] or words_to_complete(os.environ))
        result = app(standalone_mode=False)
    except CliError as error:
        print_note(f"sluice: {error}")
        return error.code
    except ModuleNotFoundError as error:
        return _report_missing_extra(error, sys.argv[1:])
    except typer.TyperException as error:
        return _report_usage_error(error)
    except OSError as error:
        if error.errno not in UNWRITABLE_ERRORS:
            raise
        return _report_unwritable(error)
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.OK


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Import without garbage collections, now or later: they find nothing, and take a twentieth."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _report_unwritable(error: OSError) -> int:
    """Print one line about a folder that is read-only, full, or another user's."""
    print_note(
        f"sluice: {error.strerror}: {error.filename or 'a file'}. Run it in a folder that you may "
        "write, or name one with SLUICE_HOME."
    )
    return Exit.FAILED


def _require_printable(arguments: Sequence[str]) -> None:
    """Refuse control characters and bytes that are not UTF-8; a question may have line breaks.

    Raises:
        CliError: USAGE.
    """
    for number, argument in enumerate(arguments, start=1):
        if problem := unprintable_problem(argument):
            text = argument.encode("unicode_escape").decode()
            raise CliError(f"argument {number} ({text}) {problem}", Exit.USAGE)


def _report_missing_extra(error: ModuleNotFoundError, arguments: Sequence[str]) -> int:
    """Print the pip command that adds the called command's packages.

    Raises:
        ModuleNotFoundError: all packages of the extra are there, so the fault lies with us.
    """
    from sluice.installation import missing_packages  # noqa: PLC0415  reads package metadata: slow

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
