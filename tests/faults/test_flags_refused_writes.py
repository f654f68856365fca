"""A store that answers reads but refuses writes could take no rollback: its readers turn off."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from redis import Redis

from sluice.flags import FeatureFlags, FlagReader, FlagStoreError
from tests.faults.redis_server import FLAG, RedisServer, is_treated, wait_until

pytestmark = pytest.mark.integration


@contextmanager
def too_few_replicas(client: Redis) -> Iterator[None]:
    client.config_set("min-replicas-to-write", 1)
    yield
    client.config_set("min-replicas-to-write", 0)


@contextmanager
def replica(client: Redis) -> Iterator[None]:
    client.replicaof("127.0.0.1", 1)
    yield
    client.replicaof("NO", "ONE")


@contextmanager
def failed_snapshot(client: Redis) -> Iterator[None]:
    """Break snapshots, as a full disk does: Redis then answers writes with MISCONF."""
    client.config_set("save", "3600 1")
    shutil.rmtree(str(client.config_get("dir")["dir"]))
    client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 5.0)
    yield
    client.config_set("save", "")


@pytest.mark.parametrize("refusing", [too_few_replicas, replica, failed_snapshot])
@pytest.mark.parametrize("server", [True], indirect=True)
async def test_a_store_that_refuses_writes_renews_no_lease(
    server: RedisServer,
    flags: FeatureFlags,
    reader: FlagReader,
    refusing: Callable[[Redis], AbstractContextManager[None]],
) -> None:
    with server.client() as client:
        with refusing(client):
            wait_until(lambda: not is_treated(reader))
            assert reader.evaluate(FLAG, "user").detail == "LEASE_EXPIRED"
        if refusing is not replica:  # a promoted server's word is not enough: see trust
            wait_until(lambda: is_treated(reader), 5.0)


async def test_a_full_store_takes_a_kill_and_renews_the_lease(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader
) -> None:
    """Cached answers beside the flags may fill a Redis that evicts nothing."""
    with server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        with pytest.raises(Exception, match="maxmemory"):
            client.set("anything", 1)
        wait_until(lambda: is_treated(reader))
        assert (await flags.kill(FLAG)).killed
        wait_until(lambda: not is_treated(reader))
        assert reader.evaluate(FLAG, "user").detail == "KILLED"


@pytest.mark.parametrize("key", ["flags", "flags:watermark"])
@pytest.mark.parametrize("damage", ["text", "list"])
async def test_a_key_that_holds_something_else_stops_no_kill(
    server: RedisServer, flags: FeatureFlags, reader: FlagReader, key: str, damage: str
) -> None:
    """MGET answers nil for another type: the store seemed empty, and the kill found no flag."""
    with server.client() as client:
        name = f"sluice:default:{key}"
        client.delete(name)
        client.set(name, "garbage") if damage == "text" else client.rpush(name, "garbage")
        wait_until(lambda: not is_treated(reader), 5.0)
        with pytest.raises(FlagStoreError):
            await flags.set_rollout_percentage(FLAG, 50)
        assert (await flags.kill(FLAG)).killed
        assert client.type("sluice:default:flags") == b"string"
