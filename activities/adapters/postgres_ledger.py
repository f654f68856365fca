"""The append-only evidence in Postgres."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information

from activities.contract.errors import LedgerRefusedError, LedgerUnreachableError
from activities.contract.models import LedgerEntry, LedgerKind

CONNECT_SECONDS_MAX = 2.0
STATEMENT_SECONDS_MAX = 5.0
CONNECTIONS_MAX = 4
# SQLSTATE classes in which trying again gives the same answer: data, integrity, syntax or access.
_PERMANENT_CLASSES = ("22", "23", "42")
_STATEMENT_PATTERN = re.compile(
    r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL
)


def _load_statements() -> dict[str, str]:
    text = files("activities.adapters").joinpath("postgres_ledger.sql").read_text(encoding="utf-8")
    return dict(_STATEMENT_PATTERN.findall(text))


class PostgresLedger:
    """One table, ``sluice_ledger``, which refuses UPDATE, DELETE and TRUNCATE.

    Connects at first use and makes its table then, so a worker starts while Postgres is away. A
    role that does not own the table needs SELECT, and to write INSERT (``grant``).
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.statements = _load_statements()
        self._pool_lock = asyncio.Lock()
        self._pool: asyncpg.Pool | None = None

    async def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def append(self, entry: LedgerEntry) -> LedgerEntry:
        """Add the entry, or keep the one that is there; return what the table holds.

        Raises:
            LedgerUnreachableError: transient.
            LedgerRefusedError: permanent.
        """
        row = (entry.rollout_id, entry.key, entry.kind, entry.at, entry.body, entry.digest)
        async with self._connection() as connection:
            await connection.execute(self.statements["append"], *row)
            stored = await connection.fetchrow(self.statements["get"], entry.rollout_id, entry.key)
        return _entry(stored)

    async def entries(self, rollout_id: str, kind: LedgerKind) -> Sequence[LedgerEntry]:
        """Return all entries of one kind, oldest first.

        Raises:
            LedgerUnreachableError: transient.
        """
        async with self._connection() as connection:
            rows = await connection.fetch(self.statements["entries"], rollout_id, kind)
        return [_entry(row) for row in rows]

    async def evidence(self, rollout_id: str) -> Sequence[LedgerEntry]:
        """Return all entries but events, in the order of writing.

        Raises:
            LedgerUnreachableError: transient.
        """
        async with self._connection() as connection:
            rows = await connection.fetch(self.statements["evidence"], rollout_id)
        return [_entry(row) for row in rows]

    async def endings(self, prefix: str) -> Sequence[LedgerEntry]:
        """Return the last states of ended rollouts whose id starts with ``prefix``, newest first.

        Raises:
            LedgerUnreachableError: transient.
        """
        async with self._connection() as connection:
            rows = await connection.fetch(self.statements["endings"], prefix)
        return [_entry(row) for row in rows]

    async def latest_rollout_id(self, prefix: str) -> str | None:
        """Return the id of the rollout that wrote last among those whose id starts with ``prefix``.

        Raises:
            LedgerUnreachableError: transient.
        """
        async with self._connection() as connection:
            newest: str | None = await connection.fetchval(self.statements["newest"])
            if newest is not None and newest.startswith(prefix):
                return newest
            latest: str | None = await connection.fetchval(self.statements["latest"], prefix)
        return latest

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        with _driver_errors():
            pool = await self._open_pool()
            async with pool.acquire(timeout=CONNECT_SECONDS_MAX) as connection:
                yield connection

    async def _open_pool(self) -> asyncpg.Pool:
        async with self._pool_lock:
            if self._pool is None:
                self._pool = await self._create_pool()
            return self._pool

    async def grant(self, writers: Sequence[str], readers: Sequence[str]) -> None:
        """Let existing roles use the table of this connection's role, and nobody else.

        Raises:
            LedgerRefusedError: this role does not own the table, or a role does not exist.
        """
        async with self._connection() as connection, connection.transaction():
            await connection.execute(self.statements["revoke_all"])
            for name, roles in (("grant_writer", writers), ("grant_reader", readers)):
                for role in roles:
                    quoted = '"' + role.replace('"', '""') + '"'
                    await connection.execute(self.statements[name].format(role=quoted))

    async def _create_schema(self, connection: asyncpg.Connection) -> None:
        """Create or renew the table; one that another role owns is used as it is."""
        if await connection.fetchval(self.statements["is_current"]):
            return
        # Two workers may start at once; CREATE IF NOT EXISTS alone races.
        await connection.execute(self.statements["lock_schema"])
        if await connection.fetchval(self.statements["ownership"]) is not False:
            await connection.execute(self.statements["schema"])

    async def _create_pool(self) -> asyncpg.Pool:
        pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=CONNECTIONS_MAX,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=STATEMENT_SECONDS_MAX,
        )
        try:
            async with pool.acquire() as connection, connection.transaction():
                await self._create_schema(connection)
        except BaseException:
            pool.terminate()
            raise
        return pool


def _entry(row: asyncpg.Record) -> LedgerEntry:
    return LedgerEntry.model_validate(dict(row))


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise ledger_error(error) from error
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        raise ledger_error(error) from error


def ledger_error(error: Exception) -> LedgerRefusedError | LedgerUnreachableError:
    """Return the port's error: permanent when Postgres refuses the statement or the data."""
    sqlstate = getattr(error, "sqlstate", None) or ""
    if isinstance(error, ValueError) or sqlstate[:2] in _PERMANENT_CLASSES:
        return LedgerRefusedError(f"Postgres refuses the ledger entry: {error}")
    reason = str(error) or type(error).__name__
    return LedgerUnreachableError(f"Postgres can't be reached for the ledger: {reason}")
