"""Time of the commands that read the ledger, on a ledger of a million rows.

A server of its own gets rollouts of many flags: checks, findings and lines of timelines. Each
command then runs as its own process, several times. The headline comes last.

    uv run python -m benchmarks.ledger [--rows 1000000] [--rounds 3]
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.models import CheckRecord, LedgerEntry
from sluice.cli.clients.ledger import create_ledger
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.plan.schema import RolloutPlan
from sluice.stack import Stack
from sluice.stack.services.postgres_roles import OWNER

SECONDS_BAR = 0.5
PLAN = Path(__file__).parents[1] / "plans" / "phase4.yaml"
FLAG = "old-flag"
CHECKS = 500
ENTRIES_PER_ROLLOUT = 2000
FILL = """
INSERT INTO sluice_ledger (rollout_id, key, kind, at, body)
SELECT 'rollout-flag-' || number / $2::int || '/run', 'check-' || number, 'check', now(), $3::json
FROM generate_series(1, $1::int) AS number
"""
COMMANDS = (
    ("explain", FLAG, "--last", "20"),
    ("whatif", FLAG, "--set", "ramp-25.latency_p99.threshold=0.8"),
)


def check_record(plan: RolloutPlan, number: int, at: datetime) -> CheckRecord:
    """Return a check of a step, every gate Successful, with its rules."""
    step = plan.step("ramp-25")
    verdicts = tuple(
        Verdict(gate=gate.name, outcome=Outcome.SUCCESSFUL, reason="well", value=0.5, limit=1.0)
        for gate in step.gates
    )
    check = Check(id=f"ramp-25/{number}", at=at, step=step.name, verdicts=verdicts)
    metrics = {gate.metric: plan.metrics[gate.metric] for gate in step.gates}
    return CheckRecord(check=check, gates=step.gates, metrics=metrics)


async def fill(dsn: str, rows: int) -> None:
    """Write one rollout of the flag, then a million rows of others."""
    ledger, plan, now = PostgresLedger(dsn), load_plan(PLAN), datetime.now(UTC)
    rollout_id = f"rollout-{FLAG}/run"
    body = check_record(plan, 0, now).model_dump_json()
    for number in range(CHECKS):
        key = f"check-{number}"
        await ledger.append(
            LedgerEntry(rollout_id=rollout_id, key=key, kind="check", at=now, body=body)
        )
        event = Event(at=now, kind="check", text="Successful", step="ramp-25", position=number)
        await ledger.append(
            LedgerEntry(
                rollout_id=rollout_id,
                key=f"event-{number:06}",
                kind="event",
                at=now,
                body=event.model_dump_json(),
            )
        )
    await ledger.close()
    connection = await asyncpg.connect(dsn)
    await connection.execute(FILL, rows, ENTRIES_PER_ROLLOUT, body)
    await connection.execute("ANALYZE sluice_ledger")
    await connection.close()


def time_command(arguments: tuple[str, ...], environment: dict[str, str]) -> float:
    """Return the seconds of one process from its start to its end."""
    began = time.monotonic()
    command = (str(Path(sys.executable).parent / "sluice"), *arguments)
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    return time.monotonic() - began


async def measure(rows: int, rounds: int) -> dict[str, float]:
    """Return each command's best time: the machine may be busy."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        stack = Stack(Path(name) / "stack", dict(os.environ))
        try:
            await stack.up(("postgres",))
            environment = {**os.environ, **stack.environment()}
            environment["TEMPORAL_ADDRESS"] = "127.0.0.1:9"
            await create_ledger(stack)
            await fill(stack.ledger_environment(OWNER)["SLUICE_LEDGER_DSN"], rows)
            return {
                command[0]: min(time_command(command, environment) for _ in range(rounds))
                for command in COMMANDS
            }
        finally:
            await stack.down()


def main() -> int:
    """Print the figures; exit 2 if a command missed its bar."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    seconds = asyncio.run(measure(arguments.rows, arguments.rounds))
    for name, value in seconds.items():
        print(f"sluice {name:10} {value:.2f} s")
    print(f"slowest on {arguments.rows} rows: {max(seconds.values()):.2f} s")
    return 2 if max(seconds.values()) > SECONDS_BAR else 0


if __name__ == "__main__":
    sys.exit(main())
