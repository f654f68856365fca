"""One recorder of outcomes for each flag that a service reports on."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from sluice.flags.redis.reader import FlagReader
from sluice.flags.server.requests import ReportedOutcome
from sluice.flags.service.cohort_labels import CohortLabels
from sluice.flags.service.exposure import OutcomeRecorder
from sluice.flags.service.metrics import FlagMetrics, ServiceMetrics


class OutcomeCounters:
    """Counts reported outcomes by flag and cohort, in one event loop."""

    def __init__(
        self, reader: FlagReader, redis: Redis, registry: CollectorRegistry, cohorts: CohortLabels
    ) -> None:
        self._reader = reader
        self._redis = redis
        self._cohorts = cohorts
        self._families = ServiceMetrics.of(registry, cohorts.label)
        self._recorders: dict[str, OutcomeRecorder] = {}
        self._flushers: list[asyncio.Task[None]] = []

    def record(self, outcome: ReportedOutcome) -> None:
        """Count one outcome of a flag that exists. Never waits."""
        exposure = self._recorder(outcome.flag).expose(outcome.user)
        if outcome.ok is not None and outcome.seconds is not None:
            exposure.record_request(outcome.seconds, failed=not outcome.ok)
        if outcome.score is not None:
            exposure.rate(outcome.score)

    async def close(self) -> None:
        """Flush what is pending and stop."""
        for flusher in self._flushers:
            flusher.cancel()
        for recorder in self._recorders.values():
            await recorder.users.flush()

    def _recorder(self, flag: str) -> OutcomeRecorder:
        if flag not in self._recorders:
            metrics = FlagMetrics(self._families, flag, self._reader, self._cohorts)
            recorder = OutcomeRecorder(flag, self._reader, self._redis, metrics)
            self._recorders[flag] = recorder
            self._flushers.append(asyncio.get_running_loop().create_task(recorder.users.run()))
        return self._recorders[flag]
