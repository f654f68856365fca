"""Every error that can reach Temporal is either retried or not, and we said which."""

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information
import pytest
from temporalio.exceptions import ApplicationError

from activities.adapters.postgres_ledger import ledger_error
from activities.adapters.stored_flags import flag_error
from activities.contract import errors
from activities.contract.errors import EffectError, PermanentError, TransientError, temporal_errors
from sluice.flags import (
    FencedError,
    FlagError,
    FlagExistsError,
    FlagStoreError,
    InvalidFlagError,
    KilledError,
    UnknownFlagError,
)

LEAF_ERRORS = [
    error
    for error in vars(errors).values()
    if isinstance(error, type)
    and issubclass(error, EffectError)
    and error not in (EffectError, PermanentError, TransientError)
]


@pytest.mark.parametrize("error", LEAF_ERRORS)
def test_every_error_is_transient_or_permanent(error: type[EffectError]) -> None:
    assert issubclass(error, TransientError) != issubclass(error, PermanentError)


def test_kinds_of_permanent_errors_differ() -> None:
    kinds = [error.kind for error in LEAF_ERRORS if issubclass(error, PermanentError)]
    assert {"FlagRefused", "LedgerRefused", "MetricsQuery"} < set(kinds)
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("error", LEAF_ERRORS)
def test_temporal_retries_only_the_transient(error: type[EffectError]) -> None:
    with pytest.raises((ApplicationError, TransientError)) as raised, temporal_errors():
        raise error("why")
    if issubclass(error, PermanentError):
        assert isinstance(raised.value, ApplicationError)
        assert raised.value.non_retryable
        assert raised.value.type == error.kind
    else:
        assert type(raised.value) is error


def test_every_flag_error_is_mapped() -> None:
    mapped = {error: type(flag_error(error("why"))) for error in FlagError.__subclasses__()}
    refused = {
        FencedError,
        FlagExistsError,
        InvalidFlagError,
        KilledError,
        UnknownFlagError,
    }
    assert mapped.pop(FlagStoreError) is errors.FlagsUnreachableError
    assert refused <= set(mapped)
    assert set(mapped.values()) == {errors.FlagRefusedError}


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (asyncpg.InvalidTextRepresentationError("bad json"), True),
        (asyncpg.UniqueViolationError("twice"), True),
        (asyncpg.InsufficientPrivilegeError("no grant"), True),
        (asyncpg.DataError("no text"), True),
        (asyncpg.exceptions.ClientConfigurationError("bad dsn"), True),
        (asyncpg.CannotConnectNowError("starting"), False),
        (asyncpg.TooManyConnectionsError("full"), False),
        (asyncpg.InvalidPasswordError("rotated"), False),
        (asyncpg.DiskFullError("full"), False),
        (asyncpg.SerializationError("race"), False),
        (asyncpg.AdminShutdownError("restart"), False),
        (asyncpg.ConnectionDoesNotExistError("lost"), False),
        (asyncpg.InterfaceError("pool is closed"), False),
        (asyncpg.exceptions.ProtocolError("garbage"), False),
        (ConnectionRefusedError("refused"), False),
        (TimeoutError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_postgres_errors_are_mapped(error: Exception, permanent: bool) -> None:
    assert isinstance(ledger_error(error), PermanentError) is permanent
