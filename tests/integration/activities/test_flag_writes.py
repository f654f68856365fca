"""A rollout's write of the flag and the phases: one commit, and a rollback is never refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from temporalio.exceptions import ApplicationError

from activities.adapters.redis_flags import RedisFlags
from sluice.flags import FeatureFlags, FlagStoreError, WriteMetadata
from sluice.rollout.plan.schema import PhaseSwitches
from tests.faults.faulty_proxy import slow_proxy
from tests.integration.activities.flag_port import FLAG, PHASES_ON, FlagPort, flag_write

PERMANENT = PhaseSwitches(enable_feature_flags=False, enable_online_learning=True)
OPS = WriteMetadata("ops", "by hand")
TO_ZERO = {
    "percentage": 0,
    "whitelist": (),
    "killed": True,
    "phases": PHASES_ON,
    "create": True,
    "is_rollback": True,
}


async def test_a_rollback_lands_after_a_person_deleted_and_created_the_flag(
    store: FlagPort,
) -> None:
    """The run has lost the flag: its rollback goes through as a person's write, its raise does not."""
    await store.apply(flag_write(1, create=True, percentage=25))
    await store.person.delete_flag(FLAG)
    await store.person.create_flag(FLAG, rollout_percentage=25)
    receipt = await store.apply(flag_write(2, **TO_ZERO))
    assert (receipt.percentage, receipt.killed) == (0, True)
    with pytest.raises(ApplicationError, match="lost it"):
        await store.apply(flag_write(3, percentage=25, killed=False))


async def test_a_rollback_lands_on_a_flag_that_another_run_took(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=25, whitelist=("alice", "bob")))
    await store.apply(flag_write(1, run_id="run-2", percentage=50, whitelist=("alice",)))
    step_back = {"percentage": 75, "whitelist": ("bob",), "is_rollback": True}
    receipt = await store.apply(flag_write(2, **step_back))
    assert receipt.percentage == 50, "a step back of a run that lost the flag raises nothing"
    assert (await store.person.get_flag(FLAG)).whitelist == frozenset()


async def test_a_rollback_repeated_after_a_persons_write_lands_again(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=25))
    rollback = flag_write(2, percentage=0, is_rollback=True)
    await store.apply(rollback)
    await store.person.set_rollout_percentage(FLAG, 50)
    assert (await store.apply(rollback)).percentage == 0


async def test_a_reason_of_any_length_refuses_no_rollback(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=25))
    receipt = await store.apply(flag_write(2, **TO_ZERO, reason="x" * 2000))
    assert receipt.percentage == 0


async def test_the_phases_belong_to_one_flag(store: FlagPort) -> None:
    """The second rollout's raise names the owner; its rollback leaves the phases alone."""
    await store.apply(flag_write(1, create=True, percentage=25, phases=PHASES_ON))
    other = {"flag": "other", "run_id": "run-2", "create": True, "phases": PERMANENT}
    with pytest.raises(ApplicationError, match=f"belong to flag '{FLAG}'.*phases --off"):
        await store.apply(flag_write(1, **other, percentage=5))
    await store.apply(flag_write(2, **other, percentage=0, is_rollback=True))
    document = await store.person.document()
    assert document.phases.enable_feature_flags
    await store.apply(flag_write(2, percentage=50, phases=PHASES_ON))


async def test_phases_that_are_off_can_be_taken_by_the_next_flag(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=25, phases=PHASES_ON))
    off = {"enable_feature_flags": False, "enable_online_learning": False}
    await store.person.set_phases(off)
    await store.apply(flag_write(1, flag="other", run_id="run-2", phases=PHASES_ON))
    assert (await store.person.document()).phases_flag == "other"


async def test_a_kill_beats_permanence(store: FlagPort) -> None:
    """The cleanup deleted the flag: a kill brings it back, killed, and the phases behind it."""
    await store.apply(flag_write(1, create=True, percentage=100, phases=PHASES_ON))
    cleanup = flag_write(2, delete=True, phases=PERMANENT)
    await store.apply(cleanup)
    assert (await store.person.kill(FLAG, metadata=OPS)).killed
    document = await store.person.document()
    assert document.phases.enable_feature_flags
    with pytest.raises(ApplicationError):
        await store.apply(cleanup)
    assert (await store.person.get_flag(FLAG)).killed, "a late cleanup write ends no kill"


