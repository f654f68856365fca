"""A controller learns what every router process believes, and counts no silence as obedience."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import httpx
import pytest
from redis.asyncio import Redis

from sluice.flags import FeatureFlags, FlagReader, FlagState, InvalidFlagError
from sluice.flags.redis.process_client import process_client
from sluice.flags.redis.process_networks import NETWORKS_VARIABLE
from sluice.flags.redis.process_polling import ProcessPoll, ReadBack, poll_processes, verify
from sluice.flags.redis.process_registry import (
    ServiceProcess,
    heartbeat,
    list_processes,
    live_processes,
)
from sluice.flags.service.readback import FlagsResponse, ServedFlag
from tests.integration.flags.flags_endpoint import FlagsEndpoint

pytestmark = pytest.mark.integration
StreamHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
FLAG = "flag"


@pytest.fixture
def process(redis_url: str) -> Iterator[FlagsEndpoint]:
    reader = FlagReader(redis_url)
    reader.start()
    assert reader.wait_ready(2.0)
    process = FlagsEndpoint("router-1", reader)
    yield process
    process.stop()
    reader.stop()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_a_change_is_seen_by_the_processes(redis: Redis, process: FlagsEndpoint) -> None:
    flags = FeatureFlags(redis)
    await flags.create_flag(FLAG, rollout_percentage=25)
    await flags.set_phases({"enable_feature_flags": True})
    await heartbeat(redis, "default", process.as_router_process())
    await asyncio.sleep(0.2)
    (view,) = await poll_processes(await live_processes(redis, "default"))
    assert view.response is not None
    assert view.response.flags[FLAG].rollout_percentage == 25
    assert view.response.phases["enable_feature_flags"]
    assert not view.response.stale
    rolled_back = await flags.kill(FLAG)
    assert verify([view], rolled_back, acknowledged_seconds_ago=0).disobeying == ("router-1",)
    await asyncio.sleep(0.2)
    views = await poll_processes([process.as_router_process()])
    assert verify(views, rolled_back, acknowledged_seconds_ago=0).is_verified


async def test_an_unreachable_or_foreign_process_is_not_verified(process: FlagsEndpoint) -> None:
    gone = ServiceProcess("gone", "http://127.0.0.1:9", 2, 0.0)
    views = await poll_processes([gone, process.as_router_process("router-2")])
    assert [view.response for view in views] == [None, None]
    assert "router-1" in views[1].error


async def test_silent_processes_are_gone_and_later_forgotten(redis: Redis) -> None:
    now = time.time()
    for name, age in (("live", 1.0), ("gone", 6.0), ("old", 61.0)):
        entry = {"url": "http://x", "pid": 1, "reported_at": now - age}
        await redis.hset("sluice:default:processes", name, json.dumps(entry))
    assert [each.id for each in await live_processes(redis, "default")] == ["live"]
    assert [each.id for each in (await list_processes(redis, "default")).silent] == ["gone"]
    kept = await redis.hkeys("sluice:default:processes")
    assert sorted(kept) == [b"gone", b"live"]


def entry_of(url: str, reported_at: float = 0.0) -> str:
    return json.dumps({"url": url, "pid": 1, "reported_at": reported_at})


@pytest.mark.parametrize(
    "entry",
    [
        "{",
        "null",
        entry_of("http://x", 1e12),
        entry_of("http://x", float("nan")),
        entry_of("http://user@x"),
        entry_of("http://x/latest/meta-data"),
        entry_of("http://x?a=b"),
        entry_of("file:///etc/passwd"),
        entry_of("gopher://x"),
    ],
)
async def test_an_unreadable_entry_is_listed_once_as_silent_and_then_deleted(
    redis: Redis, entry: str
) -> None:
    """It may be a live process, which writes its entry again; a foreign one must not block."""
    await redis.hset("sluice:default:processes", "odd", entry)
    (odd,) = (await list_processes(redis, "default")).live
    assert "not readable" in odd.problem
    read_back, wanted = ReadBack(), FlagState(name=FLAG)
    assert not await read_back.poll([odd], wanted), "its lease has not expired yet"
    assert read_back.by_answer == read_back.by_lease == set()
    assert await live_processes(redis, "default") == []
    assert (await list_processes(redis, "default")).live == ()


@asynccontextmanager
async def many_processes(count: int, hanging: int) -> AsyncIterator[list[ServiceProcess]]:
    """Run that many servers that answer at 0 %; the first ``hanging`` never answer."""
    processes, servers = [], []

    def answer(identity: str, *, hangs: bool) -> StreamHandler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if hangs:
                await reader.read()
            else:
                body = seen_flags(0).model_copy(update={"process_id": identity}).model_dump_json()
                writer.write(
                    f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
                )
            writer.close()

        return handle

    for number in range(count):
        identity = f"p{number}"
        handler = answer(identity, hangs=number < hanging)
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        processes.append(ServiceProcess(identity, f"http://127.0.0.1:{port}", 1))
    yield processes
    for server in servers:
        server.close()


async def test_hanging_processes_do_not_make_others_count_as_silent() -> None:
    """More than a pool of 100 connections: each process that answers confirms by its answer."""
    read_back, wanted = ReadBack(), FlagState(name=FLAG)
    async with many_processes(150, 15) as processes:
        assert await read_back.poll(processes, wanted), "the leases of the silent have expired"
        assert (len(read_back.by_answer), len(read_back.by_lease)) == (135, 15)
        assert await read_back.poll(processes, wanted), "nobody is asked twice"


@pytest.mark.parametrize(
    ("url", "networks"),
    [
        ("http://169.254.169.254", ""),
        ("http://[::ffff:169.254.169.254]", ""),
        ("http://2852039166", ""),
        ("http://0xA9FEA9FE", ""),
        ("http://[fe80::1]", ""),
        ("http://[::]:80", ""),
        ("http://0.0.0.0", ""),
        ("http://93.184.216.34", ""),
        ("http://[fd00:ec2::254]", ""),
        ("http://[fd20:ce::254]", ""),
        ("http://100.100.100.200", ""),
        ("http://[::ffff:100.100.100.200]", "0.0.0.0/0"),
        ("http://127.0.0.1:9", "10.0.0.0/8"),
        ("http://localhost:9", "10.0.0.0/8"),
    ],
)
async def test_no_request_leaves_the_networks_of_processes(
    url: str, networks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NETWORKS_VARIABLE, networks)
    (view,) = await poll_processes([ServiceProcess("odd", url, 1, 0.0)])
    assert NETWORKS_VARIABLE in view.error or "cannot be resolved" in view.error
    async with process_client({NETWORKS_VARIABLE: networks}) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(url)


async def test_a_process_is_reached_by_name_and_address(process: FlagsEndpoint) -> None:
    own = process.as_router_process("router-1")
    urls = [own.url, own.url.replace("127.0.0.1", "localhost")]
    views = await poll_processes([replace(own, url=url) for url in urls])
    assert [view.error for view in views] == ["", ""]
    async with process_client({}) as http:
        assert [(await http.get(f"{url}/flags")).status_code for url in urls] == [200, 200]


def test_networks_that_cannot_be_read_are_named() -> None:
    with pytest.raises(InvalidFlagError, match=r"SLUICE_PROCESS_NETWORKS='10\.0\.0\.1/8'"):
        process_client({NETWORKS_VARIABLE: "10.0.0.1/8"})


async def test_an_endless_response_is_cut_off() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            while True:
                writer.write(b" " * 65_536)
                await writer.drain()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, process_client({}) as http:
        with pytest.raises(httpx.ReadError, match="larger than"):
            await http.get(f"http://127.0.0.1:{port}/flags")


def process_view(seen: FlagsResponse | None) -> ProcessPoll:
    return ProcessPoll(ServiceProcess("one", "http://x", 1, 0.0), seen)


def seen_flags(percentage: float, *, stale: bool = False, on_stale: str = "off") -> FlagsResponse:
    flag = ServedFlag.model_validate({"rollout_percentage": percentage, "on_stale": on_stale})
    return FlagsResponse(
        process_id="one", version=1, lease_age_seconds=0.1, stale=stale, phases={},
        flags={FLAG: flag},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "seconds_ago", "holds"),
    [
        (seen_flags(0), 0.0, True),
        (seen_flags(25), 9.0, False),
        (seen_flags(25, stale=True), 0.0, True),
        (seen_flags(25, stale=True, on_stale="hold"), 9.0, False),
        (None, 0.9, False),
        (None, 1.0, True),
    ],
    ids=["obeys", "does not", "stale is off", "stale holds", "silent", "silent past its lease"],
)
async def test_a_process_confirms_a_write_by_its_state_or_its_expired_lease(
    answer: FlagsResponse | None, seconds_ago: float, holds: bool
) -> None:
    wanted = FlagState(name=FLAG)
    assert (
        verify([process_view(answer)], wanted, acknowledged_seconds_ago=seconds_ago).is_verified
        is holds
    )


async def test_an_expired_lease_does_not_confirm_a_flag_with_on_stale_hold() -> None:
    held = FlagState(name=FLAG, on_stale="hold")
    assert not verify([process_view(None)], held, acknowledged_seconds_ago=9.0).is_verified
