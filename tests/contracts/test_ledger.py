"""The contract of ledgers: the in-memory double and Postgres run the same tests."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information
import pytest

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.errors import LedgerRefusedError, LedgerUnreachableError
from activities.contract.models import LedgerEntry
from activities.contract.ports import Ledger
from activities.doubles.ledger import MemoryLedger

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    postgres = PostgresLedger(request.getfixturevalue("postgres_dsn"))
    yield postgres
    await postgres.close()


@pytest.fixture
def rollout() -> str:
    return f"rollout-{uuid.uuid4()}"


def entry(
    rollout: str, key: str = "a", minutes: int = 0, body: str = '{"b": 1,  "a": 2}'
) -> LedgerEntry:
    at = AT + timedelta(minutes=minutes)
    return LedgerEntry(rollout_id=rollout, key=key, kind="check", at=at, body=body)


async def test_keeps_the_exact_text(ledger: Ledger, rollout: str) -> None:
    wanted = entry(rollout)
    assert await ledger.append(wanted) == wanted
    assert list(await ledger.entries(rollout, "check")) == [wanted]


async def test_the_first_entry_of_a_key_stays(ledger: Ledger, rollout: str) -> None:
    first = await ledger.append(entry(rollout, body='{"try": 1}'))
    assert await ledger.append(entry(rollout, minutes=1, body='{"try": 2}')) == first
    assert list(await ledger.entries(rollout, "check")) == [first]


async def test_racing_writers_agree_on_one_entry(ledger: Ledger, rollout: str) -> None:
    bodies = [f'{{"try": {number}}}' for number in range(8)]
    kept = await asyncio.gather(*(ledger.append(entry(rollout, body=body)) for body in bodies))
    assert len({one.body for one in kept}) == 1


async def test_the_rollout_that_wrote_last_is_found_by_the_beginning_of_its_id(
    ledger: Ledger, rollout: str
) -> None:
    assert await ledger.latest_rollout_id(f"{rollout}/") is None
    for run in ("1", "2"):
        await ledger.append(entry(f"{rollout}/{run}"))
    assert await ledger.latest_rollout_id(f"{rollout}/") == f"{rollout}/2"


async def test_last_states_are_found_by_the_beginning_of_their_id(
    ledger: Ledger, rollout: str
) -> None:
    for run in ("1", "2"):
        await ledger.append(entry(f"{rollout}/{run}"))
        state = entry(f"{rollout}/{run}", "state").model_copy(update={"kind": "state"})
        await ledger.append(state)
    await ledger.append(entry(f"{rollout}x/1", "state").model_copy(update={"kind": "state"}))
    found = [one.rollout_id for one in await ledger.endings(f"{rollout}/")]
    assert found == [f"{rollout}/2", f"{rollout}/1"]


async def test_lists_one_rollout_and_kind_oldest_first(ledger: Ledger, rollout: str) -> None:
    late, early = entry(rollout, "late", 5), entry(rollout, "early", 1)
    for one in (late, early, entry(f"{rollout}-other")):
        await ledger.append(one)
    assert list(await ledger.entries(rollout, "check")) == [early, late]
    assert list(await ledger.entries(rollout, "report")) == []


async def test_lists_evidence_in_the_order_of_writing(ledger: Ledger, rollout: str) -> None:
    """The hash chain follows this order, whatever the rows' times are."""
    late = entry(rollout, "late", 5).linked_to("")
    early = entry(rollout, "early", 1).linked_to(late.digest)
    event = entry(rollout, "event").model_copy(update={"kind": "event"})
    for one in (late, event, early):
        await ledger.append(one)
    assert list(await ledger.evidence(rollout)) == [late, early]


async def test_a_body_that_is_not_json_is_rejected(ledger: Ledger, rollout: str) -> None:
    with pytest.raises(LedgerRefusedError):
        await ledger.append(entry(rollout, body="not json"))


@pytest.mark.integration
@pytest.mark.parametrize(
    "statement",
    ["UPDATE sluice_ledger SET body = '{}'", "DELETE FROM sluice_ledger", "TRUNCATE sluice_ledger"],
)
async def test_postgres_refuses_to_change_evidence(
    postgres_dsn: str, rollout: str, statement: str
) -> None:
    ledger = PostgresLedger(postgres_dsn)
    await ledger.append(entry(rollout))
    connection = await asyncpg.connect(postgres_dsn)
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
            await connection.execute(statement)
    finally:
        await connection.close()
        await ledger.close()


