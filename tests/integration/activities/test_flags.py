"""Writing flags in a safe order, and hearing from the routers themselves that they obey."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from redis.asyncio import Redis
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.adapters.redis_flags import RedisFlags
from activities.contract.errors import FlagsUnreachableError
from activities.contract.models import Confirmation, ConfirmRequest
from activities.flags import FlagActivities
from sluice.flags import FlagReader, WriteMetadata
from sluice.flags.redis.process_registry import ServiceProcess, heartbeat
from sluice.flags.service.readback import flags_response
from tests.integration.activities.flag_port import FLAG, PHASES_ON, FlagPort, flag_write


async def test_creates_the_flag_and_reads_it_back(store: FlagPort) -> None:
    receipt = await store.apply(
        flag_write(1, create=True, percentage=5, whitelist=("alice",), phases=PHASES_ON)
    )
    assert (receipt.percentage, receipt.killed, receipt.deleted) == (5, False, False)
    document = await store.person.document()
    assert document.flags[FLAG].whitelist == {"alice"}
    assert document.phases.enable_online_learning
    assert receipt.version == document.version


async def test_a_retry_changes_nothing(store: FlagPort) -> None:
    wanted = flag_write(1, create=True, percentage=25, whitelist=("alice",), phases=PHASES_ON)
    first = await store.apply(wanted)
    history = await store.person.history()
    again = await store.apply(wanted)
    assert again.model_copy(update={"version": first.version}) == first
    assert await store.person.history() == history


async def test_phases_need_no_flag(store: FlagPort) -> None:
    receipt = await store.apply(flag_write(1, phases=PHASES_ON))
    assert receipt.deleted
    assert (await store.person.document()).phases.enable_feature_flags


async def test_an_emergency_kills_empties_the_whitelist_and_refuses_raises(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=25, whitelist=("alice",)))
    receipt = await store.apply(flag_write(2, percentage=0, whitelist=(), killed=True))
    assert (receipt.percentage, receipt.killed) == (0, True)
    assert (await store.person.get_flag(FLAG)).whitelist == frozenset()
    with pytest.raises(ApplicationError) as refused:
        await store.apply(flag_write(3, percentage=5))
    assert (refused.value.type, refused.value.non_retryable) == ("FlagRefused", True)


async def test_a_step_back_of_a_killed_flag_is_done_and_exposes_nobody(store: FlagPort) -> None:
    """Refused, it would be tried on and on: a killed flag is at 0 %, below where it goes back to."""
    await store.apply(flag_write(1, create=True, percentage=75))
    await store.person.kill(FLAG)
    back = {"percentage": 5, "whitelist": ("alice",)}
    with pytest.raises(ApplicationError, match="is killed"):
        await store.apply(flag_write(2, **back))
    receipt = await store.apply(flag_write(3, **back, is_rollback=True))
    assert (receipt.percentage, receipt.killed) == (0, True)
    assert (await store.person.get_flag(FLAG)).whitelist == frozenset()


async def test_a_persons_retry_clears_the_kill_and_raises_in_one_write(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=25))
    await store.apply(flag_write(2, percentage=0, killed=True))
    receipt = await store.apply(flag_write(3, killed=False, percentage=25, whitelist=("alice",)))
    assert (receipt.percentage, receipt.killed) == (25, False)


async def test_a_retry_does_not_clear_a_latch_that_a_person_set_since(store: FlagPort) -> None:
    """Somebody killed a flag that was rolled back; a retry of the same minute raised it to 25 %."""
    await store.apply(flag_write(1, create=True, percentage=25))
    await store.apply(flag_write(2, percentage=0, killed=True))
    await store.person.kill(FLAG)
    with pytest.raises(ApplicationError, match="flags unkill"):
        await store.apply(flag_write(3, killed=False, percentage=25))
    assert (await store.person.get_flag(FLAG)).killed
    await store.person.unkill(FLAG)
    assert (await store.apply(flag_write(4, percentage=25))).percentage == 25


@pytest.mark.parametrize(
    "order", [("person", "rollout"), ("rollout", "person", "rollout"), ("person", "watch")]
)
async def test_a_persons_kill_outlives_the_rollouts_in_every_order(
    store: FlagPort, order: tuple[str, ...]
) -> None:
    """The rollout's own kill hid an earlier one of a person, which its retry then cleared."""
    await store.apply(flag_write(1, create=True, percentage=25))
    for sequence, author in enumerate(order, start=2):
        if author == "person":
            await store.person.kill(FLAG)
        elif author == "watch":
            await store.port.kill("default", FLAG, "the rollout did not act")
        else:
            await store.apply(flag_write(sequence, percentage=0, killed=True, is_rollback=True))
    with pytest.raises(ApplicationError, match="flags unkill"):
        await store.apply(flag_write(8, killed=False, percentage=25))
    assert (await store.person.get_flag(FLAG)).is_killed_by_person
    await store.person.unkill(FLAG)
    assert (await store.apply(flag_write(9, killed=False, percentage=25))).percentage == 25


async def test_a_retry_clears_its_rollouts_latch_also_after_a_persons_other_write(
    store: FlagPort,
) -> None:
    await store.apply(flag_write(1, create=True, percentage=25))
    await store.apply(flag_write(2, percentage=0, killed=True))
    await store.person.add_to_blacklist(FLAG, "mallory")
    assert (await store.apply(flag_write(3, killed=False, percentage=25))).percentage == 25


