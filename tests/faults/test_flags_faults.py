"""Whatever happens to Redis or the process: no treatment 1.0 s after a rollback, and recovery."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time

import pytest

from sluice.flags import FeatureFlags, FlagReader, FlagStoreError, KilledError
from tests.faults.redis_server import (
    FLAG,
    OPS_CHANGE,
    PROMISED_SECONDS,
    RedisServer,
    is_treated,
    wait_until,
)

pytestmark = pytest.mark.integration


async def test_a_change_is_pushed(flags: FeatureFlags, reader: FlagReader) -> None:
    await flags.set_rollout_percentage(FLAG, 0)
    assert wait_until(lambda: not is_treated(reader)) < 0.2


async def test_a_frozen_store_turns_treatments_off(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    server.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: not is_treated(reader))
        assert reader.evaluate(FLAG, "user").reason == "STALE"
        await asyncio.sleep(0.5)
        assert not is_treated(reader)
    finally:
        server.send_signal(signal.SIGCONT)
    wait_until(lambda: is_treated(reader), 2.0)


@pytest.mark.parametrize("server", [True], indirect=True, ids=["appendonly"])
async def test_a_restart_of_a_store_that_keeps_its_writes_resumes_by_itself(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    server.kill()
    wait_until(lambda: not is_treated(reader))
    server.start()
    wait_until(lambda: is_treated(reader))
    await flags.set_rollout_percentage(FLAG, 0)
    wait_until(lambda: not is_treated(reader))


async def test_a_restart_that_may_have_lost_writes_is_off_until_asserted(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        client.save()
    server.kill()
    server.start()
    wait_until(lambda: reader.evaluate(FLAG, "user").detail == "UNCONFIRMED", 2.0)
    assert not (await flags.get_flag(FLAG)).confirmed
    await flags.set_rollout_percentage(FLAG, 100)
    wait_until(lambda: is_treated(reader))


async def test_a_rollback_that_only_the_lost_store_knew_still_holds(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    """No reader was connected when it was written, and the store came back without it."""
    with server.client() as client:
        client.save()
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await flags.set_rollout_percentage(FLAG, 0)
    server.kill()
    server.start()
    await asyncio.sleep(PROMISED_SECONDS)
    assert not is_treated(reader)


async def test_an_older_copy_never_brings_a_rolled_back_treatment_back(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        client.save()
    await flags.kill(FLAG, metadata=OPS_CHANGE)
    wait_until(lambda: not is_treated(reader))
    server.kill()
    server.start()
    late = FlagReader(server.url)
    wait_until(lambda: reader.stale)
    with server.client() as client:
        wait_until(lambda: client.exists("sluice:default:flags:watermark") == 1)
    late.start()
    await asyncio.sleep(0.3)
    assert not is_treated(reader)
    assert not is_treated(late), "a process that starts now must not trust the old copy either"
    with pytest.raises(KilledError):
        await flags.set_rollout_percentage(FLAG, 25)
    await flags.create_flag("other", rollout_percentage=100)
    wait_until(lambda: reader.evaluate("other", "user").enabled and not late.stale)
    assert not is_treated(reader), "a write to one flag must not vouch for another"
    await flags.unkill(FLAG, metadata=OPS_CHANGE)
    await flags.set_rollout_percentage(FLAG, 100)
    wait_until(lambda: is_treated(reader) and is_treated(late))
    late.stop()


async def test_an_emptied_store_is_off_until_a_write(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        client.flushall()
    wait_until(lambda: not is_treated(reader))
    assert reader.stale
    await flags.create_flag(FLAG, rollout_percentage=100)
    wait_until(lambda: is_treated(reader))


async def test_a_killed_connection_misses_no_change(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        for percentage in (0, 100, 0, 100, 0):
            for kind in ("pubsub", "normal"):
                client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            await flags.set_rollout_percentage(FLAG, percentage)
            wait_until(lambda wanted=percentage == 100: is_treated(reader) is wanted)  # type: ignore[misc]  # bound now


async def test_a_slow_consumer_misses_no_change(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    """Redis drops a subscriber whose buffer is full; here by a flood on its channel."""
    with server.client() as client:
        client.config_set("client-output-buffer-limit", "pubsub 4096 4096 1")
        for _ in range(200):
            client.publish("sluice:default:flags:changes", b"x" * 4096)
    await flags.set_rollout_percentage(FLAG, 0)
    wait_until(lambda: not is_treated(reader))


async def test_an_unreadable_document_does_not_renew_the_lease(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        client.set("sluice:default:flags", "{")
    wait_until(lambda: not is_treated(reader))
    with pytest.raises(FlagStoreError, match="not readable"):
        await flags.get_flag(FLAG)


def follow_in_child(reader: FlagReader, to_parent: int) -> None:
    time.sleep(1.2)  # longer than any lease it could have inherited
    followed = is_treated(reader)
    os.write(to_parent, b"1")
    deadline = time.monotonic() + 2.0
    while is_treated(reader) and time.monotonic() < deadline:
        time.sleep(0.01)
    os._exit(0 if followed and not is_treated(reader) and not reader.stale else 1)


async def test_a_forked_child_follows_by_itself(flags: FeatureFlags, reader: FlagReader) -> None:
    with_rollback, to_parent = os.pipe()
    child = os.fork()
    if child == 0:
        follow_in_child(reader, to_parent)
    assert os.read(with_rollback, 1) == b"1"
    await flags.set_rollout_percentage(FLAG, 0)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    wait_until(lambda: not is_treated(reader))


async def test_a_refused_or_unanswered_write_is_an_error(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        client.config_set("min-replicas-to-write", 1)
        with pytest.raises(FlagStoreError, match="replicas"):
            await flags.set_rollout_percentage(FLAG, 5)
        client.config_set("min-replicas-to-write", 0)
    assert (await flags.get_flag(FLAG)).rollout_percentage == 100
    assert len(await flags.history(FLAG)) == 1, "a refused write must leave no audit line"
    server.kill()
    with pytest.raises(FlagStoreError):
        await flags.set_rollout_percentage(FLAG, 0)
    shutil.rmtree(server.folder, ignore_errors=True)
    server.folder.mkdir()
