"""Decisions and outcomes on their way to Postgres: queued without waiting, written in batches.

The queue is bounded; what does not fit is dropped and counted, for a log must never slow an answer
or fill the memory of a router whose Postgres is away. Rows wait through an outage as long as there
is room. Rows older than the retention go, a slice at a time.
"""

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import structlog

from router.answer import Answer
from router.backends.postgres_pool import PostgresPool
from router.observability.metrics import RouterMetrics
from router.settings import AnalyticsSettings

BATCH_ROWS = 500
CLOSE_SECONDS = 2.0
RETRY_SECONDS = 5.0
RETENTION_INTERVAL_SECONDS = 600.0
RETENTION_BATCH_ROWS = 5_000
INSERTS = {
    "decision": """
        INSERT INTO router_decisions (query_id, at, environment, tenant, cohort, outcome, intent,
            confidence, tier, complexity, backends, cached, results, latency_ms, query, detail)
        VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16::text::jsonb)
        ON CONFLICT (query_id) DO NOTHING""",
    "outcome": """
        INSERT INTO router_outcomes (id, query_id, at, environment, reward, complaint, signals)
        VALUES ($1,$2,$3,$4,$5,$6,$7::text::jsonb) ON CONFLICT (id) DO NOTHING""",
}
RETENTION_DELETES = (
    """DELETE FROM router_decisions WHERE ctid IN (
        SELECT ctid FROM router_decisions WHERE environment = $1 AND at < $2 LIMIT $3)""",
    """DELETE FROM router_outcomes WHERE ctid IN (
        SELECT ctid FROM router_outcomes WHERE environment = $1 AND at < $2 LIMIT $3)""",
)
CONNECTION_ERRORS = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError)
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One answered query. Users are not logged; the question only where a setting asks for it."""

    answer: Answer
    tenant: str

    def to_row(self, environment: str, *, with_query: bool) -> tuple[object, ...]:
        one = self.answer
        detail = {
            "phases_ms": dict(one.phases_ms),
            "choice": one.explanation.get("choice", {}),
            "corrections": list(one.corrections),
            "failures": dict(one.failures),
            "trace_id": one.trace_id,
        }
        return (
            *(one.query_id, datetime.now(UTC), environment, self.tenant, one.cohort, one.outcome),
            *(one.intent, one.confidence, one.tier, one.complexity, list(one.backends)),
            *(one.cached, len(one.results), one.latency_ms),
            *(one.query if with_query else None, json.dumps(detail)),
        )


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """What a user made of an answer."""

    query_id: str
    reward: float | None
    complaint: bool
    signals: Mapping[str, Any]

    def to_row(self, environment: str) -> tuple[object, ...]:
        signals = json.dumps({k: v for k, v in self.signals.items() if v is not None})
        now, key = datetime.now(UTC), uuid.uuid4()
        return (key, self.query_id, now, environment, self.reward, self.complaint, signals)


class DecisionLog:
    """``run`` writes for ever; ``close`` writes what is left, briefly."""

    def __init__(
        self,
        pool: PostgresPool,
        environment: str,
        settings: AnalyticsSettings,
        metrics: RouterMetrics,
    ) -> None:
        self._pool = pool
        self._environment = environment
        self._settings = settings
        self._metrics = metrics
        self._rows: deque[tuple[str, tuple[object, ...]]] = deque()
        self._ready = False
        self._failing = False

    def record_decision(self, decision: DecisionRow) -> None:
        """Never waits and never fails."""
        row = decision.to_row(self._environment, with_query=self._settings.log_queries)
        self._enqueue("decision", row)

    def record_outcome(self, outcome: OutcomeRow) -> None:
        """Never waits and never fails."""
        self._enqueue("outcome", outcome.to_row(self._environment))

    async def run(self) -> None:
        """For ever."""
        forgot_at = 0.0
        now = asyncio.get_running_loop().time
        while True:
            written = await self._write_batch()
            if self._ready and now() - forgot_at > RETENTION_INTERVAL_SECONDS:
                forgot_at = now()
                await self._delete_expired()
            full = written and len(self._rows) >= BATCH_ROWS
            pause = self._settings.flush_seconds if written else RETRY_SECONDS
            await asyncio.sleep(0 if full else pause)

    async def close(self) -> None:
        """Write what is left within two seconds; the rest is counted as dropped."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._rows and await self._write_batch():
                    pass
        except TimeoutError:
            pass
        self._drop("postgres", len(self._rows))
        self._rows.clear()

    def _enqueue(self, kind: str, row: tuple[object, ...]) -> None:
        if len(self._rows) >= self._settings.queue_max:
            self._drop("queue_full", 1)
            return
        self._rows.append((kind, row))
        self._metrics.analytics_queue_size.set(len(self._rows))

    async def _write_batch(self) -> bool:
        """Write one batch; False when Postgres is away and the batch waits for it."""
        batch = [self._rows.popleft() for _ in range(min(BATCH_ROWS, len(self._rows)))]
        try:
            await self._create_schema()
            for kind, statement in INSERTS.items():
                rows: Sequence[Sequence[object]] = [row for of, row in batch if of == kind]
                if rows:
                    await self._pool.executemany(statement, rows)
        except (*CONNECTION_ERRORS, asyncio.CancelledError) as error:
            self._rows.extendleft(reversed(batch))
            if isinstance(error, asyncio.CancelledError):
                raise
            self._warn("analytics_waiting", error)
            return False
        except asyncpg.PostgresError as error:  # refused: these rows would be refused again
            self._drop("postgres", len(batch))
            self._warn("analytics_refused", error)
            return True
        self._failing = False
        self._metrics.analytics_written.inc(len(batch))
        self._metrics.analytics_queue_size.set(len(self._rows))
        return True

    async def _create_schema(self) -> None:
        if self._ready:
            return
        schema = files("router.analytics").joinpath("schema.sql").read_text("utf-8")
        # Without the right to create: someone with more rights did, or the first insert will tell.
        with suppress(asyncpg.InsufficientPrivilegeError):
            await self._pool.execute(schema)
        self._ready = True

    async def _delete_expired(self) -> None:
        before = datetime.now(UTC) - timedelta(days=self._settings.retention_days)
        try:
            for statement in RETENTION_DELETES:
                deleted = RETENTION_BATCH_ROWS
                while deleted >= RETENTION_BATCH_ROWS:
                    done = await self._pool.execute(
                        statement, self._environment, before, RETENTION_BATCH_ROWS
                    )
                    deleted = int(done.rpartition(" ")[2])
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            self._warn("analytics_retention_failed", error)

    def _drop(self, why: str, rows: int) -> None:
        if rows:
            self._metrics.analytics_dropped.labels(why).inc(rows)

    def _warn(self, event: str, error: BaseException) -> None:
        if not self._failing:
            logger.warning(event, why=repr(error), waiting=len(self._rows))
        self._failing = True
