"""Readers of one process share one thread; a push changes what is served and confirms nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from sluice.flags import FeatureFlags, FlagDocument, FlagReader, FlagState
from sluice.flags.document import dump_document
from sluice.flags.signatures import FlagSigner

pytestmark = pytest.mark.integration
FLAG, USER = "flag", "user"
CHANNEL = "sluice:default:flags:changes"
KEY = "sluice:default:flags"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 0.7  # sooner than the next poll
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def store(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def treatment_document(store: Redis) -> Callable[..., str]:
    """Make a document that was asserted on the store's present run."""
    run_id = store.info("server")["run_id"]

    def treatment_document(version: int, percentage: float = 100) -> str:
        flag = FlagState(name=FLAG, rollout_percentage=percentage, asserted_on=run_id)
        return dump_document(FlagDocument(version=version, flags={FLAG: flag}))

    return treatment_document


@pytest.fixture
def start(redis_url: str) -> Iterator[Callable[[], FlagReader]]:
    started: list[FlagReader] = []

    def start() -> FlagReader:
        # Polls are rare here, so what arrives sooner came by push.
        reader = FlagReader(redis_url, poll_seconds=1, lease_seconds=60)
        started.append(reader)
        reader.start()
        assert reader.wait_ready(2.0)
        time.sleep(0.2)  # it reads again when the subscription is confirmed
        return reader

    yield start
    for reader in started:
        reader.stop()


def reader_thread_count() -> int:
    return sum(thread.name == "flag-reader" for thread in threading.enumerate())


def test_readers_share_a_thread_until_the_last_one_stops(redis_url: str) -> None:
    before = reader_thread_count()
    readers = [FlagReader(redis_url) for _ in range(20)]
    for reader in readers:
        reader.start()
        assert reader.wait_ready(2.0)
    assert reader_thread_count() == before + 1
    for reader in readers[:-1]:
        reader.stop()
        assert reader.stale
    assert not readers[-1].stale
    assert reader_thread_count() == before + 1
    readers[-1].stop()
    assert reader_thread_count() == before


def test_a_reader_that_starts_later_serves_at_once_what_the_others_do(
    start: Callable[[], FlagReader], store: Redis, treatment_document: Callable[..., str]
) -> None:
    store.set(KEY, treatment_document(5))
    first = start()
    assert first.evaluate(FLAG, USER).enabled
    store.set(KEY, treatment_document(6, 0))  # without a push: only a second read would see it
    assert start().snapshot().version == 5


def test_a_pushed_document_is_served_but_renews_no_lease(
    start: Callable[[], FlagReader], store: Redis, treatment_document: Callable[..., str]
) -> None:
    reader = start()
    age = reader.lease_age_seconds()
    store.publish(CHANNEL, treatment_document(7))
    wait_until(lambda: reader.evaluate(FLAG, USER).enabled)
    assert reader.lease_age_seconds() > age


def test_an_older_pushed_document_is_not_served(
    start: Callable[[], FlagReader], store: Redis, treatment_document: Callable[..., str]
) -> None:
    reader = start()
    store.set(KEY, treatment_document(9, 0))
    store.publish(CHANNEL, treatment_document(9, 0))
    wait_until(lambda: reader.snapshot().version == 9)
    store.publish(CHANNEL, treatment_document(8))
    store.set(KEY, treatment_document(10, 0))
    store.publish(CHANNEL, treatment_document(10, 0))
    wait_until(lambda: reader.snapshot().version == 10)
    assert not reader.evaluate(FLAG, USER).enabled


@pytest.mark.parametrize("noise", [b"", b"x" * 4096, b"12", b'{"version":99}x'])
def test_noise_on_the_channel_only_makes_it_read(
    start: Callable[[], FlagReader],
    store: Redis,
    treatment_document: Callable[..., str],
    noise: bytes,
) -> None:
    reader = start()
    store.set(KEY, treatment_document(11))
    store.publish(CHANNEL, noise)
    wait_until(lambda: reader.evaluate(FLAG, USER).enabled)
    assert reader.snapshot().version == 11


async def test_process_with_a_public_key_is_not_raised_by_a_raw_write(
    redis_url: str, store: Redis
) -> None:
    """A signed write of the worker is served; a write with redis-cli lowers only."""
    key = Ed25519PrivateKey.generate()
    signer = FlagSigner(key, "default")
    reader = FlagReader(redis_url, public_keys=(key.public_key().public_bytes_raw(),))
    async with AsyncRedis.from_url(redis_url) as client:
        flags = FeatureFlags(client, signer=signer)
        await flags.create_flag(FLAG, rollout_percentage=0)
        await flags.set_rollout_percentage(FLAG, 100)
    reader.start()
    try:
        assert reader.wait_ready(2.0)
        assert reader.evaluate(FLAG, USER).enabled
        signed = FlagDocument.model_validate_json(cast("bytes", store.get(KEY)))
        for version, percentage in ((signed.version + 1, 0.0), (signed.version + 2, 100.0)):
            flag = signed.flags[FLAG].model_copy(update={"rollout_percentage": percentage})
            raw = signed.model_copy(update={"version": version, "flags": {FLAG: flag}})
            store.set(KEY, dump_document(raw))
            wait_until(lambda newest=version: reader.snapshot().version == newest)  # type: ignore[misc]  # bound now
            assert not reader.evaluate(FLAG, USER).enabled
    finally:
        reader.stop()