@pytest.mark.integration
async def test_two_workers_may_make_the_table_at_once(postgres_dsn: str, rollout: str) -> None:
    ledgers = [PostgresLedger(postgres_dsn) for _ in range(4)]
    await asyncio.gather(*(ledger.append(entry(rollout)) for ledger in ledgers))
    for ledger in ledgers:
        await ledger.close()


async def test_an_absent_postgres_is_transient(unused_tcp_port: int, rollout: str) -> None:
    ledger = PostgresLedger(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none")
    with pytest.raises(LedgerUnreachableError, match="can't be reached"):
        await ledger.append(entry(rollout))


@pytest.fixture
async def owner_dsn(postgres_dsn: str) -> AsyncIterator[str]:
    """Create a database of its own with the roles of a careful installation."""
    name = f"ledger_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_dsn)
    for role in ("owner", "worker", "console", "router"):
        await admin.execute(f"CREATE ROLE {name}_{role} LOGIN PASSWORD 'secret'")
    await admin.execute(f"CREATE DATABASE {name} OWNER {name}_owner")
    yield _with_role(postgres_dsn, name, "owner")
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    for role in ("owner", "worker", "console", "router"):
        await admin.execute(f"DROP ROLE {name}_{role}")
    await admin.close()


def _with_role(dsn: str, database: str, role: str) -> str:
    host = dsn.rpartition("@")[2].partition("/")[0]
    return f"postgresql://{database}_{role}:secret@{host}/{database}"


@pytest.mark.integration
async def test_worker_adds_and_reads_and_can_change_nothing(owner_dsn: str, rollout: str) -> None:
    """The worker's role cannot touch a row or a trigger; the console reads; the router does neither."""
    database = owner_dsn.rpartition("/")[2]
    roles = {
        role: _with_role(owner_dsn, database, role) for role in ("worker", "console", "router")
    }
    ledgers = {role: PostgresLedger(dsn) for role, dsn in roles.items()}
    owner = PostgresLedger(owner_dsn)
    await owner.grant([f"{database}_worker"], [f"{database}_console"])
    wanted = entry(rollout)
    assert await ledgers["worker"].append(wanted) == wanted
    assert list(await ledgers["console"].entries(rollout, "check")) == [wanted]
    for role in ("console", "router"):
        with pytest.raises(LedgerRefusedError, match="permission denied"):
            await ledgers[role].append(entry(rollout, key="b"))
    with pytest.raises(LedgerRefusedError, match="permission denied"):
        await ledgers["router"].entries(rollout, "check")
    connection = await asyncpg.connect(roles["worker"])
    for statement in (
        "UPDATE sluice_ledger SET body = '{}'",
        "DELETE FROM sluice_ledger",
        "TRUNCATE sluice_ledger",
        "ALTER TABLE sluice_ledger DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TABLE sluice_ledger",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()
    for each in (owner, *ledgers.values()):
        await each.close()


@pytest.mark.integration
async def test_no_query_reads_the_whole_ledger(postgres_dsn: str, rollout: str) -> None:
    """A million rows: each statement walks an index, also back to a rollout that ended long ago."""
    ledger = PostgresLedger(postgres_dsn)
    await ledger.append(entry(rollout))
    connection = await asyncpg.connect(postgres_dsn)
    try:
        await connection.execute("SET enable_seqscan = off")
        for name, arguments in (
            ("latest", (f"{rollout}",)),
            ("newest", ()),
            ("entries", (rollout, "check")),
            ("get", (rollout, "a")),
        ):
            rows = await connection.fetch(f"EXPLAIN {ledger.statements[name]}", *arguments)
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan on sluice_ledger" not in plan, f"{name}:\n{plan}"
    finally:
        await connection.close()
        await ledger.close()


@pytest.mark.integration
async def test_an_old_rollout_is_found_among_many(postgres_dsn: str, rollout: str) -> None:
    ledger = PostgresLedger(postgres_dsn)
    for name in (f"{rollout}/1", f"{rollout}/2", f"{rollout}x/1", f"{rollout}é/1", "zzz/1"):
        await ledger.append(entry(name))
    assert await ledger.latest_rollout_id(f"{rollout}/") == f"{rollout}/2"
    assert await ledger.latest_rollout_id("zzz/") == "zzz/1"
    assert await ledger.latest_rollout_id(f"{rollout}-none/") is None
    await ledger.close()
