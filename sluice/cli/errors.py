"""The error that ends a command: one line that names the next step, and an exit code (docs/cli.md)."""

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
    """An error that ends the command; its message goes to standard error."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


def require_extra(command: str, extra: str) -> None:
    """Raise CliError unless every package of ``extra`` is installed."""
    from sluice.installation import missing_packages  # noqa: PLC0415  reads package metadata: slow

    if missing_packages(extra):
        raise CliError(missing_extra_message(command, extra))


def missing_extra_message(command: str, extra: str) -> str:
    """Return one line that names the missing packages and the pip command that installs them."""
    from sluice.installation import install_command, missing_packages  # noqa: PLC0415  the same

    hint = " `sluice kill FLAG` works without it." if command in ("abort", "rollback") else ""
    packages = ", ".join(missing_packages(extra))
    return (
        f"`sluice {command}` needs the extra {extra!r} (missing: {packages}). "
        f"Run: {install_command(extra)}{hint}"
    )
