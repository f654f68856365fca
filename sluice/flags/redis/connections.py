"""A reader's two connections to Redis: one for pushes, one for reads. Blocking, with timeouts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.connection import Connection
from redis.retry import Retry

from sluice.flags.durability import parse_server_run
from sluice.flags.keys import FlagKeys
from sluice.flags.redis.urls import connect_blocking
from sluice.flags.version_watermark import VersionWatermark, dump_watermark, load_watermark

RAISE_WATERMARK_SCRIPT = files("sluice.flags.redis").joinpath("raise_watermark.lua").read_text()
VERSION_PREFIX = re.compile(rb'\{"version":(\d+)')
VERSION_PREFIX_LENGTH = 40

ClientFactory = Callable[[], Redis]


def make_client_factory(redis_url: str, socket_timeout_seconds: float) -> ClientFactory:
    """Return a factory of clients that fail within the timeout and never retry on their own.

    URLs: see `urls.py`.
    """

    def connect() -> Redis:
        return connect_blocking(
            redis_url,
            socket_timeout=socket_timeout_seconds,
            socket_connect_timeout=socket_timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            decode_responses=False,
        )

    return connect


@dataclass(frozen=True)
class VersionPoll:
    """The store's version and watermark; `read_at` (monotonic) is from before the request."""

    version: int
    watermark: VersionWatermark
    read_at: float


@dataclass(frozen=True)
class FetchedDocument:
    """The document's text (None: not stored) and the watermark; `read_at` as in `VersionPoll`."""

    text: bytes | None
    watermark: VersionWatermark
    read_at: float


class FlagConnection:
    """One session with the store. Any redis-py error or OSError ends it.

    A reader polls several times a second for the life of its process. Requests are therefore packed
    once and sent over one connection, past the client's pool and its retries.

    Each request begins with a write that changes nothing. A store that still answers reads but
    refuses writes (disk full, too few replicas, read-only) could not take a rollback either: it
    answers with an error, and the lease runs out. Redis' `maxmemory` does not refuse a DEL, nor the
    scripts that lower a flag.
    """

    def __init__(
        self, client: Redis, connection: Connection, pubsub: PubSub, keys: FlagKeys
    ) -> None:
        self._client = client
        self._pubsub = pubsub
        self._keys = keys
        # A server cannot restart without ending this session: asking once is enough.
        self.server_run = parse_server_run(client.info("server", "persistence", "replication"))
        self._connection = connection
        # redis-py leaves its connections' methods without types.
        pack = cast("Callable[..., list[bytes]]", connection.pack_command)
        self._send = cast("Callable[[list[bytes]], None]", connection.send_packed_command)
        document, floor = keys.document, keys.watermark
        probe = pack("DEL", keys.write_probe)
        self._version_request = b"".join(
            (
                *probe,
                *pack("GETRANGE", document, 0, VERSION_PREFIX_LENGTH - 1),
                *pack("GET", floor),
            )
        )
        self._document_request = b"".join(
            (
                *probe,
                *pack("GETRANGE", document, 0, 0),
                *pack("GETRANGE", floor, 0, 0),
                *pack("MGET", document, floor),
            )
        )

    def poll(self) -> VersionPoll:
        """Read only the version (the document's first member) and the watermark."""
        read_at = time.monotonic()
        self._send([self._version_request])
        self._receive()  # raises where the store refuses writes
        prefix = cast("bytes", self._receive())
        floor = cast("bytes | None", self._receive())
        match = VERSION_PREFIX.match(prefix)
        # Unreadable text counts as a change, so that the full read reports what is wrong.
        version = int(match[1]) if match else (-1 if prefix else 0)
        return VersionPoll(version, load_watermark(floor), read_at)

    def read(self) -> FetchedDocument:
        """Read the whole document and the watermark, in one step."""
        read_at = time.monotonic()
        self._send([self._document_request])
        self._receive()
        for _ in ("document", "floor"):
            self._receive()  # raises for a key of another type, which MGET would call missing
        text, floor = cast("list[bytes | None]", self._receive())
        return FetchedDocument(text, load_watermark(floor), read_at)

    def _receive(self) -> object:
        return self._connection.read_response(disable_decoding=True)

    def raise_watermark(self, watermark: VersionWatermark) -> None:
        """Store the newest version seen, which is above the stored document's."""
        keys = (self._keys.document, self._keys.watermark)
        self._client.eval(
            RAISE_WATERMARK_SCRIPT, 2, *keys, str(watermark.version), dump_watermark(watermark)
        )

    def wait_for_push(self, timeout_seconds: float) -> bytes | None:
        """Wait for the next pushed document; None without a push in time.

        Empty for a message without a document, as on (re)subscribing: the caller then reads.
        """
        message = self._pubsub.get_message(timeout=max(0.0, timeout_seconds))
        if message is None:
            return None
        data = message.get("data")
        is_document = message.get("type") == "message" and isinstance(data, bytes)
        return cast("bytes", data) if is_document else b""

    def discard_queued_pushes(self) -> None:
        """Drop the queued pushes: the next read is newer than all of them."""
        while self._pubsub.get_message(timeout=0.0) is not None:
            pass


@contextmanager
def open_connection(client_factory: ClientFactory, keys: FlagKeys) -> Iterator[FlagConnection]:
    """Subscribe first, so that no change after the first read can be missed."""
    # redis-py left these without types.
    with closing(client_factory()) as client, closing(client.pubsub()) as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(keys.changes)
        asking = client.connection_pool.get_connection()
        try:
            yield FlagConnection(client, asking, pubsub, keys)
        finally:
            asking.disconnect()  # type: ignore[no-untyped-call]
