"""After a flag's deletion no process may ask for it any more."""

from activities.doubles.flags import MemoryFlags
from sluice.rollout.analysis.gate import Severity
from tests.unit.activities.test_watch import WatchWorld, red_flag


class AskedFlags(MemoryFlags):
    """Flags that two processes ask for."""

    async def askers(self, environment: str, flag: str) -> tuple[str, ...]:
        return ("web-1", "web-2")


async def test_a_process_that_still_asks_for_the_deleted_flag_is_a_p1() -> None:
    """Everybody would be in control there, and no reading of the store shows it."""
    world = WatchWorld()
    world.flags = AskedFlags()
    deleted = {"percentage": None, "is_permanent": True, "run_id": "run"}
    finding = await world.watch(red_flag(), finds_askers=True, **deleted)
    assert (finding.kind, finding.verdict.severity) == ("flag_drift", Severity.P1)
    assert "2 processes still evaluated it" in finding.verdict.reason
    await world.assert_no_finding(red_flag(), **deleted)
