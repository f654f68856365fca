"""Writes of one process that wait for each other: one commit, each with its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sluice.flags import (
    DesiredState,
    FeatureFlags,
    Fence,
    FencedError,
    FlagState,
    FlagStore,
    KilledError,
    UnknownFlagError,
    WriteMetadata,
)
from sluice.flags.store import DocumentWrite

FLAG = "phase4_online_learning"


class CountingStore:
    """A store that counts its commits, and the writes in each."""

    def __init__(self, store: FlagStore) -> None:
        self.read, self.history = store.read, store.history
        self._commit = store.commit
        self.sizes: list[int] = []

    async def commit(self, writes: Sequence[DocumentWrite]) -> bool:
        self.sizes.append(len(writes))
        return await self._commit(writes)


async def test_writes_of_one_process_that_wait_are_one_commit(store: FlagStore) -> None:
    """Two hundred kills at once take one read, one commit and one push, and each is audited."""
    counting = CountingStore(store)
    flags = FeatureFlags(counting)
    names = [f"flag-{number}" for number in range(200)]
    await asyncio.gather(*(flags.create_flag(name, rollout_percentage=25) for name in names))
    assert len(counting.sizes) == 1
    first = WriteMetadata("watch", "errors")
    killed = await asyncio.gather(*(flags.kill(name, metadata=first) for name in names))
    assert [(flag.name, flag.killed) for flag in killed] == [(name, True) for name in names]
    assert counting.sizes == [200, 200]
    entries = (await flags.history(limit=400))[:200]
    assert sorted(entry.flag for entry in entries) == sorted(names)
    assert {(entry.action, entry.metadata) for entry in entries} == {("kill", first)}
    assert len({entry.version for entry in entries}) == len(names)


async def test_a_refusal_concerns_its_own_write_only(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG)
    await flags.create_flag("dead")
    await flags.kill("dead")
    outcomes = await asyncio.gather(
        flags.set_rollout_percentage("dead", 5),
        flags.set_rollout_percentage("other", 5),
        flags.set_rollout_percentage(FLAG, 5),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [KilledError, UnknownFlagError, FlagState]
    assert (await flags.get_flag(FLAG)).rollout_percentage == 5


async def test_a_lowering_write_goes_before_those_that_wait(store: FlagStore) -> None:
    counting = CountingStore(store)
    flags = FeatureFlags(counting)
    await flags.create_flag(FLAG)
    await flags.create_flag("spreading", rollout_percentage=25)
    await asyncio.gather(
        *(flags.set_rollout_percentage(FLAG, share) for share in (5, 25, 50)),
        flags.kill("spreading"),
    )
    newest_first = [entry.action for entry in await flags.history(limit=4)]
    assert newest_first == ["percentage"] * 3 + ["kill"]
    assert counting.sizes[2:] == [1, 3]


async def test_a_caller_that_gives_up_takes_no_other_write_with_it(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG)
    given_up = asyncio.create_task(flags.set_rollout_percentage(FLAG, 50))
    other = asyncio.create_task(flags.create_flag("other"))
    await asyncio.sleep(0)
    given_up.cancel()
    assert (await other).name == "other"
    assert (await flags.get_flag(FLAG)).rollout_percentage == 0


async def test_a_reset_rollout_does_not_raise_by_the_number_of_its_last_write(
    flags: FeatureFlags,
) -> None:
    """The lost future rolled back with write 3; the reset rollout's write 3 would be a raise."""
    step = DesiredState(flag=FLAG, percentage=25, create=True)
    raised = WriteMetadata("sluice", "step", Fence("run", 2))
    await flags.apply(step, metadata=raised)
    await flags.apply(step, metadata=raised)  # a true repeat
    third = WriteMetadata("sluice", "by number 3", Fence("run", 3))
    lower = DesiredState(flag=FLAG, percentage=5, is_rollback=True)
    await flags.apply(lower, metadata=third)
    with pytest.raises(FencedError, match="was reset"):
        await flags.apply(DesiredState(flag=FLAG, percentage=50), metadata=third)
    assert (await flags.get_flag(FLAG)).rollout_percentage == 5
