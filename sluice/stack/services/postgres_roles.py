"""The roles of the embedded Postgres: nobody but its administrator may change the ledger."""

from collections.abc import Mapping
from importlib.resources import files

import asyncpg  # type: ignore[import-untyped]  # it ships no types

ROUTER, LEDGER = "router", "ledger"
OWNER, WRITER, READER = "ledger_owner", "ledger_worker", "ledger_reader"
ROLES = (ROUTER, OWNER, WRITER, READER)


async def create_roles(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """Create the roles and the ledger's database, or renew their rights. Repeated at each start.

    Afterwards ``router`` owns the tables of the database ``postgres``. The database ``ledger``
    admits its own roles alone, and its owner creates the table (``sluice ledger grant``).
    """
    connection = await asyncpg.connect(admin_dsn)
    try:
        for role, password in passwords.items():
            await _create_role(connection, role, password)
        await connection.execute(_statements("router_rights"))
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", LEDGER):
            await connection.execute(f"CREATE DATABASE {LEDGER} OWNER {OWNER}")
        await connection.execute(_statements("ledger_rights"))
    finally:
        await connection.close()


async def _create_role(connection: asyncpg.Connection, role: str, password: str) -> None:
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    template = f"{'ALTER' if exists else 'CREATE'} ROLE %I LOGIN PASSWORD %L"
    statement = "SELECT format($1::text, $2::text, $3::text)"
    await connection.execute(await connection.fetchval(statement, template, role, password))


def _statements(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
