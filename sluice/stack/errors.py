"""The errors of the embedded servers.

StackError
├── MissingProgramError   a program or package is not installed; the message has the command that installs it
├── ServiceFailedError    a server or process didn't become healthy; carries the end of its log
│   └── ServiceEndedError  it ended by itself
├── StackBusyError        another command is starting or stopping the same stack
└── UnknownServiceError   a name that is not a service
"""

from pathlib import Path


class StackError(Exception):
    """Base of every error of the embedded stack."""


class MissingProgramError(StackError):
    """A program is not installed."""

    def __init__(self, program: str, install: str) -> None:
        super().__init__(f"{program} is not installed; install it with: {install}")
        self.program = program
        self.install = install


class ServiceFailedError(StackError):
    """A server or process didn't become healthy in time, or ended early."""

    def __init__(self, name: str, reason: str, log: Path, tail: str) -> None:
        super().__init__(f"{name} {reason}; log: {log}" + (f"\n{tail}" if tail else ""))
        self.name = name
        self.log = log


class ServiceEndedError(ServiceFailedError):
    """The server or process ended before it was healthy; starting it again may help."""


class StackBusyError(StackError):
    """Another command holds the lock of the same data folder."""

    def __init__(self, lock: Path, seconds: float) -> None:
        super().__init__(
            f"another sluice command has been starting or stopping this stack for {seconds:.0f} s"
            f" (lock {lock}); wait for it to end or stop it"
        )


class UnknownServiceError(StackError):
    """A name that is not a service or process."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown service {name!r}; known: {', '.join(known) or 'none'}")
