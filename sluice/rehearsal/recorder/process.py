"""The recorder process: it records a rehearsal's traffic and reads from it.

``python -m sluice.rehearsal.recorder.process FD`` serves ``sluice.rehearsal.recorder.client`` over that
descriptor, and prefetches while idle. It ends with the client's process.
"""

import signal
import sys
from collections.abc import Mapping
from datetime import datetime
from multiprocessing.connection import Connection

from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.errors import RehearsalError
from sluice.rehearsal.lookahead.lookahead import next_breach
from sluice.rehearsal.lookahead.prefetch import Prefetcher
from sluice.rehearsal.lookahead.watch_spec import Breach, WatchSpec
from sluice.rehearsal.prometheus.range_query import PrometheusClient, open_client
from sluice.rehearsal.recorder.requests import ReadingsByQuery, RecorderRequest, TimelineSpec
from sluice.rehearsal.timeline.step_recording import RecordingPool
from sluice.rehearsal.timeline.timeline import Timeline
from sluice.rollout.analysis.reading import Reading

SWITCH_SECONDS = 0.0005
"""Thread switch interval, so that the prefetching thread yields to calls; Python's is ten times that."""


class Recorder:
    """Server of one timeline after the other; they share recordings."""

    def __init__(self, ranges: PrometheusClient, expected: TimelineSpec) -> None:
        self._pool = RecordingPool(ranges)
        self._prefetcher = Prefetcher()
        self._baseline: Mapping[str, Reading] = {}
        self.start_timeline(expected)

    def start_timeline(self, spec: TimelineSpec) -> None:
        """Begin another timeline; its prefetched steps are recorded already."""
        self._timeline = Timeline(spec.plan, spec.scenario, spec.seed, self._pool, spec.begin)
        self._sent_batches: dict[datetime, int] = {}
        self._prefetcher.start(self._timeline, self._baseline)

    def enter_step(self, index: int, at: datetime) -> None:
        """Enter a step; see ``Timeline.enter_step``."""
        self._prefetcher.stop()
        self._timeline.enter_step(index, at)
        self._prefetcher.start(self._timeline, self._baseline)

    def new_readings(self, promql: str, at: datetime) -> ReadingsByQuery:
        """Return the readings of the step live at ``at`` that were not sent yet, ``promql`` included."""
        self._timeline.query(promql, at)
        entry, _ = self._timeline.locate(at)
        count = self._sent_batches.get(entry.at, 0)
        readings, self._sent_batches[entry.at] = entry.recording.readings.readings_after(count)
        return readings

    def sample_ages(self, at: datetime) -> Floats:
        """Return the sample age at each tick of the step live at ``at``."""
        entry, epoch = self._timeline.locate(at)
        entry.recording.record_until(epoch + entry.recording.tick_seconds)
        return entry.recording.sample_ages_from_entry()

    def next_breach(self, spec: WatchSpec, now: datetime, until: datetime) -> Breach:
        """Find the next breach; see ``sluice.rehearsal.lookahead.lookahead``."""
        self._baseline = spec.baseline
        breach = next_breach(self._timeline, spec, now, until)
        if now < until and not breach.names:
            self._prefetcher.prefetch_evidence(
                self._timeline, spec.after_handover(breach.tracks), (now, until)
            )
        return breach

    def first_fault_at(self) -> datetime | None:
        """Return the begin of the first fault; see ``Timeline.first_fault_at``."""
        return self._timeline.first_fault_at()

    def exposure(self, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """Return the exposure; see ``Timeline.exposure``."""
        return self._timeline.exposure(begin, end)


def serve(connection: Connection) -> None:
    """Serve calls until the client closes the connection."""
    url, expected = connection.recv()
    with open_client(url) as ranges:
        recorder = Recorder(ranges, expected)
        while True:
            request: RecorderRequest[object] = connection.recv()
            try:
                connection.send((None, request.answer(recorder)))
            except RehearsalError as error:
                connection.send((error, None))


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_SECONDS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the client ends this process
    try:
        serve(Connection(int(sys.argv[1])))
    except (EOFError, OSError):
        sys.exit()
