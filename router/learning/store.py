"""Learning's state in Redis: decisions, the feedback queue, the weights and the learner's lock."""

import json
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from router.learning.batch import Batch, Entry
from router.learning.decisions import OPEN, Decision
from router.learning.feedback import UserFeedback
from router.learning.options import LearningKeys, LearningOptions
from router.learning.scripts import ACCEPT, LOCK, PUBLISH, RENEW, REPLACE, UNLOCK
from router.learning.weights import HEAD_BYTES, Weights, version_of

GROUP = "learner"
CONSUMER = "learner"
"""One name for all processes: the next learner finds what a dead one had read as its own."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """What a poll reads in one round trip."""

    version: int
    queue_size: int
    dead_letters: int
    counters: Mapping[str, int]


class LearningStore:
    """Commands on one environment's keys; works with clients that decode responses or don't."""

    def __init__(self, redis: Redis, keys: LearningKeys, options: LearningOptions) -> None:
        self._redis = redis
        self._keys = keys
        self._options = options

    # Requests: one round trip each

    async def remember(self, query_id: str, decision: Decision) -> None:
        """The first decision of an id stays, so a used one cannot be opened again."""
        key = self._keys.decision(query_id)
        await self._redis.set(key, decision.stored(), px=self._milliseconds_kept, nx=True)

    async def remember_many(self, decisions: Mapping[str, Decision]) -> None:
        """All in one round trip."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for query_id, decision in decisions.items():
                key = self._keys.decision(query_id)
                pipe.set(key, decision.stored(), px=self._milliseconds_kept, nx=True)
            await pipe.execute()

    async def decision(self, query_id: str) -> Decision | None:
        """None when unknown, expired, or used up by its feedback."""
        value = text(await self._redis.get(self._keys.decision(query_id)) or "")
        head, _, document = value.partition("\n")
        return Decision.from_json(document) if head.startswith(f"{OPEN} ") else None

    async def accept(self, feedback: UserFeedback) -> tuple[str, str]:
        """Queue the feedback: (outcome, cohort); the outcomes are the script's."""
        keys = self._keys
        late_ms = int(self._options.late_seconds * 1_000)
        reply = await self._run(
            ACCEPT,
            (keys.decision(feedback.query_id), keys.feedback, keys.counters),
            (late_ms, self._options.queue_max, json.dumps(feedback.to_dict())),
        )
        return text(reply[0]), text(reply[1])

    async def first_heard(self, what: str, query_id: str) -> bool:
        """Whether nothing of this kind was told of the query before."""
        key = self._keys.heard(what, query_id)
        return bool(await self._redis.set(key, "", px=self._milliseconds_kept, nx=True))

    # The queue

    async def ensure_group(self) -> None:
        try:
            await self._redis.xgroup_create(self._keys.feedback, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def read_pending(self, count: int) -> list[Entry]:
        """What was read before and not yet learned, oldest first."""
        return await self._read("0", count, None)

    async def read_new(self, count: int, block_ms: int) -> list[Entry]:
        """Entries never read; waits up to ``block_ms`` (at least 1) for the first."""
        return await self._read(">", count, max(1, block_ms))

    # The weights

    async def weights(self, alpha: float, epsilon: float) -> Weights | None:
        """Raises WeightsError when what is stored cannot be read."""
        value = await self._redis.get(self._keys.weights)
        return None if value is None else Weights.decode(text(value), alpha, epsilon)

    async def kept_version(self, version: int, alpha: float, epsilon: float) -> Weights | None:
        value = await cast("Awaitable[Any]", self._redis.hget(self._keys.history, str(version)))
        return None if value is None else Weights.decode(text(value), alpha, epsilon)

    async def kept_versions(self) -> list[int]:
        names = await cast("Awaitable[list[Any]]", self._redis.hkeys(self._keys.history))
        return sorted(int(text(name)) for name in names)

    async def replace(self, expected_version: int, weights: Weights) -> bool:
        """Compare and set (0 expects none); False when another version is stored."""
        keys = (self._keys.weights, self._keys.history)
        return (
            text(await self._run(REPLACE, keys, self._version_args(expected_version, weights)))
            == "ok"
        )

    async def publish(self, expected_version: int, batch: Batch, token: str) -> str:
        """``ok``; or, with nothing changed: ``fenced``, ``conflict`` or ``gone``."""
        keys, options = self._keys, self._options
        rest = (token, GROUP, CONSUMER, options.dead_letters_max, options.log_max, batch.payload())
        reply = await self._run(
            PUBLISH,
            (keys.weights, keys.history, keys.lock, keys.feedback, keys.dead, keys.log),
            (*self._version_args(expected_version, batch.weights), *rest),
        )
        return text(reply)

    async def queue_state(self) -> QueueState:
        keys = self._keys
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.getrange(keys.weights, 0, HEAD_BYTES - 1)
            pipe.xlen(keys.feedback)
            pipe.xlen(keys.dead)
            pipe.hgetall(keys.counters)
            head, queued, dead, counters = await pipe.execute()
        named = {text(name): int(count) for name, count in counters.items()}
        return QueueState(version_of(text(head)), int(queued), int(dead), named)

    # The one learner's lock

    async def lock(self, owner: str) -> str | None:
        """A token whose number only grows, or None while somebody else holds the lock."""
        keys = (self._keys.lock, self._keys.fence)
        return text(await self._run(LOCK, keys, (owner, self._lease_ms))) or None

    async def renew(self, token: str) -> bool:
        return bool(await self._run(RENEW, (self._keys.lock,), (token, self._lease_ms)))

    async def unlock(self, token: str) -> None:
        await self._run(UNLOCK, (self._keys.lock,), (token,))

    @property
    def _lease_ms(self) -> int:
        return int(self._options.lease_seconds * 1_000)

    @property
    def _milliseconds_kept(self) -> int:
        return int((self._options.decision_seconds + self._options.late_seconds) * 1_000)

    def _version_args(self, expected: int, weights: Weights) -> tuple[str | int, ...]:
        document = weights.encode()
        return expected, weights.version, document, self._keys.changes, self._options.history_max

    async def _run(self, script: str, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:  # noqa: ANN401 - a script's reply is whatever it returns
        values = [str(argument) for argument in arguments]
        return await self._redis.eval(script, len(keys), *keys, *values)

    async def _read(self, after: str, count: int, block_ms: int | None) -> list[Entry]:
        streams: dict[Any, Any] = {self._keys.feedback: after}
        reply: Any = await self._redis.xreadgroup(
            GROUP, CONSUMER, streams, count=count, block=block_ms
        )
        batches = reply.values() if isinstance(reply, dict) else [pair[1] for pair in reply or []]
        return [_entry(*pair) for batch in batches for pair in _pairs(batch)]


def text(value: bytes | str) -> str:
    """Bytes that are not UTF-8 become replacement characters: no entry may stop the reader."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _pairs(batch: Any) -> list[Any]:  # noqa: ANN401 - the client's shape differs by protocol
    """RESP3 replies wrap a stream's entries in one more list."""
    return batch[0] if batch and isinstance(batch[0], list) else batch


def _entry(entry_id: bytes | str, fields: Mapping[Any, Any] | None) -> Entry:
    if not fields:
        return Entry(text(entry_id), None)
    return Entry(text(entry_id), {text(name): text(value) for name, value in fields.items()})
