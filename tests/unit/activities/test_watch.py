"""The watch returns for what is wrong, for nothing else, and survives everything else."""

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.adapters.stored_flags import flag_receipt
from activities.contract.errors import (
    FlagsUnreachableError,
    MetricsUnreachableError,
)
from activities.contract.models import WatchCheckpoint, WatchRequest
from activities.doubles.flags import MemoryFlags
from activities.doubles.metrics import MemoryMetrics
from activities.watch import WatchActivities
from sluice.flags import FlagDocument, FlagState
from sluice.rollout.analysis.failure_runs import FailureRun
from sluice.rollout.analysis.gate import Gate, Metric, Severity
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.engine.state import Finding

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FLAG = "phase4"


async def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen within 5 s")


class WatchWorld:
    """Everything a watch looks at, at 25 % and healthy until a test changes it."""

    def __init__(self) -> None:
        self.metrics = MemoryMetrics({"errors": 0.01})
        self.flags = MemoryFlags()
        self.heartbeats: list[WatchCheckpoint] = []
        self.environment = ActivityEnvironment()
        self.environment.on_heartbeat = self._record_heartbeat

    def _record_heartbeat(self, *details: Any) -> None:  # noqa: ANN401  whatever the activity sends
        self.heartbeats.append(WatchCheckpoint.model_validate(details[0]))

    async def set_percentage(self, percentage: float, sequence: int = 1) -> None:
        await self.flags.apply(
            FlagWrite(
                environment="default",
                flag=FLAG,
                run_id="run",
                sequence=sequence,
                actor="sluice",
                reason="",
                percentage=percentage,
                create=True,
            )
        )

    async def watch(self, *red_flags: Gate, **fields: object) -> Finding:
        activities = WatchActivities(self.metrics, self.flags, lambda: AT)
        request = WatchRequest.model_validate(
            {
                "rollout_id": "r",
                "step": "canary",
                "environment": "default",
                "flag": FLAG,
                "percentage": 25.0,
                "interval_seconds": 0.01,
                "metrics": {"errors": Metric(query="errors", unit="ratio")},
                "red_flags": red_flags or (red_flag(),),
                "baseline": {},
                **fields,
            }
        )
        async with asyncio.timeout(5):
            end = await self.environment.run(activities.watch, request)
        assert end.finding is not None
        return end.finding

    async def assert_no_finding(self, *red_flags: Gate, **fields: object) -> None:
        """Run the watch for at least twenty polls."""
        task = asyncio.create_task(self.watch(*red_flags, **fields))
        await self.wait_for_polls(20)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def wait_for_polls(self, count: int) -> None:
        seen = len(self.metrics.queries)
        await wait_until(lambda: len(self.metrics.queries) >= seen + count)


@pytest.fixture
async def world() -> WatchWorld:
    world = WatchWorld()
    await world.set_percentage(25)
    return world


def red_flag(**fields: object) -> Gate:
    defaults = {"metric": "errors", "threshold": "5%", "window": "1m"}
    return Gate.model_validate({**defaults, **fields})


async def test_fires_when_the_limit_is_broken(world: WatchWorld) -> None:
    world.metrics.answers["errors"] = 0.2
    finding = await world.watch()
    assert (finding.kind, finding.name, finding.seen_at) == ("red_flag", "errors", AT)
    assert finding.verdict.outcome is Outcome.FAILED
    assert finding.gate == red_flag()


async def test_a_healthy_step_is_watched_on(world: WatchWorld) -> None:
    await world.assert_no_finding()
    assert world.heartbeats[-1].failure_runs == {}


async def test_a_row_of_failures_is_needed_when_asked_for(world: WatchWorld) -> None:
    world.metrics.answers["errors"] = 0.2
    await world.assert_no_finding(red_flag(consecutive=2))  # its clock is frozen: one window


async def test_another_worker_goes_on_counting(world: WatchWorld) -> None:
    world.metrics.answers["errors"] = 0.2
    notes = WatchCheckpoint(
        failure_runs={"errors": FailureRun(count=2, at=AT - timedelta(hours=1))}
    ).model_dump(mode="json")
    world.environment.info = dataclasses.replace(world.environment.info, heartbeat_details=[notes])
    await world.watch(red_flag(consecutive=3))
    assert [promql for promql, _ in world.metrics.queries].count("errors") == 1


@pytest.mark.parametrize("fields", [{"dry_run": True}, {"name": "seen"}])
async def test_dry_runs_and_noted_ones_never_fire(
    world: WatchWorld, fields: dict[str, object]
) -> None:
    world.metrics.answers["errors"] = 0.2
    steady = red_flag(name="steady", threshold="50%")
    await world.assert_no_finding(red_flag(**fields), steady, muted_findings=("seen",))


async def test_no_data_fires_only_what_says_so(world: WatchWorld) -> None:
    world.metrics.answers["errors"] = None
    await world.assert_no_finding()
    assert (await world.watch(red_flag(on_no_data="fail"))).kind == "red_flag"


async def test_an_unreachable_prometheus_fires_nothing_and_is_reported(world: WatchWorld) -> None:
    world.metrics.down = MetricsUnreachableError("Prometheus is away")
    await world.assert_no_finding(red_flag(on_no_data="fail"))
    await _heartbeat_with(world, lambda notes: "Prometheus is away" in notes.problem)


