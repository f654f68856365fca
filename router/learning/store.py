"""Learning's state in Redis: decisions, the feedback queue, the weights and the learner's lock."""

import json
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from router.learning.batch import Batch, FeedbackEntry
from router.learning.decision_record import OPEN_STATE, Decision
from router.learning.feedback import UserFeedback
from router.learning.options import LearningKeys, LearningOptions
from router.learning.scripts import (
    ACCEPT_FEEDBACK,
    ACQUIRE_LOCK,
    CLAIM_SIGNAL,
    PUBLISH_BATCH,
    RELEASE_LOCK,
    RENEW_LOCK,
    REPLACE_WEIGHTS,
)
from router.learning.weights import HEAD_BYTES, Weights, parse_version

GROUP = "learner"
Signal = Literal["feedback", "complaint"]
CONSUMER = "learner"
"""One name for all processes, so that a new learner gets the pending entries of a dead one."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """The state that a poll reads in one round trip."""

    version: int
    queue_size: int
    dead_letters: int
    counters: Mapping[str, int]


class LearningStore:
    """Commands on one environment's keys, for clients with or without decoded responses."""

    def __init__(self, redis: Redis, keys: LearningKeys, options: LearningOptions) -> None:
        self._redis = redis
        self._keys = keys
        self._options = options

    # Requests: one round trip each

    async def store_decision(self, query_id: str, decision: Decision) -> None:
        """Store a query's decision; the first of an id stays, so a used one is never open again."""
        key = self._keys.decision(query_id)
        await self._redis.set(key, decision.to_redis_value(), px=self._decision_ttl_ms, nx=True)

    async def store_decisions(self, decisions: Mapping[str, Decision]) -> None:
        """Store decisions by query id, in one round trip."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for query_id, decision in decisions.items():
                key = self._keys.decision(query_id)
                pipe.set(key, decision.to_redis_value(), px=self._decision_ttl_ms, nx=True)
            await pipe.execute()

    async def load_decision(self, query_id: str) -> Decision | None:
        """Return the decision; None when unknown, expired, or used by its feedback."""
        value = decode_text(await self._redis.get(self._keys.decision(query_id)) or "")
        head, _, document = value.partition("\n")
        return Decision.from_json(document) if head.startswith(f"{OPEN_STATE} ") else None

    async def accept_feedback(self, feedback: UserFeedback, user: str) -> tuple[str, str]:
        """Queue the feedback; return the script's outcome and the cohort."""
        keys, options = self._keys, self._options
        late_ms = int(options.late_seconds * 1_000)
        user_keys = (keys.user_signals("minute", user), keys.user_signals("hour", user))
        reply = await self._run(
            ACCEPT_FEEDBACK,
            (keys.decision(feedback.query_id), keys.feedback, keys.counters, *user_keys),
            (
                late_ms,
                options.queue_max,
                json.dumps(feedback.to_dict()),
                options.user_feedback_per_minute,
            ),
        )
        return decode_text(reply[0]), decode_text(reply[1])

    async def claim_signal(self, signal: Signal, query_id: str, user: str) -> str:
        """Return ``first``, ``duplicate`` (for the query) or ``capped`` (for the user)."""
        keys, options = self._keys, self._options
        seconds, limit = {
            "feedback": (60, options.user_feedback_per_minute),
            "complaint": (3_600, options.user_complaints_per_hour),
        }[signal]
        reply = await self._run(
            CLAIM_SIGNAL,
            (keys.seen(signal, query_id), keys.user_signals(signal, user)),
            (self._decision_ttl_ms // 1_000, seconds, limit),
        )
        return decode_text(reply)

    # The queue

    async def ensure_group(self) -> None:
        try:
            await self._redis.xgroup_create(self._keys.feedback, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def read_pending(self, count: int) -> list[FeedbackEntry]:
        """Return entries that were read before and not yet learned, oldest first."""
        return await self._read("0", count, None)

    async def read_new(self, count: int, block_ms: int) -> list[FeedbackEntry]:
        """Return new entries; wait up to ``block_ms`` (at least 1) for the first."""
        return await self._read(">", count, max(1, block_ms))

    # The weights

    async def load_weights(self, alpha: float, epsilon: float) -> Weights | None:
        """Return the stored weights, if any. Raises WeightsError when they cannot be read."""
        value = await self._redis.get(self._keys.weights)
        return None if value is None else Weights.decode(decode_text(value), alpha, epsilon)

    async def load_version(self, version: int, alpha: float, epsilon: float) -> Weights | None:
        value = await cast("Awaitable[Any]", self._redis.hget(self._keys.history, str(version)))
        return None if value is None else Weights.decode(decode_text(value), alpha, epsilon)

    async def list_versions(self) -> list[int]:
        names = await cast("Awaitable[list[Any]]", self._redis.hkeys(self._keys.history))
        return sorted(int(decode_text(name)) for name in names)

    async def replace(self, expected_version: int, weights: Weights) -> bool:
        """Compare and set (0 expects none); False when another version is stored."""
        keys = (self._keys.weights, self._keys.history)
        return (
            decode_text(
                await self._run(
                    REPLACE_WEIGHTS, keys, self._version_args(expected_version, weights)
                )
            )
            == "ok"
        )

    async def publish(self, expected_version: int, batch: Batch, token: str) -> str:
        """Publish a batch: return ``ok``, or ``fenced``, ``conflict`` or ``gone`` with nothing changed."""
        keys, options = self._keys, self._options
        rest = (token, GROUP, CONSUMER, options.dead_letters_max, options.log_max, batch.payload())
        reply = await self._run(
            PUBLISH_BATCH,
            (keys.weights, keys.history, keys.lock, keys.feedback, keys.dead_letters, keys.log),
            (*self._version_args(expected_version, batch.weights), *rest),
        )
        return decode_text(reply)

    async def queue_state(self) -> QueueState:
        keys = self._keys
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.getrange(keys.weights, 0, HEAD_BYTES - 1)
            pipe.xlen(keys.feedback)
            pipe.xlen(keys.dead_letters)
            pipe.hgetall(keys.counters)
            head, queued, dead, counters = await pipe.execute()
        counts_by_name = {decode_text(name): int(count) for name, count in counters.items()}
        return QueueState(parse_version(decode_text(head)), int(queued), int(dead), counts_by_name)

    # The one learner's lock

    async def acquire_lock(self, owner: str) -> str | None:
        """Return a token whose number only grows, or None while another process holds the lock."""
        keys = (self._keys.lock, self._keys.fence)
        return decode_text(await self._run(ACQUIRE_LOCK, keys, (owner, self._lease_ms))) or None

    async def renew_lock(self, token: str) -> bool:
        return bool(await self._run(RENEW_LOCK, (self._keys.lock,), (token, self._lease_ms)))

    async def release_lock(self, token: str) -> None:
        await self._run(RELEASE_LOCK, (self._keys.lock,), (token,))

    @property
    def _lease_ms(self) -> int:
        return int(self._options.lease_seconds * 1_000)

    @property
    def _decision_ttl_ms(self) -> int:
        return int((self._options.decision_seconds + self._options.late_seconds) * 1_000)

    def _version_args(self, expected: int, weights: Weights) -> tuple[str | int, ...]:
        document = weights.encode()
        return expected, weights.version, document, self._keys.changes, self._options.history_max

    async def _run(self, script: str, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:  # noqa: ANN401 - a script's reply is whatever it returns
        values = [str(argument) for argument in arguments]
        return await self._redis.eval(script, len(keys), *keys, *values)

    async def _read(self, after: str, count: int, block_ms: int | None) -> list[FeedbackEntry]:
        streams: dict[Any, Any] = {self._keys.feedback: after}
        reply: Any = await self._redis.xreadgroup(
            GROUP, CONSUMER, streams, count=count, block=block_ms
        )
        batches = (
            reply.values()
            if isinstance(reply, dict)
            else [stream_reply[1] for stream_reply in reply or []]
        )
        return [_parse_entry(*entry) for batch in batches for entry in _unwrap_pairs(batch)]


def decode_text(value: bytes | str) -> str:
    """Decode, with replacement characters for bytes that are not UTF-8, so no entry stops the reader."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _unwrap_pairs(batch: Any) -> list[Any]:  # noqa: ANN401 - the client's shape differs by protocol
    """Unwrap a stream's entries, which RESP3 replies wrap in one more list."""
    return batch[0] if batch and isinstance(batch[0], list) else batch


def _parse_entry(entry_id: bytes | str, fields: Mapping[Any, Any] | None) -> FeedbackEntry:
    if not fields:
        return FeedbackEntry(decode_text(entry_id), None)
    return FeedbackEntry(
        decode_text(entry_id),
        {decode_text(name): decode_text(value) for name, value in fields.items()},
    )
