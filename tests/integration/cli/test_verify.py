"""``sluice verify`` on a real ledger: a row that the owner of the database rewrote shows."""

import uuid
from datetime import UTC, datetime, timedelta

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information
import pytest

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.timeline_ledger import record_events
from sluice.cli.commands.verify import verify
from sluice.cli.errors import CliError
from sluice.rollout.engine.event_chain import Event, link_event
from tests.conftest import run_blocking
from tests.free_port import free_port

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)


@pytest.fixture
def rollout_id(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Record a rollout of three events; Temporal is away."""
    name = f"rollout-verify/{uuid.uuid4().hex}"
    monkeypatch.setenv("POSTGRES_DSN", postgres_dsn)
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    events: list[Event] = []
    for minute, kind in enumerate(("start", "pause", "abort")):
        at = NOW + timedelta(minutes=minute)
        event = Event(at=at, kind=kind, text="because", actor="ada", percentage=5)
        events.append(link_event(event, events[-1] if events else None, name))

    async def record() -> None:
        ledger = PostgresLedger(postgres_dsn)
        await record_events(ledger, name, events)
        await ledger.close()

    run_blocking(record)
    return name


def rewrite(postgres_dsn: str, statement: str, *values: str) -> None:
    """Change the append-only table as its owner can: with its triggers switched off."""

    async def run() -> None:
        connection = await asyncpg.connect(postgres_dsn)
        await connection.execute("SET session_replication_role = replica")
        assert await connection.execute(statement, *values) != "UPDATE 0"
        await connection.close()

    run_blocking(run)


def test_untouched_record_is_verified(rollout_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    verify(rollout_id)
    shown = capsys.readouterr().out
    assert "abort by ada (unverified): because" in shown
    assert "3 events in one chain" in shown


def test_forged_name_shows(rollout_id: str, postgres_dsn: str) -> None:
    """The attack that ``explain`` alone repeats as if it were true."""
    statement = """
        UPDATE sluice_ledger SET body = jsonb_set(body::jsonb, '{actor}', '"mallory"')
        WHERE rollout_id = $1 AND key = 'event-000002'
    """
    rewrite(postgres_dsn, statement, rollout_id)
    with pytest.raises(CliError, match="event 2"):
        verify(rollout_id)


def test_removed_last_row_shows_against_a_noted_head(
    rollout_id: str, postgres_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verify(rollout_id)
    head = capsys.readouterr().out.split()[-1]
    statement = "DELETE FROM sluice_ledger WHERE rollout_id = $1 AND key = 'event-000003'"
    rewrite(postgres_dsn, statement, rollout_id)
    verify(rollout_id)  # two events are a chain too
    with pytest.raises(CliError, match="rows are missing"):
        verify(rollout_id, head=head)