async def test_a_retry_clears_the_latch_that_the_rollouts_own_watch_set_again(
    store: FlagPort,
) -> None:
    """With a slow store, the watch's kill and the rollback may come in either order."""
    await store.apply(flag_write(1, create=True, percentage=25))
    await store.apply(flag_write(2, percentage=0, killed=True))
    await store.port.kill("default", FLAG, "the rollout did not act")
    assert (await store.apply(flag_write(3, killed=False, percentage=25))).percentage == 25
    await store.port.kill("default", FLAG, "the rollout did not act")
    await store.apply(flag_write(4, percentage=0, killed=True))
    assert (await store.apply(flag_write(5, killed=False, percentage=25))).percentage == 25


async def test_a_late_raise_cannot_undo_a_rollback(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=25))
    await store.apply(flag_write(3, percentage=0))
    with pytest.raises(ApplicationError, match="too late"):
        await store.apply(flag_write(2, percentage=50))
    assert (await store.person.get_flag(FLAG)).rollout_percentage == 0


async def test_lowering_to_where_it_is_still_fences_older_writes(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=0))
    await store.apply(flag_write(3, percentage=0))
    with pytest.raises(ApplicationError, match="too late"):
        await store.apply(flag_write(2, percentage=50))


async def test_a_new_run_takes_over_and_the_old_one_is_refused(store: FlagPort) -> None:
    await store.apply(flag_write(9, create=True, percentage=25))
    await store.apply(flag_write(1, run_id="run-2", create=True, percentage=5))
    with pytest.raises(ApplicationError, match="lost it"):
        await store.apply(flag_write(10, percentage=50))


async def test_deleting_ends_the_flag_twice_without_harm(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=100))
    for _ in range(2):
        receipt = await store.apply(flag_write(2, delete=True, phases=PHASES_ON))
        assert receipt.deleted
    assert await store.port.read("default", FLAG) is None


async def test_nobody_is_served_by_a_flag_that_is_not_there(store: FlagPort) -> None:
    receipt = await store.apply(flag_write(1, percentage=0, whitelist=(), killed=True))
    assert (receipt.percentage, receipt.deleted) == (0, True)
    with pytest.raises(ApplicationError, match="no flag"):
        await store.apply(flag_write(2, percentage=5))


async def test_reads_what_a_person_did(store: FlagPort) -> None:
    await store.apply(flag_write(1, create=True, percentage=25))
    await store.person.kill(FLAG, metadata=WriteMetadata("ann", "on fire"))
    found = await store.port.read("default", FLAG)
    assert found is not None
    assert (found.percentage, found.killed) == (0, True)


async def test_an_absent_redis_is_transient(unused_tcp_port: int) -> None:
    flags = RedisFlags.from_url(f"redis://127.0.0.1:{unused_tcp_port}/0")
    for call in (
        flags.apply(flag_write(1, percentage=0)),
        flags.read("default", FLAG),
        flags.confirm(confirm_request()),
    ):
        with pytest.raises(FlagsUnreachableError):
            await call
    await flags.close()


def confirm_request(percentage: float = 0, version: int = 0) -> ConfirmRequest:
    return ConfirmRequest(environment="default", flag=FLAG, percentage=percentage, version=version)


@contextmanager
def running_flags_endpoint(name: str, reader: FlagReader | None) -> Iterator[str]:
    """Answer ``GET /flags`` from a real reader; without one, never answer."""
    silence = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if reader is None:
                silence.wait(5)
                return
            body = json.dumps(flags_response(name, reader)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        silence.set()
        server.shutdown()
        server.server_close()
        thread.join()


async def confirm(flags: RedisFlags, request: ConfirmRequest) -> Confirmation:
    async with asyncio.timeout(8):
        return await ActivityEnvironment().run(FlagActivities(flags).confirm, request)


@pytest.mark.integration
async def test_a_write_is_confirmed_by_every_process(redis_url: str) -> None:
    flags, redis = RedisFlags.from_url(redis_url), Redis.from_url(redis_url)
    reader = FlagReader(redis_url)
    reader.start()
    with running_flags_endpoint("p1", reader) as url:
        await heartbeat(redis, "default", ServiceProcess("p1", url, 1, 0))
        await flags.apply(flag_write(1, create=True, percentage=50))
        receipt = await flags.apply(flag_write(2, percentage=0))
        result = await confirm(flags, confirm_request(0, receipt.version))
    reader.stop()
    assert (result.processes, result.expired) == (1, 0)
    assert result.seconds < 1
    await redis.aclose()
    await flags.close()


@pytest.mark.integration
async def test_a_silent_process_counts_only_after_its_lease(redis_url: str) -> None:
    flags, redis = RedisFlags.from_url(redis_url), Redis.from_url(redis_url)
    with running_flags_endpoint("p1", None) as url:
        await heartbeat(redis, "default", ServiceProcess("p1", url, 1, 0))
        await flags.apply(flag_write(1, create=True, percentage=0))
        started = time.monotonic()
        result = await confirm(flags, confirm_request())
    assert (result.processes, result.expired) == (0, 1)
    assert time.monotonic() - started >= 1
    await redis.aclose()
    await flags.close()


@pytest.mark.integration
async def test_a_store_that_lost_the_write_confirms_nothing(redis_url: str) -> None:
    flags = RedisFlags.from_url(redis_url)
    receipt = await flags.apply(flag_write(1, create=True, percentage=0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await flags.confirm(confirm_request(0, receipt.version + 1))
    await flags.close()
