"""Two writers, a killer, late writes and restarts from old copies: what may never happen."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sluice.flags import (
    FeatureFlags,
    Fence,
    FlagError,
    FlagState,
    KilledError,
    MemoryFlagReader,
    MemoryFlagStore,
    VersionWatermark,
    WriteMetadata,
)
from sluice.flags.document import load_document
from sluice.flags.durability import ServerRun
from sluice.flags.mutations import base_document

FLAG = "flag"
RUNS = ("run-a", "run-b")
percentages = st.sampled_from([0, 5, 25, 50, 100])
KILLER = WriteMetadata("killer", "red flag")


class ConcurrentWriters(RuleBasedStateMachine):
    """After a kill nobody is exposed without an unkill; a run that lost the flag changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryFlagStore(lambda: self.now_ms)
        self.now_ms = 1_000
        self.flags = FeatureFlags(self.store)
        self.backups: list[str] = []
        self.sequence = dict.fromkeys(RUNS, 0)
        self.applied: dict[str, int] = {}
        self.claims: list[str] = []
        self.killed = False
        self.late_writes: list[tuple[Fence, float]] = []
        self.seen_version = 0
        self.issued_version = 0

    def succeeds(self, work: Coroutine[object, object, object]) -> bool:
        try:
            asyncio.run(work)
        except FlagError:
            return False
        self.now_ms += 1
        self.seen_version = self.version()
        self.issued_version = max(self.issued_version, self.seen_version)
        return True

    def version(self) -> int:
        return self.store.current_state().version

    def flag(self) -> FlagState:
        return base_document(self.store.current_state()).flags[FLAG]

    def percentage(self) -> float:
        return self.flag().rollout_percentage

    @initialize()
    def create(self) -> None:
        assert self.succeeds(self.flags.create_flag(FLAG))

    @rule(run=st.sampled_from(RUNS))
    def claim(self, run: str) -> None:
        lost = run in self.claims[:-1] and self.claims[-1] != run
        claimed = self.succeeds(self.flags.claim(FLAG, run, WriteMetadata(run, "start")))
        assert not (claimed and lost and not self.backups)
        if claimed and self.claims[-1:] != [run]:
            self.claims.append(run)

    @rule(run=st.sampled_from(RUNS), percentage=percentages)
    def set_percentage(self, run: str, percentage: float) -> None:
        self.sequence[run] += 1
        fence = Fence(run, self.sequence[run])
        self.late_writes.append((fence, percentage))
        change = WriteMetadata(run, "step", fence)
        if self.succeeds(self.flags.set_rollout_percentage(FLAG, percentage, metadata=change)):
            self.applied[run] = fence.sequence

    @rule(data=st.data())
    def late_write(self, data: st.DataObject) -> None:
        """Deliver a delayed write: it may only repeat the owner's last one."""
        if not self.late_writes:
            return
        fence, percentage = data.draw(st.sampled_from(self.late_writes))
        before = self.percentage()
        change = WriteMetadata("late", "retry", fence)
        applied = self.succeeds(
            self.flags.set_rollout_percentage(FLAG, percentage, metadata=change)
        )
        if applied and not self.backups:
            newest = self.applied.get(fence.run_id, -1)
            assert fence.sequence >= newest
            assert fence.sequence > newest or percentage == before
            self.applied[fence.run_id] = fence.sequence

    @rule()
    def kill(self) -> None:
        assert self.succeeds(self.flags.kill(FLAG, metadata=KILLER))
        self.killed = True

    @rule()
    def unkill(self) -> None:
        assert self.succeeds(self.flags.unkill(FLAG, metadata=KILLER))
        self.killed = False

    @rule(percentage=percentages)
    def set_percentage_by_person(self, percentage: float) -> None:
        allowed = not self.killed or percentage == 0
        work = self.flags.set_rollout_percentage(FLAG, percentage)
        assert self.succeeds(work) is allowed

    @rule()
    def recreate(self) -> None:
        """Fail to get around the latch by deleting and creating."""
        if self.succeeds(self.flags.delete_flag(FLAG)):
            assert not self.killed
        self.succeeds(self.flags.create_flag(FLAG, rollout_percentage=50 if self.killed else 0))

    @rule()
    def take_backup(self) -> None:
        assert self.store.document_text is not None
        self.backups.append(self.store.document_text)

    @rule(data=st.data())
    def restart_from_an_old_copy(self, data: st.DataObject) -> None:
        """Restore an old copy; a reader that saw newer ones raises the watermark."""
        old = [copy for copy in self.backups if load_document(copy).version < self.seen_version]
        if not old:
            return
        flags = base_document(self.store.current_state()).flags
        killed = frozenset(name for name, flag in flags.items() if flag.killed)
        self.store.document_text = data.draw(st.sampled_from(old))
        self.store.watermark = VersionWatermark(self.seen_version, killed)
        # The old copy may hold a latch cleared since: it holds again, which is the safe side.
        assert self.flag().killed or not self.killed
        self.killed = self.flag().killed

    @rule(data=st.data())
    def restart_unseen(self, data: st.DataObject) -> None:
        """Nobody knows what was lost: nobody is exposed until the flag is asserted again."""
        if not self.backups:
            return
        self.store.document_text = data.draw(st.sampled_from(self.backups))
        self.store.watermark = VersionWatermark()
        self.store.server_run = ServerRun(f"run-{self.now_ms}")
        # By then the clock is past every version given out: they are its milliseconds.
        self.now_ms = max(self.now_ms, self.issued_version) + 1
        self.seen_version = max(self.seen_version, self.version())
        self.killed = self.flag().killed
        assert not self.flag().confirmed
        assert not self.view().evaluate(FLAG, "user").enabled

    def view(self) -> MemoryFlagReader:
        return MemoryFlagReader(self.store)

    @invariant()
    def no_evaluation_exposes_a_killed_flag(self) -> None:
        if self.killed:
            assert not self.view().evaluate(FLAG, "user").enabled

    @invariant()
    def a_kill_holds_until_unkilled(self) -> None:
        if self.killed:
            assert self.percentage() == 0

    @invariant()
    def only_deliberate_writes_outrank_what_was_seen(self) -> None:
        assert self.version() <= self.seen_version


TestMachine = ConcurrentWriters.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


async def test_deleting_a_killed_flag_is_refused() -> None:
    flags = FeatureFlags(MemoryFlagStore())
    await flags.create_flag(FLAG)
    await flags.kill(FLAG)
    with pytest.raises(KilledError, match="unkill"):
        await flags.delete_flag(FLAG)
