"""Decision log in Postgres: rows are queued without waiting and written in batches.

The queue is bounded, and a row that does not fit is dropped and counted: a log must not slow an
answer or fill the memory during an outage of Postgres. Rows wait through an outage while there is
room. Rows older than the retention are deleted in slices.
"""

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import structlog

from router.analytics.statements import read_statement
from router.answer import Answer
from router.backends.postgres_pool import PostgresPool
from router.observability.metrics import RouterMetrics
from router.settings import AnalyticsSettings

BATCH_ROWS = 500
CLOSE_SECONDS = 2.0
RETRY_SECONDS = 5.0
RETENTION_INTERVAL_SECONDS = 600.0
RETENTION_BATCH_ROWS = 5_000
ROW_KINDS = ("decision", "outcome")
CONNECTION_ERRORS = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError)
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One answered query, without its user; its text only if the setting ``log_queries`` is on."""

    answer: Answer
    tenant: str

    def to_row(self, environment: str, *, with_query: bool) -> tuple[object, ...]:
        answer = self.answer
        detail = {
            "phases_ms": dict(answer.phases_ms),
            "choice": answer.explanation.get("choice", {}),
            "corrections": list(answer.corrections),
            "failures": dict(answer.failures),
            "trace_id": answer.trace_id,
        }
        return (
            *(
                answer.query_id,
                datetime.now(UTC),
                environment,
                self.tenant,
                answer.cohort,
                answer.outcome,
            ),
            *(
                answer.intent,
                answer.confidence,
                answer.tier,
                answer.complexity,
                list(answer.backends),
            ),
            *(answer.cached, len(answer.results), answer.latency_ms),
            *(answer.query if with_query else None, json.dumps(detail)),
        )


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """A user's signals about one answer."""

    query_id: str
    reward: float | None
    complaint: bool
    signals: Mapping[str, Any]
    tenant: str

    def to_row(self, environment: str) -> tuple[object, ...]:
        signals = json.dumps({k: v for k, v in self.signals.items() if v is not None})
        now, row_id = datetime.now(UTC), uuid.uuid4()
        return (
            *(row_id, self.query_id, now, environment, self.tenant),
            *(self.reward, self.complaint, signals),
        )


class DecisionLog:
    """Queue and writer of one process's rows."""

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
        self._schema_created = False
        self._is_failing = False

    def record_decision(self, decision: DecisionRow) -> None:
        """Queue a decision. This never waits and never raises."""
        row = decision.to_row(self._environment, with_query=self._settings.log_queries)
        self._enqueue("decision", row)

    def record_outcome(self, outcome: OutcomeRow) -> None:
        """Queue an outcome. This never waits and never raises."""
        self._enqueue("outcome", outcome.to_row(self._environment))

    async def run(self) -> None:
        """Write batches and delete expired rows until cancelled."""
        deleted_at = 0.0
        now = asyncio.get_running_loop().time
        while True:
            is_written = await self._write_batch()
            if self._schema_created and now() - deleted_at > RETENTION_INTERVAL_SECONDS:
                deleted_at = now()
                await self._delete_expired()
            full = is_written and len(self._rows) >= BATCH_ROWS
            pause = self._settings.flush_seconds if is_written else RETRY_SECONDS
            await asyncio.sleep(0 if full else pause)

    async def close(self) -> None:
        """Write the queue within ``CLOSE_SECONDS``; count the rest as dropped."""
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
        """Write one batch; return False if Postgres is unavailable and the batch waits."""
        batch = [self._rows.popleft() for _ in range(min(BATCH_ROWS, len(self._rows)))]
        try:
            await self._create_schema()
            for kind in ROW_KINDS:
                rows: Sequence[Sequence[object]] = [row for of, row in batch if of == kind]
                if rows:
                    await self._pool.executemany(read_statement(f"insert_{kind}"), rows)
        except (*CONNECTION_ERRORS, asyncio.CancelledError) as error:
            self._rows.extendleft(reversed(batch))
            if isinstance(error, asyncio.CancelledError):
                raise
            self._warn("analytics_waiting", error)
            return False
        except asyncpg.PostgresError as error:  # Postgres rejects these rows, also in a retry
            self._drop("postgres", len(batch))
            self._warn("analytics_refused", error)
            return True
        self._is_failing = False
        self._metrics.analytics_written.inc(len(batch))
        self._metrics.analytics_queue_size.set(len(self._rows))
        return True

    async def _create_schema(self) -> None:
        if self._schema_created:
            return
        # Without the right to create tables, an administrator has created them or the insert fails.
        with suppress(asyncpg.InsufficientPrivilegeError):
            await self._pool.execute(read_statement("schema"))
        self._schema_created = True

    async def _delete_expired(self) -> None:
        before = datetime.now(UTC) - timedelta(days=self._settings.retention_days)
        try:
            await self._pool.execute(read_statement("link_outcomes"), self._environment)
            for table in ("decisions", "outcomes"):
                await self._delete_slices(read_statement(f"delete_{table}"), before)
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            self._warn("analytics_retention_failed", error)

    async def _delete_slices(self, statement: str, before: datetime) -> None:
        deleted = RETENTION_BATCH_ROWS
        while deleted >= RETENTION_BATCH_ROWS:
            count = await self._pool.fetchval(
                statement, self._environment, before, RETENTION_BATCH_ROWS
            )
            deleted = int(str(count))

    def _drop(self, reason: str, rows: int) -> None:
        if rows:
            self._metrics.analytics_dropped.labels(reason).inc(rows)

    def _warn(self, event: str, error: BaseException) -> None:
        if not self._is_failing:
            logger.warning(event, reason=repr(error), queued=len(self._rows))
        self._is_failing = True