async def test_flag_store_away_fires_nothing_and_hides_no_red_flag(world: WatchWorld) -> None:
    class Away(MemoryFlags):
        async def read(self, environment: str, flag: str) -> FlagReceipt | None:
            raise FlagsUnreachableError("Redis is away")

    world.flags = Away()
    await world.assert_no_finding()
    await _heartbeat_with(world, lambda notes: "Redis is away" in notes.problem)
    world.metrics.answers["errors"] = 0.2
    assert (await world.watch()).kind == "red_flag"


async def _heartbeat_with(world: WatchWorld, wanted: Callable[[WatchCheckpoint], bool]) -> None:
    """Watch until a heartbeat carries what is wanted."""
    task = asyncio.create_task(world.watch())
    await wait_until(lambda: bool(world.heartbeats) and wanted(world.heartbeats[-1]))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_kill_is_found_at_once(world: WatchWorld) -> None:
    await world.flags.environment("default").kill(FLAG)
    finding = await world.watch()
    assert (finding.kind, finding.verdict.severity) == ("killed", Severity.P0)
    assert [promql for promql, _ in world.metrics.queries].count("errors") == 1


@pytest.mark.parametrize(
    ("stored", "severity"), [(50.0, Severity.P0), (5.0, Severity.P1), (0.0, Severity.P1)]
)
async def test_another_percentage_is_found_in_two_turns(
    world: WatchWorld, stored: float, severity: Severity
) -> None:
    await world.flags.environment("default").set_rollout_percentage(FLAG, stored)
    finding = await world.watch()
    assert (finding.kind, finding.verdict.severity) == ("flag_drift", severity)
    assert f"is at {stored:g} % in the store, the rollout set 25 %" in finding.verdict.reason
    assert [promql for promql, _ in world.metrics.queries].count("errors") == 2


async def test_a_missing_flag_is_found(world: WatchWorld) -> None:
    await world.flags.environment("default").delete_flag(FLAG)
    finding = await world.watch()
    assert (finding.kind, finding.verdict.severity) == ("flag_drift", Severity.P1)


async def test_no_flag_is_expected_before_it_is_created(world: WatchWorld) -> None:
    await world.flags.environment("default").delete_flag(FLAG)
    await world.assert_no_finding(percentage=None)


async def test_a_noted_difference_stays_silent(world: WatchWorld) -> None:
    await world.flags.environment("default").set_rollout_percentage(FLAG, 5)
    await world.assert_no_finding(muted_findings=("flag_drift",))


async def test_the_worst_finding_of_a_turn_is_returned(world: WatchWorld) -> None:
    world.metrics.answers["errors"] = 0.2
    await world.flags.environment("default").kill(FLAG)
    finding = await world.watch(red_flag(severity="P2"))
    assert finding.kind == "killed"


async def test_heartbeats_carry_the_readings(world: WatchWorld) -> None:
    await _heartbeat_with(world, lambda notes: "errors 1.00% is below 5.00%" in notes.readings[:1])


async def test_a_flag_ahead_of_its_workflow_is_found_after_a_reset(world: WatchWorld) -> None:
    """A reset takes the workflow back; what the store holds was written by its lost future."""
    await world.set_percentage(25)
    found = await world.watch(run_id="run", sequence=0, percentage=None)
    assert (found.kind, found.verdict.severity, found.sequence) == ("flag_drift", Severity.P0, 1)
    assert "was reset" in found.verdict.reason


@pytest.mark.parametrize(
    ("learning", "flags_on", "severity"), [(True, False, Severity.P0), (False, False, Severity.P1)]
)
async def test_phases_that_the_rollout_did_not_set_are_found(
    world: WatchWorld, learning: bool, flags_on: bool, severity: Severity
) -> None:
    """Permanence treats everybody whatever the percentage; phases that are off treat nobody."""
    both = {"enable_feature_flags": True, "enable_online_learning": True}
    write = FlagWrite.model_validate(
        {
            "environment": "default",
            "flag": FLAG,
            "run_id": "run",
            "sequence": 1,
            "actor": "sluice",
            "reason": "",
            "percentage": 25,
            "create": True,
            "phases": both,
        }
    )
    await world.flags.apply(write)
    await world.flags.environment("default").set_phases(
        {"enable_feature_flags": flags_on, "enable_online_learning": learning}
    )
    found = await world.watch(phases=both)
    assert (found.kind, found.verdict.severity) == ("flag_drift", severity)
    assert "phases" in found.verdict.reason


async def test_a_kill_in_the_cleanup_reaches_the_rollout(world: WatchWorld) -> None:
    await world.set_percentage(100, sequence=2)
    await world.flags.environment("default").kill(FLAG)
    found = await world.watch(percentage=None, is_permanent=True, run_id="run", sequence=2)
    assert found.kind == "killed"


def test_default_for_everybody_is_a_share_of_all_users() -> None:
    """A raw write of ``default_enabled`` raises the flag without its percentage: it is drift."""
    flag = FlagState(name="learning", rollout_percentage=5, default_enabled=True)
    document = FlagDocument(flags={"learning": flag})
    assert flag_receipt(document, "learning").percentage == 100
    killed = FlagDocument(flags={"learning": flag.model_copy(update={"killed": True})})
    assert flag_receipt(killed, "learning").percentage == 5
