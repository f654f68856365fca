"""How a command ends badly: one line that says what to do, and an exit code (docs/cli.md)."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; scripts rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    DEGRADED = 5
    ABORTED = 6
    INTERRUPTED = 130


class CliError(Exception):
    """Ends the command; the message goes to standard error."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code
