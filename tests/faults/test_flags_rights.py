"""The least rights that docs/flags.md names suffice, and exceed nothing."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from sluice.flags import FeatureFlags, FlagReader, FlagStoreError
from tests.faults.redis_server import FLAG, RedisServer, is_treated, wait_until

pytestmark = pytest.mark.integration


async def test_a_writers_least_rights_suffice(server: RedisServer, flags: FeatureFlags) -> None:
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


async def test_a_readers_least_rights_suffice(server: RedisServer, flags: FeatureFlags) -> None:
    """The rights in docs/flags.md, for a reader; it may not change a flag."""
    rules = "on >secret resetkeys ~sluice:default:flags:watermark ~sluice:default:flags:write-probe %R~sluice:default:flags resetchannels"
    rules += " &sluice:default:flags:changes -@all +get +mget +getrange +del +subscribe +unsubscribe +ping"
    rules += " +eval +set +info +client|setinfo +client|setname +hello +auth +select"
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", *rules.split())
    limited = FlagReader(server.url.replace("redis://", "redis://reader:secret@"))
    limited.start()
    assert limited.wait_ready(2.0)
    assert is_treated(limited)
    await flags.set_rollout_percentage(FLAG, 0)
    wait_until(lambda: not is_treated(limited))
    limited.stop()
    url = server.url.replace("redis://", "redis://reader:secret@")
    async with Redis.from_url(url) as client:
        with pytest.raises(FlagStoreError):
            await FeatureFlags(client).set_rollout_percentage(FLAG, 100)
