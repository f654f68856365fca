"""The part of asyncpg's pool that the router uses; asyncpg ships no types of its own."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

Row = Mapping[str, Any]


class PostgresPool(Protocol):
    """An ``asyncpg.Pool``."""

    async def fetch(self, query: str, *args: object) -> list[Row]: ...

    async def fetchval(self, query: str, *args: object) -> object: ...

    async def execute(self, query: str, *args: object) -> str: ...

    async def executemany(self, command: str, args: Sequence[Sequence[object]]) -> None: ...

    async def close(self) -> None: ...


async def keep_session(_: object) -> None:
    """Leave the session of a released connection as it is: asyncpg's ``reset`` of a pool.

    No statement of ours changes its session, and asyncpg itself ends an open transaction. Its own
    reset is one more round trip for each search.
    """


def split_pooler_option(dsn: str) -> tuple[str, bool]:
    """Return the address without ``pgbouncer=true``, and whether it had the option."""
    parts = urlsplit(dsn)
    options = parse_qsl(parts.query, keep_blank_values=True)
    remaining_options = [(name, value) for name, value in options if name != "pgbouncer"]
    is_pooled = ("pgbouncer", "true") in options
    if len(remaining_options) == len(options):
        return dsn, False
    return urlunsplit(parts._replace(query=urlencode(remaining_options))), is_pooled
