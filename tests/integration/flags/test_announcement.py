"""Any Python process can be read back, also after a fork."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import pytest
from redis.asyncio import Redis

from activities.adapters.redis_flags import RedisFlags
from sluice.flags import FlagReader, InvalidFlagError, announce
from sluice.flags.redis.process_registry import live_processes

pytestmark = pytest.mark.integration
FORKING = """
import os, sys, time
from sluice.flags import FlagReader, announce
reader = FlagReader(sys.argv[1]); reader.start(); reader.wait_ready(5)
announcement = announce(reader)
parent = announcement.process
child = os.fork()
if child == 0:
    time.sleep(8); os._exit(0)
print("forked", flush=True); sys.stdin.read(); os.kill(child, 9); os._exit(0)
"""


async def test_a_forked_child_is_announced_as_a_process_of_its_own(redis_url: str) -> None:
    """Gunicorn and Celery fork: a child under its parent's id would never be asked."""
    process = subprocess.Popen(  # noqa: ASYNC220, S603  it answers at once
        [sys.executable, "-c", FORKING, redis_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"forked\n"
        async with Redis.from_url(redis_url) as redis, asyncio.timeout(6):
            while len(live := await live_processes(redis, "default")) < 2:  # noqa: ASYNC110  polled
                await asyncio.sleep(0.1)
        process.stdin.close()
    assert len({one.pid for one in live}) == 2
    assert len({one.url for one in live}) == 2


def test_a_taken_port_is_an_error_that_names_the_setting(redis_url: str) -> None:
    first = announce(FlagReader(redis_url))
    try:
        taken = f"127.0.0.1:{first.process.url.rpartition(':')[2]}"
        with pytest.raises(InvalidFlagError, match="SLUICE_READBACK_ADDRESS"):
            announce(FlagReader(redis_url), listen=taken)
    finally:
        first.close()


@pytest.mark.parametrize("address", ["", "host", "host:port", "host:70000", ":"])
def test_an_address_without_a_port_is_refused(address: str, redis_url: str) -> None:
    with pytest.raises(InvalidFlagError, match="host:port"):
        announce(FlagReader(redis_url), listen=address or "host")


async def test_a_process_that_asks_for_a_deleted_flag_is_named(redis_url: str) -> None:
    """It gets the default: after the deletion that is control, for everybody."""
    reader = FlagReader(redis_url)
    reader.start()
    assert reader.wait_ready(5)
    announcement = announce(reader)
    flags = RedisFlags.from_url(redis_url)
    try:
        async with Redis.from_url(redis_url) as redis, asyncio.timeout(6):
            while not await live_processes(redis, "default"):  # noqa: ASYNC110  polled
                await asyncio.sleep(0.05)
        assert await flags.askers("default", "gone") == ()
        reader.evaluate("gone", "alice")
        assert await flags.askers("default", "gone") == (announcement.process.id,)
        assert await flags.askers("default", "another") == ()
    finally:
        await flags.close()
        await asyncio.to_thread(announcement.close)
        reader.stop()


def test_an_announced_process_names_its_store_as_ready_or_not(redis_url: str) -> None:
    """The check `stores` and `sluice doctor` ask each process, not only routers."""
    reader = FlagReader(redis_url)
    announcement = announce(reader)
    try:
        assert httpx.get(f"{announcement.process.url}/readyz").status_code == 503
        reader.start()
        assert reader.wait_ready(5)
        reply = httpx.get(f"{announcement.process.url}/readyz")
        assert (reply.status_code, reply.json()) == (200, {"stores": {"flags": "ok"}})
        assert httpx.get(f"{announcement.process.url}/metrics").status_code == 404
    finally:
        announcement.close()
        reader.stop()
