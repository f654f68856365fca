"""Time of the commands that read the ledger, on a ledger of a million rows.

A server of its own gets rollouts of many flags: checks, findings and lines of timelines. Each
command then runs as its own process, several times. The headline comes last.

    uv run python -m benchmarks.ledger [--rows 1000000] [--rounds 3]
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.models import CheckRecord, LedgerEntry, ReportRequest
from activities.contract.timeline_ledger import record_events
from sluice.cli.clients.ledger import create_ledger
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import State
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
    ("report", FLAG),
    ("whatif", FLAG, "--set", "ramp-25.latency_p99.threshold=0.8"),
    ("list",),
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


def final_state(plan: RolloutPlan, rollout_id: str, at: datetime) -> LedgerEntry:
    """Return the last state of the rollout, which a report begins with."""
    state = State(rollout_id=rollout_id, run_id="run", plan=plan, started_at=at, finished_at=at)
    request = ReportRequest(state=state, ending="Healthy", at=at)
    return LedgerEntry(
        rollout_id=rollout_id,
        key=request.ledger_key("state"),
        kind="state",
        at=at,
        body=request.model_dump_json(),
    )


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
        await record_events(ledger, rollout_id, [event])
    await ledger.append(final_state(plan, rollout_id, now))
    end = Event(at=now, kind="end", text="Healthy", step="ramp-25", position=CHECKS)
    await record_events(ledger, rollout_id, [end])
    await ledger.close()
    connection = await asyncpg.connect(dsn)
    await connection.execute(FILL, rows, ENTRIES_PER_ROLLOUT, body)
    await connection.execute("ANALYZE sluice_ledger")
    await connection.close()


class Cost(NamedTuple):
    """The seconds of one process from its start to its end, and of its processor time."""

    seconds: float
    processor: float


def time_command(arguments: tuple[str, ...], environment: dict[str, str], folder: Path) -> Cost:
    """Return the cost of one process; a busy machine changes its seconds most."""
    began, before = time.monotonic(), processor_seconds()
    command = (str(Path(sys.executable).parent / "sluice"), *arguments)
    subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    return Cost(time.monotonic() - began, processor_seconds() - before)


def processor_seconds() -> float:
    """Return the processor time of all ended children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def measure(rows: int, rounds: int) -> dict[str, Cost]:
    """Return each command's best time: the machine may be busy."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        stack = Stack(Path(name) / "stack", dict(os.environ))
        try:
            await stack.up(("postgres", "temporal"))
            environment = {**os.environ, **stack.environment(), "SLUICE_HOME": name}
            await create_ledger(stack)
            await fill(stack.ledger_environment(OWNER)["SLUICE_LEDGER_DSN"], rows)
            return {
                command[0]: min(
                    time_command(command, environment, Path(name)) for _ in range(rounds)
                )
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
    costs = asyncio.run(measure(arguments.rows, arguments.rounds))
    for name, cost in costs.items():
        print(f"sluice {name:10} {cost.seconds:.2f} s, {cost.processor:.2f} s of processor time")
    slowest = max(cost.seconds for cost in costs.values())
    print(f"slowest on {arguments.rows} rows: {slowest:.2f} s")
    return 2 if slowest > SECONDS_BAR else 0


if __name__ == "__main__":
    sys.exit(main())
