"""Least privilege in ``sluice up``: no process may rewrite the record of who decided."""

from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information
import pytest

from sluice.cli.clients.ledger import create_ledger
from sluice.stack import Stack
from sluice.stack.services.postgres_roles import WRITER
from tests.conftest import run_blocking

pytestmark = pytest.mark.integration
INSERT = """
    INSERT INTO sluice_ledger (rollout_id, key, kind, at, body)
    VALUES ('rollout-roles/1', 'check-1', 'check', now(), '{}') ON CONFLICT DO NOTHING
"""
FORGERIES = (
    "UPDATE sluice_ledger SET body = '{}'",
    "DELETE FROM sluice_ledger",
    "TRUNCATE sluice_ledger",
    "SET session_replication_role = replica",
    "ALTER TABLE sluice_ledger DISABLE TRIGGER ALL",
    "DROP TRIGGER sluice_ledger_append_only ON sluice_ledger",
    "SET ROLE ledger_owner",
    "CREATE TABLE other (a int)",
)


@pytest.fixture(scope="module")
def addresses(shared_stack: Stack, postgres_dsn: str) -> dict[str, str]:
    """Return the addresses that each kind of process is given."""
    run_blocking(lambda: create_ledger(shared_stack))
    run_blocking(lambda: create_ledger(shared_stack))  # each `sluice up` repeats it
    environment = shared_stack.environment()
    return {
        "router": environment["POSTGRES_DSN"],
        "console": environment["SLUICE_LEDGER_DSN"],
        "worker": shared_stack.ledger_environment(WRITER)["SLUICE_LEDGER_DSN"],
    }


async def execute(dsn: str, statement: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        status: str = await connection.execute(statement)
    finally:
        await connection.close()
    return status


async def test_worker_adds_and_console_reads(addresses: dict[str, str]) -> None:
    await execute(addresses["worker"], INSERT)
    assert await execute(addresses["console"], "SELECT * FROM sluice_ledger LIMIT 1") == "SELECT 1"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(addresses["console"], INSERT)


@pytest.mark.parametrize("process", ["worker", "console"])
@pytest.mark.parametrize("statement", FORGERIES)
async def test_nobody_rewrites_the_ledger(
    process: str, statement: str, addresses: dict[str, str]
) -> None:
    """Neither a stolen address of the worker nor one of the console changes what is recorded."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(addresses[process], statement)


async def test_router_stores_its_own_and_cannot_enter_the_ledger(
    addresses: dict[str, str],
) -> None:
    dsn = addresses["router"]
    await execute(dsn, "CREATE TABLE roles_test (v vector(2)); DROP TABLE roles_test")
    ledger = urlunsplit(urlsplit(dsn)._replace(path="/ledger"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(ledger, "SELECT 1")


async def test_router_creates_databases_for_data_but_no_copy_of_the_ledger(
    addresses: dict[str, str],
) -> None:
    """A team loads its own database beside, by the address that `sluice up` prints."""
    dsn = addresses["router"]
    await execute(dsn, "CREATE DATABASE roles_test TEMPLATE template0 ENCODING 'UTF8'")
    await execute(dsn, "DROP DATABASE roles_test")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(dsn, "CREATE DATABASE roles_copy TEMPLATE ledger")
