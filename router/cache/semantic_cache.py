"""The semantic cache, shared by all processes through Redis.

First the question's core (``canonicalize``), one hash read; then the nearest questions by Redis 8's
vector sets, judged by their words too (``best_match``) and accepted at ``threshold`` or above.
The set searches by one bit a dimension, several times as fast as by eight; each element carries its
question and its vector in bytes, so what was found is measured again, and a lookup is one round trip.
Entries live per scope (tenant, cohort, size of answer): a treatment answer never serves control.
"""

import json
import time
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, cast

import numpy as np
import structlog
from numpy.typing import NDArray
from pydantic_core import to_json
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from xxhash import xxh3_64_hexdigest

from router.cache.canonical_question import canonicalize
from router.cache.equivalence import best_match, is_same_question
from router.cache.memory_budget import CacheLimits, MemoryBudget
from router.cache.vector_entry import SimilarQuestion, decode_entry, encode_entry, rank_by_cosine

NEIGHBOURS_MAX = 12  # of these, by bits, the nearest by vector is one
SEARCH_EFFORT = 100  # candidates that the index examines
BIT_SIMILARITY_MIN = 0.8  # share of equal bits: cosine 0.95 has 0.9
RIVAL_BIT_MARGIN = 0.18  # of that share; a candidate further from the nearest is not a rival
SWEEP_BATCH = 64  # expired or surplus entries removed with one insertion
_LOOKUP_SCRIPT = files("router.cache").joinpath("lookup.lua").read_text("utf-8")
_STORE_SCRIPT = files("router.cache").joinpath("store.lua").read_text("utf-8")
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CacheScope:
    """The scope in which answers are shared. ``limit`` is the requested number of results.

    ``label`` is the cohort label of the metrics; it does not separate answers.
    """

    tenant: str
    cohort: str
    limit: int
    label: str = ""

    @property
    def key(self) -> str:
        return f"{xxh3_64_hexdigest(self.tenant.encode())}:{self.cohort}:{self.limit}"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A stored answer, as JSON values; ``decision`` is the routing decision behind it.

    ``similarity`` is 1 for an exact match, else how sure ``best_match`` is; below the threshold
    only where the words agree and other stored questions are near.
    """

    query: str
    answer: dict[str, Any]
    decision: str
    match_kind: str = "exact"
    similarity: float = 1.0


class SemanticCache:
    """Semantic cache. Every call raises redis.RedisError when Redis fails; callers skip the cache then."""

    def __init__(self, redis: Redis, environment: str, limits: CacheLimits) -> None:
        self._redis = redis
        self._prefix = f"sluice:{environment}:cache"
        self._limits = limits
        self._vectors_supported = True
        self._memory = MemoryBudget(redis, limits.memory_bytes_max)
        self._lookup = redis.register_script(_LOOKUP_SCRIPT)
        self._store = redis.register_script(_STORE_SCRIPT)

    async def find_exact(self, scope: CacheScope, query: str) -> CacheEntry | None:
        """Return the answer to this question in its canonical form."""
        entry = _parse_entry(
            await self._read_body(self._entry_key(scope.key, _digest(query))), "exact"
        )
        # Short digests can meet, by chance or by somebody's work.
        return entry if entry is not None and is_same_question(entry.query, query) else None

    async def find_similar(
        self, scope: CacheScope, query: str, vector: NDArray[np.float32]
    ) -> CacheEntry | None:
        """Return the answer to an equivalent question."""
        ranked, first = await self._find_neighbours(scope.key, vector)
        digest = _digest(query)
        while ranked and ranked[0].cosine >= self._limits.threshold:
            alike = [at for at, neighbour in enumerate(ranked) if neighbour.digest == digest]
            pairs = [(neighbour.query, neighbour.cosine) for neighbour in ranked]
            match = best_match(query, pairs, alike)
            if match is None or match.threshold_max < self._limits.threshold:
                return None
            equivalent = ranked.pop(match.index)
            key = self._entry_key(scope.key, equivalent.digest)
            body = first.get(equivalent.digest) or await self._read_body(key)
            entry = _parse_entry(body, "similar")
            if entry is not None:
                return replace(entry, similarity=match.similarity)
            await self._delete(scope.key, [equivalent.digest])
        return None

    async def put(
        self,
        scope: CacheScope,
        entry: CacheEntry,
        vector: NDArray[np.float32] | None,
        sources: Iterable[str],
    ) -> None:
        """Store an answer; it is dropped when one of its ``sources`` is invalidated.

        Without a ``vector`` only the very same question finds it. While Redis is full to the cache's
        budget, the oldest answers go and no new one is stored.
        """
        if await self._memory.is_exceeded():
            oldest = await self._redis.zrange(self._order_key(scope.key), 0, SWEEP_BATCH - 1)
            await self._delete(scope.key, [_decode(cast("bytes", name)) for name in oldest])
            return
        digest = _digest(entry.query)
        values: tuple[bytes | str, str] = ("", "")
        if self._vectors_supported and vector is not None:
            values = (vector.tobytes(), encode_entry(entry.query, vector))
        keys = [
            self._entry_key(scope.key, digest),
            self._order_key(scope.key),
            self._vectors_key(scope.key),
            *map(self._source_key, set(sources)),
        ]
        body = (entry.query, to_json(entry.answer), entry.decision)
        args = (self._limits.ttl_seconds, time.time(), digest, *body, *values, SWEEP_BATCH)
        reply = await cast("Awaitable[Any]", self._store(keys=keys, args=args))
        expired, entries, failure = reply
        if failure:
            self._disable_vectors(ResponseError(_decode(failure)))
        await self._sweep(scope.key, expired, int(entries))

    async def invalidate(self, *sources: str) -> int:
        """Drop every answer that shows one of these sources; return their number."""
        if not sources:
            return 0
        keys = [self._source_key(source) for source in sources]
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.smembers(key)
            members = set[Any]().union(*await pipe.execute())
        if not members:
            return 0
        questions: dict[str, list[str]] = {}
        for scope, digest in map(self._parse_entry_key, map(_decode, members)):
            questions.setdefault(scope, []).append(digest)
        dropped = [await self._delete(scope, digests) for scope, digests in questions.items()]
        await self._redis.delete(*keys)
        return sum(dropped)

    async def stats(self, scope: CacheScope) -> Mapping[str, int]:
        """Count the entries of the scope (expired ones included until they are swept)."""
        return {
            "entries": int(await self._redis.zcard(self._order_key(scope.key))),
            "entries_max": self._limits.entries_max,
        }

    async def count_by_cohort(self) -> Mapping[str, int]:
        """Count entries by cohort, over all tenants and limits. Scans all keys of Redis."""
        totals: Counter[str] = Counter()
        async for key in self._redis.scan_iter(f"{self._prefix}:*:order", count=1000):
            cohort = _decode(key).split(":")[-3]
            totals[cohort] += int(await self._redis.zcard(key))
        return totals

    async def _read_body(self, key: str) -> dict[bytes, bytes]:
        return await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(key))

    async def _find_neighbours(
        self, scope: str, vector: NDArray[np.float32]
    ) -> tuple[list[SimilarQuestion], dict[str, dict[bytes, bytes]]]:
        """Return neighbours, nearest first, and the nearest's body if near enough, in one round trip."""
        if not self._vectors_supported:
            return [], {}
        keys = (self._vectors_key(scope), self._entry_key(scope, ""))
        numbers = (NEIGHBOURS_MAX, SEARCH_EFFORT, BIT_SIMILARITY_MIN, RIVAL_BIT_MARGIN)
        try:
            reply = await cast(
                "Awaitable[Any]", self._lookup(keys=keys, args=(vector.tobytes(), *numbers))
            )
        except ResponseError as error:
            self._disable_vectors(error)
            return [], {}
        rows, body = reply
        first = {_decode(rows[0]): dict(zip(body[::2], body[1::2], strict=True))} if body else {}
        names = map(_decode, rows[::2])
        return rank_by_cosine(vector, map(decode_entry, names, rows[1::2])), first

    def _check_replies(self, replies: Iterable[object]) -> None:
        for reply in replies:
            if isinstance(reply, ResponseError):
                self._disable_vectors(reply)
            elif isinstance(reply, Exception):
                raise reply

    def _disable_vectors(self, error: ResponseError) -> None:
        """Switch to exact matches and log it once: Redis before 8.2 lacks vector sets with attributes."""
        message = str(error).lower()
        if not any(sign in message for sign in ("unknown", "syntax", "option")):
            raise error
        self._vectors_supported = False
        logger.warning(
            "cache_exact_only", why="vector sets with attributes take Redis 8.2 or later"
        )

    async def _sweep(self, scope: str, expired: Iterable[bytes], entries: int) -> None:
        """Delete expired entries, and the oldest beyond the limit."""
        surplus = min(SWEEP_BATCH, entries - self._limits.entries_max)
        oldest = (
            await self._redis.zrange(self._order_key(scope), 0, surplus - 1) if surplus > 0 else []
        )
        await self._delete(scope, [_decode(name) for name in {*expired, *oldest}])

    async def _delete(self, scope: str, digests: list[str]) -> int:
        """Delete entries with their vectors; return the number that still existed."""
        if not digests:
            return 0
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.delete(*(self._entry_key(scope, digest) for digest in digests))
            pipe.zrem(self._order_key(scope), *digests)
            if self._vectors_supported:
                for digest in digests:
                    pipe.execute_command("VREM", self._vectors_key(scope), digest)
            replies = await pipe.execute(raise_on_error=False)
        self._check_replies(replies)
        return int(replies[0])

    def _entry_key(self, scope: str, digest: str) -> str:
        return f"{self._prefix}:{scope}:entry:{digest}"

    def _parse_entry_key(self, entry_key: str) -> tuple[str, str]:
        """Return the scope and digest of a key of ``_entry_key``."""
        scope, _, digest = entry_key.removeprefix(f"{self._prefix}:").partition(":entry:")
        return scope, digest

    def _vectors_key(self, scope: str) -> str:
        return f"{self._prefix}:{scope}:vectors"

    def _order_key(self, scope: str) -> str:
        return f"{self._prefix}:{scope}:order"

    def _source_key(self, source: str) -> str:
        return f"{self._prefix}:source:{xxh3_64_hexdigest(source.encode())}"


def _digest(query: str) -> str:
    return xxh3_64_hexdigest(canonicalize(query).encode())


def _parse_entry(body: Mapping[bytes, bytes], match_kind: str) -> CacheEntry | None:
    """Return the entry; None when absent or written by another program."""
    try:
        return CacheEntry(
            query=body[b"query"].decode(),
            answer=json.loads(body[b"answer"]),
            decision=body[b"decision"].decode(),
            match_kind=match_kind,
        )
    except (KeyError, ValueError):
        return None


def _decode(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


CACHE_FAILURES = (RedisError, OSError, TimeoutError)
