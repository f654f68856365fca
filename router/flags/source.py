"""A reader's two connections to Redis: one listens for pushes, one reads. Blocking, with limits."""

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

from router.flags.address import connect_blocking
from router.flags.floor import dump_floor, load_floor
from router.flags.keys import FlagKeys
from router.flags.store import Floor
from router.flags.trust import server_of

RAISE_FLOOR = files("router.flags").joinpath("raise_floor.lua").read_text()
VERSION_PREFIX = re.compile(rb'\{"version":(\d+)')
VERSION_PREFIX_LENGTH = 40

Connect = Callable[[], Redis]


def connect_by_url(redis_url: str, socket_timeout_seconds: float) -> Connect:
    """Return a factory of clients that fail within the timeout and never retry on their own.

    Addresses: see `address.py`.
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
class Poll:
    """The store's version and floor; `read_at` (monotonic) is from before the question."""

    version: int
    floor: Floor
    read_at: float


@dataclass(frozen=True)
class Reading:
    """The document's text (None: there is none) and the floor; `read_at` as in `Poll`."""

    text: bytes | None
    floor: Floor
    read_at: float


class FlagSource:
    """One session with the store. Any redis-py error or OSError ends it.

    A reader asks several times a second for as long as its process lives, so the questions are
    packed once and go straight over one connection, past the client's pool and its retries.

    Each question begins with a write that changes nothing. A store that still answers reads but
    refuses writes (disk full, too few replicas, read-only) could not take a rollback either: it
    answers with an error, and the lease runs out. Redis' `maxmemory` does not refuse a DEL, nor the
    scripts that lower a flag.
    """

    def __init__(self, client: Redis, asking: Connection, pubsub: PubSub, keys: FlagKeys) -> None:
        self._client = client
        self._pubsub = pubsub
        self._keys = keys
        # A server cannot restart without ending this session: asking once is enough.
        self.server = server_of(client.info("server", "persistence", "replication"))
        self._asking = asking
        # redis-py leaves its connections' methods without types.
        pack = cast("Callable[..., list[bytes]]", asking.pack_command)
        self._send = cast("Callable[[list[bytes]], None]", asking.send_packed_command)
        document, floor = keys.document, keys.floor
        probe = pack("DEL", keys.write_probe)
        self._ask_version = b"".join(
            (
                *probe,
                *pack("GETRANGE", document, 0, VERSION_PREFIX_LENGTH - 1),
                *pack("GET", floor),
            )
        )
        self._ask_all = b"".join((*probe, *pack("MGET", document, floor)))

    def poll(self) -> Poll:
        """Read only the version (the document's first member) and the floor."""
        read_at = time.monotonic()
        self._send([self._ask_version])
        self._answer()  # raises where the store refuses writes
        prefix = cast("bytes", self._answer())
        floor = cast("bytes | None", self._answer())
        found = VERSION_PREFIX.match(prefix)
        # Unreadable text counts as a change, so that the full read reports what is wrong.
        version = int(found[1]) if found else (-1 if prefix else 0)
        return Poll(version, load_floor(floor), read_at)

    def read(self) -> Reading:
        """Read the whole document and the floor, in one step."""
        read_at = time.monotonic()
        self._send([self._ask_all])
        self._answer()
        text, floor = cast("list[bytes | None]", self._answer())
        return Reading(text, load_floor(floor), read_at)

    def _answer(self) -> object:
        return self._asking.read_response(disable_decoding=True)

    def raise_floor(self, floor: Floor) -> None:
        """Leave word in the store that a newer version than it holds has been seen."""
        keys = (self._keys.document, self._keys.floor)
        self._client.eval(RAISE_FLOOR, 2, *keys, str(floor.version), dump_floor(floor))

    def wait(self, timeout_seconds: float) -> bytes | None:
        """Wait for the next pushed document; None if there was no push in time.

        Empty when it carried none, as on (re)subscribing: a reason to look oneself.
        """
        message = self._pubsub.get_message(timeout=max(0.0, timeout_seconds))
        if message is None:
            return None
        data = message.get("data")
        is_document = message.get("type") == "message" and isinstance(data, bytes)
        return cast("bytes", data) if is_document else b""

    def skip(self) -> None:
        """Swallow the pushes that are queued: what is read next is newer than all of them."""
        while self._pubsub.get_message(timeout=0.0) is not None:
            pass


@contextmanager
def session(connect: Connect, keys: FlagKeys) -> Iterator[FlagSource]:
    """Subscribe first, so that no change after the first read can be missed."""
    # redis-py left these without types.
    with closing(connect()) as client, closing(client.pubsub()) as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(keys.changes)
        asking = client.connection_pool.get_connection()
        try:
            yield FlagSource(client, asking, pubsub, keys)
        finally:
            asking.disconnect()  # type: ignore[no-untyped-call]
