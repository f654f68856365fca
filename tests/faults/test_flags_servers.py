"""Flags over TLS, on Valkey, and behind Sentinel with a failover."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis.asyncio.sentinel
from redis.asyncio import Redis

from sluice.flags import FeatureFlags, FlagReader, FlagStoreError
from sluice.flags.redis.urls import connect
from tests.faults.redis_server import (
    FLAG,
    PROMISED_SECONDS,
    RedisServer,
    is_treated,
    redis_program,
    valkey_program,
    wait_until,
)
from tests.faults.tls_proxy import tls_proxy, write_certificate

pytestmark = pytest.mark.integration


async def test_flags_work_over_tls_and_refuse_an_unknown_certificate(
    server: RedisServer, tmp_path: Path
) -> None:
    certificate = write_certificate(tmp_path)
    with tls_proxy(server.port, certificate) as port:
        url = f"rediss://127.0.0.1:{port}/0"
        trusting = f"{url}?ssl_ca_certs={certificate}"
        reader, doubting = FlagReader(trusting), FlagReader(url)
        for one in (reader, doubting):
            one.start()
        assert reader.wait_ready(5.0)
        async with Redis.from_url(trusting) as client:
            flags = FeatureFlags(client)
            await flags.create_flag(FLAG, rollout_percentage=100)
            wait_until(lambda: is_treated(reader))
            await flags.set_rollout_percentage(FLAG, 0)
            wait_until(lambda: not is_treated(reader))
            await flags.set_rollout_percentage(FLAG, 100)
            wait_until(lambda: is_treated(reader))
        async with Redis.from_url(url) as client:
            with pytest.raises(FlagStoreError, match="certificate"):
                await FeatureFlags(client).get_flag(FLAG)
        assert not doubting.wait_ready(0.0)
        doubting.stop()
    wait_until(lambda: not is_treated(reader))  # the proxy is gone: the lease ends it
    reader.stop()


async def test_a_rollback_reaches_readers_of_valkey(tmp_path: Path) -> None:
    """Pushed, frozen and restarted, as on Redis."""
    server = RedisServer(tmp_path, program=valkey_program())
    reader = FlagReader(server.url)
    reader.start()
    assert reader.wait_ready(5.0)
    async with Redis.from_url(server.url) as client:
        flags = FeatureFlags(client)
        await flags.create_flag(FLAG, rollout_percentage=100)
        wait_until(lambda: is_treated(reader))
        await flags.kill(FLAG)
        wait_until(lambda: not is_treated(reader))
        await flags.unkill(FLAG)
        await flags.set_rollout_percentage(FLAG, 100)
        wait_until(lambda: is_treated(reader))
        with server.client() as plain:
            plain.save()
        server.kill()
        server.start()
        wait_until(lambda: reader.evaluate(FLAG, "user").detail == "UNCONFIRMED", 5.0)
        await flags.set_rollout_percentage(FLAG, 100)
        wait_until(lambda: is_treated(reader))
    reader.stop()
    server.kill()


@pytest.fixture
def sentinel_port(server: RedisServer, replica: RedisServer, tmp_path: Path) -> Iterator[int]:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor mymaster 127.0.0.1 {server.port} 1\n"
        "sentinel down-after-milliseconds mymaster 500\n"
        "sentinel failover-timeout mymaster 3000\n"
    )
    command = [redis_program(), str(settings), "--sentinel"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own
        with redis.Redis(port=port) as client:
            wait_until(lambda: has_replica(client), 30.0)
        yield port
        process.kill()


def has_replica(client: redis.Redis) -> bool:
    try:
        found = client.sentinel_slaves("mymaster")
    except redis.RedisError:
        return False
    return any(one["is_slave"] and not one["is_disconnected"] for one in found)


@pytest.fixture
def replica(server: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "replica"
    folder.mkdir()
    replica = RedisServer(folder, "--replicaof", "127.0.0.1", str(server.port))
    with replica.client() as client:
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", 30.0)
    yield replica
    replica.kill()


async def retry_until_master(write: Callable[[], Awaitable[object]]) -> None:
    """Retry: a sentinel on a busy machine may report for a moment that every master is down."""
    for _ in range(60):
        try:
            await write()
        except FlagStoreError:
            await asyncio.sleep(0.5)
        else:
            return
    raise AssertionError("no master for half a minute")


async def test_a_sentinel_failover_turns_off_until_the_flag_is_asserted(
    server: RedisServer, replica: RedisServer, sentinel_port: int
) -> None:
    """The new master may lack the last writes, so nobody is treated on its word alone."""
    address = f"redis+sentinel://127.0.0.1:{sentinel_port}/mymaster"
    reader = FlagReader(address)
    reader.start()
    try:
        assert reader.wait_ready(30.0)
        async with connect(address, socket_timeout=1.0) as client:
            await fail_over(FeatureFlags(client), reader, server, replica)
    finally:
        reader.stop()


async def fail_over(
    flags: FeatureFlags, reader: FlagReader, server: RedisServer, replica: RedisServer
) -> None:
    await retry_until_master(lambda: flags.create_flag(FLAG, rollout_percentage=100))
    wait_until(lambda: is_treated(reader))
    with replica.client() as plain:
        wait_until(lambda: plain.exists("sluice:default:flags") == 1, 10.0)
    server.kill()
    wait_until(lambda: not is_treated(reader))
    wait_until(lambda: reader.evaluate(FLAG, "user").detail == "UNCONFIRMED", 30.0)
    await asyncio.sleep(PROMISED_SECONDS)
    assert not is_treated(reader)
    await retry_until_master(lambda: flags.set_rollout_percentage(FLAG, 100))
    wait_until(lambda: is_treated(reader))
