"""The flag store on Redis or Valkey: one Lua script makes each write atomic."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import (
    ConnectionError,  # noqa: A004 - redis-py's own, not an OSError
    RedisError,
    ResponseError,
)

from sluice.flags.document import dump_document
from sluice.flags.durability import parse_server_run
from sluice.flags.errors import FlagStoreError
from sluice.flags.keys import FlagKeys
from sluice.flags.store import DocumentWrite, StoredState
from sluice.flags.version_watermark import VersionWatermark, load_watermark
from sluice.flags.write_metadata import AuditEntry, Fence, WriteMetadata

COMMIT_SCRIPT = files("sluice.flags.redis").joinpath("commit.lua").read_text()
ANOTHER_TYPE = b"another type"
"""The text of a key that holds no string, here and in `commit.lua`."""
AUDIT_ENTRIES_MAX = 100_000
AUDIT_PAGE = 500
DROPPED_CONNECTIONS_MAX = 3
STORE_SECONDS_MAX = 8.0
"""Enough for a new connection (up to five round trips) and the command at 1 s a round trip."""


class RedisFlagStore:
    """The `FlagStore` of one environment. `timeout_seconds` bounds every call."""

    def __init__(
        self, redis: Redis, keys: FlagKeys, *, timeout_seconds: float = STORE_SECONDS_MAX
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._timeout_seconds = timeout_seconds

    async def read(self) -> StoredState:
        """Read document, floor and clock in one transaction."""
        async with self._timeout("read"):
            document, floor, (seconds, micros), info = await self._read()
        watermark, watermark_problem = _load_floor(floor)
        return StoredState.from_text(
            document,
            watermark=watermark,
            watermark_problem=watermark_problem,
            now_ms=int(seconds) * 1000 + int(micros) // 1000,
            watermark_text=_decode(floor or b""),
            server_run=parse_server_run(info),
        )

    async def _read(self) -> list[Any]:
        """Read, on a new connection if the pool's were dropped while they were idle."""
        for _ in range(DROPPED_CONNECTIONS_MAX):
            with suppress(ConnectionError):
                return await self._read_once()
        return await self._read_once()

    async def _read_once(self) -> list[Any]:
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.get(self._keys.document)
            pipeline.get(self._keys.watermark)
            pipeline.time()
            pipeline.info("server", "persistence", "replication")
            return [_stored_text(reply) for reply in await pipeline.execute(raise_on_error=False)]

    async def commit(self, writes: Sequence[DocumentWrite]) -> bool:
        """Run the script; see `commit.lua`."""
        keys = (self._keys.document, self._keys.watermark, self._keys.audit)
        based_on = writes[0].based_on
        arguments = (
            based_on.version_text,
            based_on.watermark_text,
            dump_document(writes[-1].document),
            self._keys.changes,
            str(AUDIT_ENTRIES_MAX),
            *(part for write in writes if write.is_audited for part in _audit_entry(write)),
        )
        async with self._timeout("write"):
            try:
                answer = await cast(
                    "Awaitable[object]",
                    self._redis.eval(COMMIT_SCRIPT, len(keys), *keys, *arguments),
                )
            except ConnectionError:
                return False
        return answer == 1

    async def history(self, flag: str | None, limit: int) -> list[AuditEntry]:
        """Walk the stream from its newest entry until `limit` entries match."""
        matches: list[AuditEntry] = []
        upto = "+"
        while len(matches) < limit:
            async with self._timeout("history"):
                page = await self._redis.xrevrange(self._keys.audit, upto, "-", AUDIT_PAGE)
            entries = [_parse_entry(_decode(key), fields or {}) for key, fields in page or []]
            matches += [entry for entry in entries if flag is None or entry.flag == flag]
            if len(entries) < AUDIT_PAGE:
                break
            upto = f"({entries[-1].id}"
        return matches[:limit]

    @asynccontextmanager
    async def _timeout(self, operation: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                yield
        except (RedisError, OSError, TimeoutError) as error:
            reason = str(error) or f"no answer within {self._timeout_seconds} s"
            raise FlagStoreError(
                f"Redis did not {operation} the flags: {type(error).__name__}: {reason}"
            ) from error


def _stored_text(reply: object) -> object:
    """Return the reply; for a key of another type a text that no reader takes for its own."""
    if isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE"):
        return ANOTHER_TYPE
    if isinstance(reply, Exception):
        raise reply
    return reply


def _load_floor(text: bytes | None) -> tuple[VersionWatermark, str]:
    """Return the floor, and the problem of one that is not readable: it stops no kill."""
    try:
        return load_watermark(text), ""
    except FlagStoreError as error:
        return VersionWatermark(), str(error)


def _audit_entry(write: DocumentWrite) -> tuple[str, ...]:
    """Return '1' for a reduction, which may land without its entry, then fields and values."""
    fence = write.metadata.fence
    fields = {
        "flag": write.flag,
        "action": write.action,
        "before": json.dumps(write.before),
        "after": json.dumps(write.after),
        "version": str(write.document.version),
        "actor": write.metadata.actor,
        "reason": write.metadata.reason,
        "run_id": fence.run_id if fence else "",
        "sequence": str(fence.sequence) if fence else "",
    }
    return ("1" if write.is_reduction else "0", *(part for pair in fields.items() for part in pair))


def _parse_entry(key: str, raw: Mapping[Any, Any]) -> AuditEntry:
    fields = {_decode(name): _decode(value) for name, value in raw.items()}
    try:
        run_id = fields["run_id"]
        fence = Fence(run_id, int(fields["sequence"])) if run_id else None
        return AuditEntry(
            id=key,
            at_ms=int(key.partition("-")[0]),
            flag=fields["flag"],
            action=fields["action"],
            before=json.loads(fields["before"]),
            after=json.loads(fields["after"]),
            version=int(fields["version"]),
            metadata=WriteMetadata(fields["actor"], fields["reason"], fence),
        )
    except (KeyError, ValueError) as error:
        raise FlagStoreError(f"audit entry {key} is not readable: {error}") from None


def _decode(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
