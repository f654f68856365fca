"""``sluice verify`` on a real ledger: a row that the owner of the database rewrote shows."""

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information
import pytest

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.models import LedgerEntry
from activities.contract.timeline_ledger import record_events
from sluice.cli.commands.verify import check_recorded, choose_rollout, verify
from sluice.cli.errors import CliError
from sluice.rollout.engine.event_chain import Event, link_event
from sluice.rollout.engine.evidence_chain import EvidenceHead
from sluice.rollout.engine.state import State
from sluice.rollout.plan.loader import parse_plan
from tests.conftest import run_blocking
from tests.free_port import free_port
from tests.workflows.harness import PLAN

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)


def check_rows(rollout_id: str) -> list[LedgerEntry]:
    rows: list[LedgerEntry] = []
    for number in range(3):
        row = LedgerEntry(
            rollout_id=rollout_id,
            key=f"check-{number}",
            kind="check",
            at=NOW + timedelta(minutes=number),
            body=f'{{"value": {number}}}',
        )
        rows.append(row.linked_to(rows[-1].digest if rows else ""))
    return rows


@pytest.fixture
def rollout_id(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Record a rollout of three events and three checks; Temporal is away."""
    name = f"rollout-verify/{uuid.uuid4().hex}"
    monkeypatch.setenv("POSTGRES_DSN", postgres_dsn)
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    rows, events = check_rows(name), list[Event]()
    heads = (EvidenceHead(), EvidenceHead(), EvidenceHead(count=3, digest=rows[-1].digest))
    for minute, (kind, head) in enumerate(zip(("start", "pause", "end"), heads, strict=True)):
        at = NOW + timedelta(minutes=minute)
        event = Event(at=at, kind=kind, text="because", actor="ada", percentage=5, evidence=head)
        events.append(link_event(event, events[-1] if events else None, name))

    async def record() -> None:
        ledger = PostgresLedger(postgres_dsn)
        for row in rows:
            await ledger.append(row)
        await record_events(ledger, name, events)
        await ledger.close()

    run_blocking(record)
    return name


def rewrite(postgres_dsn: str, statement: str, *values: str) -> None:
    """Change the append-only table as its owner can: with its triggers switched off."""

    async def run() -> None:
        connection = await asyncpg.connect(postgres_dsn)
        await connection.execute("SET session_replication_role = replica")
        assert await connection.execute(statement, *values) not in ("UPDATE 0", "DELETE 0")
        await connection.close()

    run_blocking(run)


def test_untouched_record_is_verified(rollout_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    verify(rollout_id)
    shown = capsys.readouterr().out
    assert "pause by ada (unverified): because" in shown
    assert "3 rows of evidence, 3 events in one chain" in shown


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("UPDATE {t} SET body = '{{\"value\": 0}}' WHERE {r} AND key = 'check-1'", "check-1"),
        ("UPDATE {t} SET at = at - interval '1 h' WHERE {r} AND key = 'check-2'", "check-2"),
        ("UPDATE {t} SET kind = 'report' WHERE {r} AND key = 'check-0'", "check-0"),
        ("DELETE FROM {t} WHERE {r} AND key = 'check-1'", "check-2"),
        ("DELETE FROM {t} WHERE {r} AND key = 'check-2'", "1 rows are missing"),
        (
            "INSERT INTO {t} (rollout_id, key, kind, at, body, digest) "
            "SELECT rollout_id, 'check-9', kind, at, body, digest FROM {t} "
            "WHERE {r} AND key = 'check-2'",
            "check-9",
        ),
        (
            "UPDATE {t} SET body = jsonb_set(body::jsonb, '{{actor}}', '\"mallory\"') "
            "WHERE {r} AND key = 'event-000002'",
            "event 2",
        ),
        ("DELETE FROM {t} WHERE {r} AND key = 'event-000001'", "event 1"),
        ("UPDATE {t} SET at = at - interval '1 h' WHERE {r} AND key = 'event-000002'", "event 2"),
        (
            "UPDATE {t} AS a SET body = b.body FROM {t} AS b WHERE a.rollout_id = $1 AND b.{r} "
            "AND (a.key, b.key) IN (('event-000001', 'event-000002'), ('event-000002', 'event-000001'))",
            "event 2: its row is event-000001",
        ),
        (
            "UPDATE {t} SET body = replace(body::text, '{{', '{{\"actor\": \"bob\",')::json "
            "WHERE {r} AND key = 'event-000003'",
            "event 3: a field",
        ),
    ],
)
def test_rewritten_row_shows(change: str, first: str, rollout_id: str, postgres_dsn: str) -> None:
    """Timeline or evidence, altered, moved, removed or inserted: the first bad row is named."""
    statement = change.format(t="sluice_ledger", r="rollout_id = $1")
    rewrite(postgres_dsn, statement, rollout_id)
    with pytest.raises(CliError, match=first):
        verify(rollout_id)


def test_row_added_after_the_end_shows(rollout_id: str, postgres_dsn: str) -> None:
    """A digest that continues the chain does not help once the rollout is over."""
    rows = check_rows(rollout_id)
    added = rows[0].model_copy(update={"key": "check-later"}).linked_to(rows[-1].digest)

    async def append() -> None:
        ledger = PostgresLedger(postgres_dsn)
        await ledger.append(added)
        await ledger.close()

    run_blocking(append)
    with pytest.raises(CliError, match="added after its end: check-later"):
        verify(rollout_id)


def test_removed_last_event_shows_against_a_noted_head(
    rollout_id: str, postgres_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verify(rollout_id)
    head = capsys.readouterr().out.split()[-1]
    statement = "DELETE FROM sluice_ledger WHERE rollout_id = $1 AND key = 'event-000003'"
    rewrite(postgres_dsn, statement, rollout_id)
    verify(rollout_id)  # two events are a chain too
    with pytest.raises(CliError, match="rows are missing"):
        verify(rollout_id, head=head)


def test_copy_in_the_workflow_replaces_no_row(rollout_id: str) -> None:
    """Temporal still has the events of a rollout that ended; the ledger has lost one."""
    first = link_event(Event(at=NOW, kind="start", text="", actor="ada"), None, rollout_id)
    pause = link_event(Event(at=NOW, kind="pause", text="", actor="ada"), first, rollout_id)
    end = link_event(Event(at=NOW, kind="end", text=""), pause, rollout_id)
    check = partial(check_recorded, events=(first, pause, end), rollout_id=rollout_id)
    assert check((first, pause, end)) == 0
    assert check_recorded((first,), (first, pause), rollout_id) == 1, "written with the next check"
    for recorded, message in (
        ((first, end), "event 2: found event 3"),
        ((first, pause), "event 3 is not in the ledger"),
        ((), "event 1 is not in the ledger"),
    ):
        with pytest.raises(CliError, match=message):
            check(recorded)


def test_latest_rollout_is_the_one_that_temporal_has(rollout_id: str) -> None:
    """After its rows were removed, the ledger would answer with an older rollout."""
    plan = parse_plan(PLAN)
    latest = State(rollout_id="rollout-verify/new", run_id="new", plan=plan, started_at=NOW)
    assert choose_rollout("verify", rollout_id, latest) == "rollout-verify/new"
    assert choose_rollout(rollout_id, rollout_id, latest) == rollout_id
    assert choose_rollout("verify", rollout_id, None) == rollout_id
