"""The contract of flag stores: the in-memory double, Redis and Valkey pass the same tests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sluice.flags import (
    DesiredState,
    FeatureFlags,
    FencedError,
    FlagExistsError,
    FlagStore,
    InvalidFlagError,
    KilledError,
    UnknownFlagError,
    WriteMetadata,
)
from sluice.flags import Fence as At
from sluice.flags.document import LatchAuthor

FLAG = "phase4_online_learning"


def change_by(run: str, sequence: int) -> WriteMetadata:
    return WriteMetadata("controller", "stage", At(run, sequence))


async def test_the_guides_calls_work_as_written(flags: FeatureFlags) -> None:
    created = await flags.create_flag(
        FLAG, description="Enable Phase 4", default_enabled=False, rollout_percentage=0
    )
    assert created == await flags.get_flag(FLAG)
    await flags.set_rollout_percentage(FLAG, 5)
    for user in ("user_alice", "user_bob"):
        await flags.add_to_whitelist(FLAG, user)
    state = await flags.get_flag(FLAG)
    assert state.rollout_percentage == 5
    assert state.whitelist == {"user_alice", "user_bob"}
    stats = await flags.get_stats()
    assert (stats["total_flags"], stats["rolling_out"], stats["fully_rolled_out"]) == (1, 1, 0)
    await flags.set_rollout_percentage(FLAG, 100)
    assert (await flags.get_stats())["fully_rolled_out"] == 1
    await flags.delete_flag(FLAG)
    assert await flags.list_flags() == []


async def test_lists_of_users_are_edited_one_by_one_and_as_a_whole(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG)
    await flags.add_to_blacklist(FLAG, "eve")
    assert (await flags.remove_from_blacklist(FLAG, "eve")).blacklist == frozenset()
    assert (await flags.set_whitelist(FLAG, ["a", "b"])).whitelist == {"a", "b"}
    assert (await flags.remove_from_whitelist(FLAG, "a")).whitelist == {"b"}


async def test_percentage_of_a_rollout_is_of_all_users(flags: FeatureFlags) -> None:
    """A default that treats everybody outside the percentage would expose them without a gate."""
    await flags.create_flag(FLAG, default_enabled=True)
    step = DesiredState(flag=FLAG, percentage=5)
    document = await flags.apply(step, metadata=change_by("run", 1))
    assert not document.flags[FLAG].default_enabled


async def test_every_write_raises_the_version(flags: FeatureFlags) -> None:
    versions = [(await flags.create_flag(FLAG)).version]
    versions += [
        (await flags.set_rollout_percentage(FLAG, percentage)).version
        for percentage in (5, 5.25, 0)
    ]
    assert versions == sorted(set(versions))
    assert (await flags.document()).version == versions[-1]


@pytest.mark.parametrize("name", ["", " a", "a b", "ä", "a/b", "-a", "a" * 101, "a\n", None, 5])
async def test_an_odd_name_is_refused_and_nothing_written(
    flags: FeatureFlags, name: object
) -> None:
    with pytest.raises(InvalidFlagError, match="name"):
        await flags.create_flag(name)  # type: ignore[arg-type]  # the point
    assert (await flags.document()).version == 0


@pytest.mark.parametrize(
    "percentage", [-1, -0.01, 100.01, 33.333, float("nan"), float("inf"), True, "5", None]
)
async def test_a_wrong_percentage_is_refused_and_nothing_written(
    flags: FeatureFlags, percentage: object
) -> None:
    before = await flags.create_flag(FLAG)
    with pytest.raises(InvalidFlagError, match="rollout_percentage"):
        await flags.set_rollout_percentage(FLAG, percentage)  # type: ignore[arg-type]  # the point
    assert await flags.get_flag(FLAG) == before


@pytest.mark.parametrize("user", ["", "x" * 257, None, 5, "\ud800"])
async def test_a_wrong_user_is_refused(flags: FeatureFlags, user: object) -> None:
    await flags.create_flag(FLAG)
    with pytest.raises(InvalidFlagError, match="user id"):
        await flags.add_to_whitelist(FLAG, user)  # type: ignore[arg-type]  # the point


async def test_an_unknown_flag_is_named_and_nothing_written(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG)
    before = await flags.document()
    for work in (
        flags.get_flag("other"),
        flags.set_rollout_percentage("other", 5),
        flags.add_to_whitelist("other", "user"),
        flags.delete_flag("other"),
        flags.kill("other"),
        flags.claim("other", "run"),
    ):
        with pytest.raises(UnknownFlagError, match=f"'other'.*{FLAG}"):
            await work
    assert await flags.document() == before


async def test_creating_an_identical_flag_writes_nothing_and_a_different_one_is_rejected(
    flags: FeatureFlags,
) -> None:
    first = await flags.create_flag(FLAG, "text")
    assert await flags.create_flag(FLAG, "text") == first
    with pytest.raises(FlagExistsError):
        await flags.create_flag(FLAG, "text", rollout_percentage=5)
    assert await flags.get_flag(FLAG) == first


async def test_the_latch_refuses_every_raise_until_cleared(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG, rollout_percentage=25)
    await flags.add_to_blacklist(FLAG, "eve")
    killed = await flags.kill(FLAG, metadata=WriteMetadata("ops", "errors"))
    assert killed.killed
    assert killed.rollout_percentage == 0
    for work in (
        flags.set_rollout_percentage(FLAG, 0.01),
        flags.add_to_whitelist(FLAG, "user"),
        flags.set_whitelist(FLAG, ["user"]),
        flags.remove_from_blacklist(FLAG, "eve"),
        flags.delete_flag(FLAG),
    ):
        with pytest.raises(KilledError, match="sluice flags unkill"):
            await work
    assert (await flags.set_rollout_percentage(FLAG, 0)).killed
    assert (await flags.set_whitelist(FLAG, [])).killed
    assert not (await flags.unkill(FLAG)).killed
    assert (await flags.set_rollout_percentage(FLAG, 5)).rollout_percentage == 5


@pytest.mark.parametrize(
    "authors", [("person",), ("rollout", "person"), ("person", "rollout")], ids="-".join
)
async def test_the_latch_of_a_person_stays_a_persons(
    flags: FeatureFlags, authors: tuple[LatchAuthor, ...]
) -> None:
    await flags.create_flag(FLAG, rollout_percentage=25)
    for author in authors:
        await flags.kill(FLAG, author=author)
    assert (await flags.get_flag(FLAG)).killed_by == "person"
    assert (await flags.history(FLAG))[0].after is not None
    assert (await flags.unkill(FLAG)).killed_by is None
    assert (await flags.kill(FLAG, author="rollout")).killed_by == "rollout"


async def test_a_run_repeats_its_last_write_but_never_an_older_one(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG)
    await flags.claim(FLAG, "run-1")
    await flags.set_rollout_percentage(FLAG, 25, metadata=change_by("run-1", 1))
    await flags.set_rollout_percentage(FLAG, 25, metadata=change_by("run-1", 1))
    await flags.set_rollout_percentage(FLAG, 0, metadata=change_by("run-1", 2))
    with pytest.raises(FencedError, match="too late"):
        await flags.set_rollout_percentage(FLAG, 25, metadata=change_by("run-1", 1))
    assert (await flags.get_flag(FLAG)).rollout_percentage == 0


async def test_a_persons_write_ends_the_repeats(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG)
    await flags.set_rollout_percentage(FLAG, 25, metadata=change_by("run-1", 1))
    await flags.set_rollout_percentage(FLAG, 5)
    with pytest.raises(FencedError, match="overridden"):
        await flags.set_rollout_percentage(FLAG, 25, metadata=change_by("run-1", 1))
    assert (
        await flags.set_rollout_percentage(FLAG, 25, metadata=change_by("run-1", 2))
    ).rollout_percentage == 25


async def test_the_newest_claim_owns_the_flag_for_good(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG)
    await flags.claim(FLAG, "run-1")
    with pytest.raises(FencedError, match="claim it first"):
        await flags.set_rollout_percentage(FLAG, 5, metadata=change_by("run-2", 1))
    await flags.claim(FLAG, "run-2")
    await flags.set_rollout_percentage(FLAG, 5, metadata=change_by("run-2", 1))
    with pytest.raises(FencedError, match="lost it"):
        await flags.set_rollout_percentage(FLAG, 50, metadata=change_by("run-1", 99))
    with pytest.raises(FencedError, match="lost it"):
        await flags.claim(FLAG, "run-1")
    await flags.claim(FLAG, "run-2")
    with pytest.raises(FencedError, match="too late"):
        await flags.set_rollout_percentage(FLAG, 50, metadata=change_by("run-2", 0))


async def test_a_run_may_take_its_own_deletion_back(flags: FeatureFlags) -> None:
    """The rollback of a last step that deleted the flag; what came before it still comes too late."""
    await flags.create_flag(FLAG)
    await flags.claim(FLAG, "run-1")
    await flags.delete_flag(FLAG, metadata=change_by("run-1", 7))
    for late in (6, 7):
        with pytest.raises(FencedError, match="too late"):
            await flags.create_flag(FLAG, metadata=change_by("run-1", late))
    await flags.create_flag(FLAG, metadata=change_by("run-1", 8))
    await flags.kill(FLAG, metadata=change_by("run-1", 8))
    assert (await flags.get_flag(FLAG)).killed


async def test_a_run_has_lost_what_another_created_after_its_deletion(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG)
    await flags.claim(FLAG, "run-1")
    await flags.delete_flag(FLAG, metadata=change_by("run-1", 7))
    await flags.create_flag(FLAG, metadata=change_by("run-2", 0))
    with pytest.raises(FencedError, match="lost it"):
        await flags.claim(FLAG, "run-1")
    with pytest.raises(FencedError, match="lost it"):
        await flags.set_rollout_percentage(FLAG, 50, metadata=change_by("run-1", 8))


async def test_deleting_a_flag_does_not_free_it_for_its_old_run(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG)
    await flags.claim(FLAG, "run-1")
    await flags.delete_flag(FLAG)
    await flags.create_flag(FLAG)
    with pytest.raises(FencedError, match="deleted"):
        await flags.set_rollout_percentage(FLAG, 50, metadata=change_by("run-1", 9))
    await flags.claim(FLAG, "run-2")


async def test_phases_are_switched_and_fenced(flags: FeatureFlags) -> None:
    document = await flags.set_phases(
        {"enable_feature_flags": True}, metadata=change_by("run-1", 1)
    )
    assert document.phases.model_dump() == {
        "enable_feature_flags": True, "enable_online_learning": False,
    }  # fmt: skip
    await flags.set_phases({"enable_online_learning": True}, metadata=change_by("run-2", 1))
    with pytest.raises(FencedError, match="lost it"):
        await flags.set_phases({"enable_feature_flags": False}, metadata=change_by("run-1", 2))
    wrong: Any
    for wrong in ({"other": True}, {"enable_feature_flags": "yes"}):
        with pytest.raises(InvalidFlagError):
            await flags.set_phases(wrong)


async def test_history_records_actor_time_reason_and_values(flags: FeatureFlags) -> None:
    await flags.create_flag(FLAG)
    await flags.create_flag("other")
    await flags.set_rollout_percentage(FLAG, 25, metadata=change_by("run-1", 3))
    await flags.set_rollout_percentage(FLAG, 25, metadata=change_by("run-1", 4))
    await flags.kill(FLAG, metadata=WriteMetadata("ops", "P0: errors"))
    kill, raised, created = await flags.history(FLAG)
    assert (kill.action, kill.metadata) == ("kill", WriteMetadata("ops", "P0: errors"))
    assert raised.before == {"rollout_percentage": 0.0, "confirmed": True}
    assert raised.after == {"rollout_percentage": 25.0, "confirmed": True}
    assert raised.metadata.fence == At("run-1", 3)
    assert created.action == "create"
    assert kill.at_ms >= raised.at_ms >= created.at_ms > 0
    assert [entry.flag for entry in await flags.history(limit=2)] == [FLAG, FLAG]


async def test_racing_writers_lose_no_write(store: FlagStore) -> None:
    """Each is a process of its own: only the store's comparison keeps them apart."""
    flags = FeatureFlags(store)
    await flags.create_flag(FLAG)
    users = [f"user{number}" for number in range(12)]
    await asyncio.gather(*(FeatureFlags(store).add_to_whitelist(FLAG, user) for user in users))
    assert (await flags.get_flag(FLAG)).whitelist == set(users)
    versions = [entry.version for entry in await flags.history(FLAG)]
    assert len(set(versions)) == len(users) + 1


async def test_a_document_that_is_too_large_to_push_is_refused(flags: FeatureFlags) -> None:
    """Each change reaches every process whole; the refusal names the list, and a kill still lands."""
    users = [f"user-{number:090d}" for number in range(9_000)]
    await flags.create_flag("large", rollout_percentage=5)
    await flags.set_whitelist("large", users)
    await flags.create_flag("second")
    with pytest.raises(
        InvalidFlagError, match=r"shorten the whitelist of flag 'large' \(9,000 users\)"
    ):
        await flags.set_whitelist("second", users[:2_000])
    assert (await flags.get_flag("second")).whitelist == frozenset()
    await flags.edit_whitelist("large", remove=users[:10])
    assert (await flags.kill("large")).killed
