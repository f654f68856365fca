"""Errors of the activities, by whether Temporal retries them.

EffectError
├── TransientError           retried: the world may be back in a moment
│   ├── MetricsUnreachableError   Prometheus: no connection, 5xx, a partial answer
│   │   └── MetricsTimedOutError  Prometheus: no answer in time
│   ├── FlagsUnreachableError     the flag store is out of reach
│   ├── LedgerUnreachableError    Postgres is out of reach
│   ├── ArchiveUnwritableError    the report's directory can't be written
│   ├── NoticeUndeliveredError     a channel is out of reach or overloaded
│   └── CodeUnreachableError       git's remote, a push that lost a race, a deploy hook that failed
└── PermanentError           never retried: trying again gives the same answer
    ├── MetricsQueryError         Prometheus refuses the query, or it gives more than one series
    ├── FlagRefusedError          fenced off, killed, unknown or invalid flag
    ├── LedgerRefusedError        Postgres refuses the entry or the statement
    ├── NoticeRefusedError        a channel isn't configured, or refuses the notice
    ├── CodeConflictError         the revert conflicts with what came later
    └── CodeRefusedError          no clone, no such commit or branch

Adapters turn every error of their driver into one of these; ``temporal_errors`` turns a permanent
one into a non-retryable ApplicationError whose ``type`` is the class's ``kind``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class EffectError(Exception):
    """Base of every error that an adapter raises."""


class TransientError(EffectError):
    """Temporal retries it."""


class PermanentError(EffectError):
    """Trying again gives the same answer."""

    kind: ClassVar[str] = "Permanent"


class MetricsUnreachableError(TransientError):
    """Prometheus can't be reached, is too slow, or failed."""


class MetricsTimedOutError(MetricsUnreachableError):
    """Prometheus did not answer in time: the query may be too slow for it."""


class MetricsQueryError(PermanentError):
    """Prometheus refuses the query, or the query doesn't give one value."""

    kind = "MetricsQuery"


class FlagsUnreachableError(TransientError):
    """The flag store can't be reached; a write may or may not have happened."""


class FlagRefusedError(PermanentError):
    """The store refuses the write: fenced off by a newer one, killed, unknown or invalid."""

    kind = "FlagRefused"


class LedgerUnreachableError(TransientError):
    """Postgres can't be reached: what isn't recorded doesn't count."""


class LedgerRefusedError(PermanentError):
    """Postgres refuses the entry or the statement."""

    kind = "LedgerRefused"


class ArchiveUnwritableError(TransientError):
    """The report can't be written where the plan says; a person can free or grant it meanwhile."""


class NoticeUndeliveredError(TransientError):
    """The channel can't be reached or is overloaded; it may have got the notice all the same."""


class NoticeRefusedError(PermanentError):
    """The channel isn't configured for the worker, or refuses the notice as it is."""

    kind = "NoticeRefused"


class CodeUnreachableError(TransientError):
    """The remote, the push or the deploy hook failed; nothing half-done is left in the clone."""


class CodeConflictError(PermanentError):
    """The revert conflicts: a person must resolve it. Nothing half-done is left in the clone."""

    kind = "CodeConflict"


class CodeRefusedError(PermanentError):
    """No clone is configured, or it knows no such commit or branch."""

    kind = "CodeRefused"


@contextmanager
def temporal_errors() -> Iterator[None]:
    """Let transient errors pass, which Temporal retries; make permanent ones non-retryable."""
    try:
        yield
    except PermanentError as error:
        from temporalio.exceptions import ApplicationError  # noqa: PLC0415  0.2 s, also in commands

        raise ApplicationError(str(error), type=error.kind, non_retryable=True) from error
