"""Step recordings: the metrics of one step, written to Prometheus as far as they are needed.

A recording uses the step's own percentage, so that both cohorts fit at any time of entry. Rollouts
that enter the step under equal conditions share it. Each has its own time range in Prometheus.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import RLock

import numpy as np

from sluice.rehearsal.arrays import Floats, nan_to_none
from sluice.rehearsal.prometheus.range_query import PrometheusClient
from sluice.rehearsal.timeline.read_ahead_cache import ReadAheadCache
from sluice.rehearsal.traffic.period_records import ACTIVITY_WINDOW_TICKS
from sluice.rehearsal.traffic.series_filter import SeriesKey
from sluice.rehearsal.traffic.synthetic_metrics import TrafficGenerator, TreatmentTraffic
from sluice.rehearsal.traffic.traffic_spec import TrafficSpec

BASE_EPOCH_MIN = 1_000_000_000.0 // 3600 * 3600
WINDOWS_PER_CHUNK = 12
LOOKBACK_SECONDS = 300.0


@dataclass
class StepRecording:
    """One recorded step. Times are Prometheus' (epoch seconds); ``entry_epoch`` is the step's begin."""

    spec: TrafficSpec
    client: PrometheusClient
    base_epoch: float
    _traffic: TrafficGenerator = field(init=False)
    _end_epoch: float = field(init=False)
    _treatment_traffic: list[TreatmentTraffic] = field(default_factory=list)
    _sample_ages: Floats = field(default_factory=lambda: np.zeros(0))
    _recorded: dict[SeriesKey, bool] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)
    readings: ReadAheadCache = field(init=False)

    def __post_init__(self) -> None:
        self._traffic = TrafficGenerator(self.spec, self.base_epoch)
        self._end_epoch = self.base_epoch
        self.readings = ReadAheadCache(self)

    @property
    def tick_seconds(self) -> float:
        return self.spec.tick_seconds

    @property
    def entry_epoch(self) -> float:
        return self.base_epoch + self.spec.lead_ticks * self.tick_seconds

    def record_initial(self, epoch: float) -> None:
        """Record up to ``epoch`` unless a part is recorded already."""
        with self.lock:
            if self._end_epoch == self.base_epoch:
                self._record_windows(self._windows_until(epoch))

    def record_until(self, epoch: float) -> None:
        """Record at least up to ``epoch``.

        It records in pieces of one size, because the random traffic of a piece must not depend on
        the first reader: a watch for a day or a check for one time.
        """
        with self.lock:
            while self._windows_until(epoch) > 0:
                self._record_windows(WINDOWS_PER_CHUNK)

    def _windows_until(self, epoch: float) -> int:
        return math.ceil((epoch - self._end_epoch) / (ACTIVITY_WINDOW_TICKS * self.tick_seconds))

    def _record_windows(self, spells: int) -> None:
        seconds, chunk, exposure = self._traffic.next_chunk(spells)
        ticks = np.round((seconds - self.base_epoch) / self.tick_seconds).astype(np.int64)
        is_scraped = self._traffic.scrape_mask(ticks)
        if is_scraped.any():
            # A separate instance: Prometheus accepts a series' samples only in order of time.
            instance_label = ("instance", f"tape-{self.base_epoch:.0f}")
            series = {
                tuple(sorted((instance_label, *key))): values[is_scraped]
                for key, values in chunk.items()
                if self._is_recorded(key)
            }
            self.client.write(seconds[is_scraped], series)
        self._treatment_traffic.append(exposure)
        last = self._sample_ages[-1] + self.tick_seconds if len(self._sample_ages) else math.inf
        since = np.where(is_scraped, seconds, -np.inf)
        since[0] = max(since[0], seconds[0] - last)
        self._sample_ages = np.concatenate(
            [self._sample_ages, seconds - np.maximum.accumulate(since)]
        )
        self._end_epoch = self.base_epoch + self._traffic.next_tick * self.tick_seconds

    def _is_recorded(self, key: SeriesKey) -> bool:
        if key not in self._recorded:
            series_filter = self.spec.series
            self._recorded[key] = series_filter is None or series_filter.includes(key)
        return self._recorded[key]

    def sample_age_at(self, tick: int) -> tuple[float | None] | None:
        """Return the sample age at a recorded tick in a tuple; None where nothing is recorded."""
        if tick >= len(self._sample_ages):
            return None
        return (nan_to_none(float(self._mask_expired(self._sample_ages[tick]))),)

    def tick_of(self, epoch: float) -> int:
        """Return the number of ticks from the begin of the recording to ``epoch``."""
        return round((epoch - self.base_epoch) / self.tick_seconds)

    def sample_ages(self, begin: float, end: float) -> Floats:
        """Return the age of the newest sample at every tick, in seconds; NaN beyond the lookback.

        Every tick is scraped completely or not at all, so this equals any series'
        ``time() - timestamp()``, for which Prometheus would take minutes.
        """
        with self.lock:
            self.record_until(end)
            return self._mask_expired(self._sample_ages[self.tick_of(begin) : self.tick_of(end)])

    def sample_ages_from_entry(self) -> Floats:
        """Return the sample ages of the whole recording, from the entry on."""
        with self.lock:
            return self._mask_expired(self._sample_ages[self.spec.lead_ticks :])

    @property
    def end_epoch(self) -> float:
        """Return the end of the recording."""
        return self._end_epoch

    def _mask_expired(self, ages: Floats) -> Floats:
        return np.where(ages < LOOKBACK_SECONDS, ages, np.nan)

    def exposure(self, begin: float, end: float) -> tuple[int, int, int]:
        """Return the treatment's queries in a span, its failures, and the most users in one window."""
        first, last = (
            round((epoch - self.base_epoch) / self.tick_seconds) for epoch in (begin, end)
        )
        queries = np.concatenate([traffic.queries for traffic in self._treatment_traffic])[
            first:last
        ]
        errors = np.concatenate([traffic.errors for traffic in self._treatment_traffic])[first:last]
        users = np.concatenate([traffic.active_users for traffic in self._treatment_traffic])
        spells = users[first // ACTIVITY_WINDOW_TICKS : last // ACTIVITY_WINDOW_TICKS + 1]
        return int(queries.sum()), int(errors.sum()), int(spells.max(initial=0))


@dataclass
class RecordingPool:
    """Pool of recordings, one per traffic spec, in separate time ranges of Prometheus."""

    client: PrometheusClient
    _recordings: list[StepRecording] = field(default_factory=list)
    _next_epoch: float = BASE_EPOCH_MIN
    _lock: RLock = field(default_factory=RLock)

    def recording_for(self, spec: TrafficSpec, longest_seconds: float) -> StepRecording:
        """Return the recording of a traffic spec; ``longest_seconds`` limits its length."""
        with self._lock:
            for recording in self._matching(spec):
                return recording
            new_recording = StepRecording(spec, self.client, self._next_epoch)
            self._next_epoch += math.ceil(longest_seconds / 3600 + 24) * 3600
            self._recordings.append(new_recording)
            return new_recording

    def _matching(self, scene: TrafficSpec) -> Iterator[StepRecording]:
        return (recording for recording in self._recordings if recording.spec == scene)
