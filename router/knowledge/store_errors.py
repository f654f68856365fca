"""Errors of the stores while records are written."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from neo4j.exceptions import ClientError, DriverError, Neo4jError
from qdrant_client.http.exceptions import UnexpectedResponse

from router.errors import RouterError, StoreUnavailable

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, Neo4jError, DriverError, OSError)


REFUSALS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    ClientError,
    UnexpectedResponse,
)
"""Errors about a record itself: the same write would fail again."""


class StoreWriteFailed(RouterError):  # noqa: N818 - named for what it is, as httpx does
    """A store did not take a batch: run the same command again, it goes on where it was."""


def first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0][:200]


@contextmanager
def store_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise StoreWriteFailed(
            "a store did not answer in time; run the same command again to go on"
        ) from error
    except (*DRIVER_ERRORS, StoreUnavailable) as error:
        raise StoreWriteFailed(
            f"a store failed ({error}); run the same command again to go on"
        ) from error