async def test_a_kill_of_a_name_that_was_never_used_is_refused(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=100, phases=PERMANENT))
    with pytest.raises(Exception, match="no flag 'phase5'"):
        await store.person.kill("phase5")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def port(redis: Redis, redis_url: str) -> AsyncIterator[FlagPort]:
    flags = RedisFlags.from_url(redis_url)
    yield FlagPort(flags, FeatureFlags(redis))
    await flags.close()


@pytest.mark.integration
async def test_an_emergency_rollback_is_one_read_and_one_commit(
    port: FlagPort, redis: Redis
) -> None:
    await port.apply(flag_write(1, create=True, percentage=25, whitelist=("alice",)))
    await redis.config_resetstat()
    await port.apply(flag_write(2, **TO_ZERO))
    counts = {
        name.removeprefix("cmdstat_"): stats["calls"]
        for name, stats in (await redis.info("commandstats")).items()
    }
    assert (counts["exec"], counts["eval"], counts["publish"]) == (1, 1, 1)
    assert counts["get"] == 4, "two of the read, and the commit script's own two"


@pytest.mark.integration
async def test_what_lowers_does_not_depend_on_the_audit_key(port: FlagPort, redis: Redis) -> None:
    for name in (FLAG, "other", "third"):
        await port.person.create_flag(name, rollout_percentage=25)
    await redis.set("sluice:default:flags:audit", "another type")
    assert (await port.apply(flag_write(1, **TO_ZERO))).percentage == 0
    assert (await port.person.kill("other")).killed
    assert (await port.person.set_rollout_percentage("third", 5)).rollout_percentage == 5
    with pytest.raises(FlagStoreError, match="WRONGTYPE"):
        await port.person.set_rollout_percentage("third", 50)


UNREADABLE = ['{"version": 1, "format": 1}', "[]", "\x00garbage", '{"version":7,"flags":{"a":1}}']


@pytest.mark.integration
@pytest.mark.parametrize("text", UNREADABLE)
async def test_a_kill_replaces_a_document_that_cannot_be_read(
    port: FlagPort, redis: Redis, text: str
) -> None:
    await redis.set("sluice:default:flags", text)
    with pytest.raises(FlagStoreError, match="sluice kill FLAG"):
        await port.person.create_flag("new")
    assert (await port.person.kill(FLAG)).killed
    await redis.set("sluice:default:flags", text)
    assert (await port.apply(flag_write(1, **TO_ZERO))).killed
    assert set((await port.person.document()).flags) == {FLAG}


@pytest.mark.integration
async def test_a_kill_keeps_the_other_flags_of_a_reformatted_document(
    port: FlagPort, redis: Redis
) -> None:
    """Nobody is served a flag that another program rewrote, until somebody asserts it."""
    await port.person.create_flag("other", rollout_percentage=100)
    document = await redis.get("sluice:default:flags")
    assert isinstance(document, bytes)
    await redis.set("sluice:default:flags", document.replace(b'":', b'": '))
    await port.person.kill(FLAG)
    other = await port.person.get_flag("other")
    assert (other.rollout_percentage, other.confirmed) == (100, False)


@pytest.mark.integration
@pytest.mark.parametrize("round_trip_seconds", [0.6, 0.9])
async def test_a_rollback_lands_over_a_slow_new_connection(
    redis: Redis, round_trip_seconds: float
) -> None:
    await FeatureFlags(redis).create_flag(FLAG, rollout_percentage=25)
    target = redis.connection_pool.connection_kwargs["port"]
    async with slow_proxy(target, round_trip_seconds) as port:
        flags = RedisFlags.from_url(f"redis://127.0.0.1:{port}/0")
        async with asyncio.timeout(15):
            assert (await flags.apply(flag_write(1, **TO_ZERO))).percentage == 0
        await flags.close()
