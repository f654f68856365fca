"""A flag whose rollout does not act on an emergency is killed from the watch's own worker."""

import asyncio
from collections.abc import Sequence

import pytest

from activities.contract.errors import FlagsUnreachableError
from activities.contract.models import WatchRequest
from activities.doubles.flags import MemoryFlags
from activities.measuring import finding_guard
from sluice.flags import FeatureFlags, FlagState, MemoryFlagStore
from sluice.flags.store import DocumentWrite
from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.engine.state import Finding
from tests.unit.activities.test_watch import AT, FLAG

CLEANUP = {"enable_feature_flags": False, "enable_online_learning": True}


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding_guard, "ACT_SECONDS_MAX", 0.05)
    monkeypatch.setattr(finding_guard, "RETRY_SECONDS", 0.01)


def watch_request(**fields: object) -> WatchRequest:
    defaults = {
        "rollout_id": "r",
        "step": "canary",
        "environment": "default",
        "flag": FLAG,
        "percentage": 25.0,
        "interval_seconds": 1.0,
        "metrics": {},
        "red_flags": (),
        "baseline": {},
    }
    return WatchRequest.model_validate({**defaults, **fields})


def finding(severity: Severity = Severity.P0) -> Finding:
    verdict = Verdict(gate="errors", outcome=Outcome.FAILED, reason="50 %", severity=severity)
    return Finding(name="errors", kind="red_flag", verdict=verdict, seen_at=AT)


class SlowStore(MemoryFlags):
    """A store that is out of reach at first."""

    failures = 0

    async def read(self, environment: str, flag: str) -> FlagReceipt | None:
        if self.failures:
            self.failures -= 1
            raise FlagsUnreachableError("not yet")
        return await super().read(environment, flag)


async def guarded_flag(
    store: MemoryFlags, request: WatchRequest, severity: Severity = Severity.P0
) -> FlagState:
    finding_guard.guard_finding(store, request, finding(severity))
    await asyncio.sleep(0.2)
    return await store.environment("default").get_flag(FLAG)


@pytest.mark.parametrize("failures", [0, 3])
async def test_a_p0_that_nobody_acts_on_kills_the_flag(failures: int) -> None:
    store = SlowStore()
    await store.environment("default").create_flag(FLAG, rollout_percentage=25)
    store.failures = failures
    flag = await guarded_flag(store, watch_request())
    assert (flag.killed, flag.rollout_percentage) == (True, 0)
    (entry, *_) = await store.environment("default").history(FLAG)
    assert "did not act" in entry.metadata.reason


async def test_a_rollout_that_acts_is_left_alone() -> None:
    """Its own write is fenced; a second writer would end its right to repeat it."""
    store = MemoryFlags()
    await store.environment("default").create_flag(FLAG, rollout_percentage=0)
    assert not (await guarded_flag(store, watch_request())).killed


async def test_a_p1_is_a_persons_decision() -> None:
    store = MemoryFlags()
    await store.environment("default").create_flag(FLAG, rollout_percentage=25)
    assert not (await guarded_flag(store, watch_request(), Severity.P1)).killed


async def test_the_cleanups_permanence_is_taken_back() -> None:
    store = MemoryFlags()
    write = {"environment": "default", "flag": FLAG, "run_id": "run", "actor": "", "reason": ""}
    await store.apply(FlagWrite.model_validate({**write, "sequence": 1, "create": True}))
    await store.apply(
        FlagWrite.model_validate({**write, "sequence": 2, "delete": True, "phases": CLEANUP})
    )
    flag = await guarded_flag(store, watch_request(percentage=None, is_permanent=True))
    assert flag.killed
    assert (await store.environment("default").document()).phases.enable_feature_flags


class CountingFlagStore(MemoryFlagStore):
    """A store that counts its commits."""

    commits = 0

    async def commit(self, writes: Sequence[DocumentWrite]) -> bool:
        self.commits += 1
        return await super().commit(writes)


async def test_many_rollouts_that_do_not_act_are_killed_together() -> None:
    """Two hundred red flags at once: one by one, the last flag would wait for seconds."""
    store, counting_store = MemoryFlags(), CountingFlagStore()
    flags = FeatureFlags(counting_store, environment="default")
    store._environments["default"] = flags
    names = [f"flag-{number}" for number in range(50)]
    await asyncio.gather(*(flags.create_flag(name, rollout_percentage=25) for name in names))
    for name in names:
        finding_guard.guard_finding(store, watch_request(flag=name), finding())
    counting_store.commits = 0
    await asyncio.sleep(0.3)
    assert all(flag.killed for flag in await flags.list_flags())
    assert counting_store.commits <= 3
