"""Copies what flags and learner know into gauges, twice a second."""

import asyncio

from router.observability.metrics import RouterMetrics
from router.phases.phase_switches import PhaseController

UPDATE_SECONDS = 0.5


class GaugeUpdater:
    """Gauges of one process."""

    def __init__(self, phases: PhaseController, metrics: RouterMetrics) -> None:
        self._phases = phases
        self._metrics = metrics
        self._flags: frozenset[str] = frozenset()
        self._errors = 0
        reader = phases.flags.reader
        metrics.flag_lease_age_seconds.set_function(reader.lease_age_seconds)

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self.update()
            await asyncio.sleep(UPDATE_SECONDS)

    def update(self) -> None:
        """Once."""
        self._update_flag_gauges()
        self._update_learner_gauges()

    def _update_flag_gauges(self) -> None:
        flags = self._phases.flags.reader.snapshot().flags
        for name, flag in flags.items():
            self._metrics.flag_percentage.labels(name).set(flag.rollout_percentage)
        for name in self._flags - set(flags):
            self._metrics.flag_percentage.remove(name)
        self._flags = frozenset(flags)

    def _update_learner_gauges(self) -> None:
        state = self._phases.learner_client.snapshot
        metrics = self._metrics
        metrics.learner_errors.inc(max(0, state.errors - self._errors))
        self._errors = state.errors
        if self._phases.learner is None:
            return
        metrics.feedback_queue_size.set(state.queue_size)
        metrics.learner_heartbeat.set(state.heartbeat_timestamp)
        metrics.learner_last_batch.set(state.last_batch_timestamp)
        metrics.learner_weights_version.set(state.weights.version)
