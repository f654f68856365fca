"""Event streams of the flags server name each change, and the loss of the store within its lease."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from sluice.flags import FeatureFlags, FlagReader
from sluice.flags.server.event_stream import RevisionFeed
from tests.faults.redis_server import FLAG, PROMISED_SECONDS, RedisServer, is_treated

STALE_SECONDS = 0.8 + 0.3  # the lease, a tick, and a busy machine's turn


@asynccontextmanager
async def running_feed(reader: FlagReader) -> AsyncIterator[RevisionFeed]:
    feed = RevisionFeed(reader)
    task = asyncio.create_task(feed.run())
    yield feed
    feed.close()
    await task


async def next_event(stream: AsyncIterator[str], seconds: float) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        async for text in stream:
            fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
            if "data" in fields:
                data: dict[str, Any] = json.loads(fields["data"])
                assert (fields["id"], fields["event"]) == (data["etag"], "message")
                assert data["type"] == "refetchEvaluation"
                return data
    raise AssertionError("the stream ended")


async def test_a_rollback_reaches_a_stream_within_the_promise(
    reader: FlagReader, flags: FeatureFlags
) -> None:
    async with running_feed(reader) as feed, aclosing(feed.stream("")) as stream:
        first = await next_event(stream, 1)
        assert first["stale"] is False
        await flags.set_rollout_percentage(FLAG, 0)
        event = await next_event(stream, PROMISED_SECONDS)
        assert event["etag"] != first["etag"]
        assert not is_treated(reader)


async def test_a_lost_store_is_an_event_and_so_is_its_return(
    server: RedisServer, reader: FlagReader, flags: FeatureFlags
) -> None:
    """A client that fetches then gets False: the event comes after the lease, not before."""
    async with running_feed(reader) as feed, aclosing(feed.stream("")) as stream:
        await next_event(stream, 1)
        server.send_signal(signal.SIGSTOP)
        try:
            event = await next_event(stream, STALE_SECONDS)
            assert event["stale"] is True
            assert not is_treated(reader)
        finally:
            server.send_signal(signal.SIGCONT)
        assert (await next_event(stream, 3))["stale"] is False
        assert is_treated(reader)


async def test_a_client_that_returns_misses_nothing(
    reader: FlagReader, flags: FeatureFlags
) -> None:
    async with running_feed(reader) as feed:
        seen = feed.current().id
        async with aclosing(feed.stream(seen)) as stream:
            try:
                await next_event(stream, 0.2)
                raise AssertionError("an event for a revision that the client has")
            except TimeoutError:
                pass
        await flags.set_rollout_percentage(FLAG, 50)
        async with aclosing(feed.stream(seen)) as stream:
            assert (await next_event(stream, 1))["etag"] != seen
        assert feed.streams == 0


async def test_a_server_that_is_behind_waits_for_the_announced_version(
    reader: FlagReader, flags: FeatureFlags
) -> None:
    """One server sends the event, another answers the fetch."""
    async with running_feed(reader) as feed:
        newest = (await flags.set_rollout_percentage(FLAG, 0)).version
        await feed.catch_up(f"{newest}-x")
        assert reader.snapshot().version >= newest
        async with asyncio.timeout(2):
            await feed.catch_up(f"{newest + 1_000_000}-x")  # no such version: bounded
        await feed.catch_up("text")


async def test_a_server_that_stops_ends_its_streams(
    reader: FlagReader, flags: FeatureFlags
) -> None:
    async with running_feed(reader) as feed:
        stream = feed.stream(feed.current().id)
        assert (await anext(stream)).startswith("retry: ")
        ending = asyncio.create_task(anext(stream, "end"))
        await asyncio.sleep(0.05)
        feed.close()
        async with asyncio.timeout(1):
            assert await ending == "end"
