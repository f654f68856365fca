"""Step recordings: the metrics of one step, written to Prometheus as far as they are needed.

A recording uses the step's own percentage, so that both cohorts fit at any time of entry. Rollouts
that enter the step under equal conditions share it. Each has its own time range in Prometheus.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from threading import RLock

import numpy as np

from sluice.rehearsal.arrays import Floats, nan_to_none
from sluice.rehearsal.prometheus.range_query import PrometheusClient
from sluice.rehearsal.traffic.synthetic_metrics import (
    ACTIVITY_WINDOW_TICKS,
    TrafficGenerator,
    TreatmentTraffic,
)
from sluice.rehearsal.traffic.traffic_spec import TrafficSpec

BASE_EPOCH_MIN = 1_000_000_000.0 // 3600 * 3600
WINDOWS_PER_CHUNK = 12
LOOKBACK_SECONDS = 300.0
CHECKS_AHEAD = 256
READERS = 4


@dataclass
class StepRecording:
    """One recorded step. Times are Prometheus' (epoch seconds); ``entry`` is the step's begin."""

    spec: TrafficSpec
    client: PrometheusClient
    base_epoch: float
    _traffic: TrafficGenerator = field(init=False)
    _end_epoch: float = field(init=False)
    _treatment_traffic: list[TreatmentTraffic] = field(default_factory=list)
    _check_readings: dict[str, dict[int, float]] = field(default_factory=dict)
    _last_query_epoch: dict[str, float] = field(default_factory=dict)
    _tick_readings: dict[str, Floats] = field(default_factory=dict)
    _columns: dict[tuple[tuple[str, ...], float], tuple[float, list[Floats]]] = field(
        default_factory=dict
    )
    _sample_ages: Floats = field(default_factory=lambda: np.zeros(0))
    _lock: RLock = field(default_factory=RLock)

    def __post_init__(self) -> None:
        self._traffic = TrafficGenerator(self.spec, self.base_epoch)
        self._end_epoch = self.base_epoch

    @property
    def tick_seconds(self) -> float:
        return self.spec.tick_seconds

    @property
    def entry_epoch(self) -> float:
        return self.base_epoch + self.spec.lead_ticks * self.tick_seconds

    def record_initial(self, epoch: float) -> None:
        """Record up to ``epoch`` unless a part is recorded already."""
        with self._lock:
            if self._end_epoch == self.base_epoch:
                self._record_windows(self._windows_until(epoch))

    def record_until(self, epoch: float) -> None:
        """Record at least up to ``epoch``.

        It records in pieces of one size, because the random traffic of a piece must not depend on
        the first reader: a watch for a day or a check for one time.
        """
        with self._lock:
            while self._windows_until(epoch) > 0:
                self._record_windows(WINDOWS_PER_CHUNK)

    def _windows_until(self, epoch: float) -> int:
        return math.ceil((epoch - self._end_epoch) / (ACTIVITY_WINDOW_TICKS * self.tick_seconds))

    def _record_windows(self, spells: int) -> None:
        seconds, chunk, exposure = self._traffic.next_chunk(spells)
        ticks = np.round((seconds - self.base_epoch) / self.tick_seconds).astype(np.int64)
        seen = self._traffic.scrape_mask(ticks)
        if seen.any():
            # A separate instance: Prometheus accepts a series' samples only in order of time.
            mine = ("instance", f"tape-{self.base_epoch:.0f}")
            series = {tuple(sorted((mine, *key))): v[seen] for key, v in chunk.items()}
            self.client.write(seconds[seen], series)
        self._treatment_traffic.append(exposure)
        last = self._sample_ages[-1] + self.tick_seconds if len(self._sample_ages) else math.inf
        since = np.where(seen, seconds, -np.inf)
        since[0] = max(since[0], seconds[0] - last)
        self._sample_ages = np.concatenate(
            [self._sample_ages, seconds - np.maximum.accumulate(since)]
        )
        self._end_epoch = self.base_epoch + self._traffic.next_tick * self.tick_seconds

    def value_at(self, promql: str, epoch: float, step: float) -> float | None:
        """Return one reading; prefetch at ``step`` intervals, or at shorter ones when queried so."""
        with self._lock:
            known = self._check_readings.setdefault(promql, {})
            tick = self._tick_of(epoch)
            if tick not in known:
                since = epoch - self._last_query_epoch.get(promql, epoch)
                self._read_ahead(promql, epoch, since if 0 < since < step else step)
            self._last_query_epoch[promql] = epoch
            return nan_to_none(known[tick])

    def cached_value(self, promql: str | None, epoch: float) -> tuple[float | None] | None:
        """Return a prefetched reading (None: the sample age) in a tuple.

        None when it was not prefetched, or while another thread reads.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            tick = self._tick_of(epoch)
            if promql is None:
                recorded = tick < len(self._sample_ages)
                return (
                    (nan_to_none(float(self._mask_expired(self._sample_ages[tick]))),)
                    if recorded
                    else None
                )
            known = self._check_readings.get(promql, {})
            if tick not in known:
                return None
            self._last_query_epoch[promql] = epoch
            return (nan_to_none(known[tick]),)
        finally:
            self._lock.release()

    def prefetch_at(self, promql: str, epoch: float, step: float) -> None:
        """Prefetch the probable queries at ``epoch`` and every ``step`` after it."""
        with self._lock:
            if self._tick_of(epoch) not in self._check_readings.setdefault(promql, {}):
                self._read_ahead(promql, epoch, step)

    def unsent_readings(self, sent_counts: dict[str, int]) -> dict[str, dict[int, float]]:
        """Return the readings of each expression after the first ``sent``, by ticks after the entry.

        ``sent`` is updated.
        """
        with self._lock:
            lead, more = self.spec.lead_ticks, {}
            for promql, known in self._check_readings.items():
                new = islice(known.items(), sent_counts.get(promql, 0), None)
                if found := {tick - lead: value for tick, value in new}:
                    more[promql] = found
                sent_counts[promql] = len(known)
            return more

    def _read_ahead(self, promql: str, epoch: float, step: float) -> None:
        self.record_until(epoch + self.tick_seconds)
        step = max(self.tick_seconds, round(step / self.tick_seconds) * self.tick_seconds)
        count = min(CHECKS_AHEAD, int((self._end_epoch - self.tick_seconds - epoch) // step) + 1)
        times = epoch + step * np.arange(count)
        values = self.client.read(promql, times, step)
        known = self._check_readings[promql]
        known.update(zip(map(self._tick_of, times), values.tolist(), strict=True))

    def read_columns(self, promqls: Sequence[str], epochs: Floats, every: float) -> list[Floats]:
        """Return columns of readings at ``epochs``, ``every`` seconds apart to within a tick.

        The whole recording is read at once, for the next watch.
        """
        with self._lock:
            self.record_until(epochs[-1] + self.tick_seconds)
            step = every if every % self.tick_seconds == 0 else self.tick_seconds
            begin, columns = self._columns.get((tuple(promqls), step), (epochs[0], []))
            index = np.round((epochs - begin) / step).astype(np.int64)
            fits = index[0] >= 0 and np.allclose(
                begin + index * step, epochs, atol=self.tick_seconds
            )
            if not columns or not fits or index[-1] >= len(columns[0]):
                begin, index = epochs[0], np.round((epochs - epochs[0]) / step).astype(np.int64)
                times = np.arange(begin, self._end_epoch - self.tick_seconds / 2, step)
                columns = self.client.read_columns(promqls, times, step)
                self._columns[tuple(promqls), step] = begin, columns
            return [column[index] for column in columns]

    def prefetch_columns(self, promqls: Sequence[str], epoch: float, every: float) -> None:
        """Prefetch the columns from ``epoch`` on, as far as recorded."""
        with self._lock:
            if self._end_epoch - self.tick_seconds / 2 > epoch:
                self.read_columns(promqls, np.array([epoch]), every)

    def _tick_of(self, epoch: float) -> int:
        return round((epoch - self.base_epoch) / self.tick_seconds)

    def tick_values(self, promql: str, begin: float, end: float) -> Floats:
        """Return readings at every tick from ``begin`` to before ``end``; NaN means no data."""
        with self._lock:
            self.prefetch([promql], end)
            ticks = self._tick_readings[promql]
            return ticks[self._tick_of(begin) : self._tick_of(end)]

    def prefetch(self, promqls: Sequence[str], end: float) -> None:
        """Prefetch every tick of several expressions up to ``end``, in parallel."""
        with self._lock:
            self.record_until(end)
            missing = [one for one in dict.fromkeys(promqls) if self._is_missing_ticks(one, end)]
            if not missing:
                return
            with ThreadPoolExecutor(min(READERS, len(missing))) as pool:
                for promql, more in zip(
                    missing, pool.map(self._read_missing_ticks, missing), strict=True
                ):
                    known = self._tick_readings.get(promql, np.zeros(0))
                    self._tick_readings[promql] = np.concatenate([known, more])

    def _is_missing_ticks(self, promql: str, end: float) -> bool:
        return len(self._tick_readings.get(promql, ())) < self._tick_of(end)

    def _read_missing_ticks(self, promql: str) -> Floats:
        """Read every tick that is recorded and was not read yet."""
        known = len(self._tick_readings.get(promql, ()))
        times = self.base_epoch + self.tick_seconds * np.arange(
            known, self._tick_of(self._end_epoch)
        )
        return self.client.read(promql, times, self.tick_seconds)

    def sample_ages(self, begin: float, end: float) -> Floats:
        """Return the age of the newest sample at every tick, in seconds; NaN beyond the lookback.

        Every tick is scraped completely or not at all, so this equals any series'
        ``time() - timestamp()``, for which Prometheus would take minutes.
        """
        with self._lock:
            self.record_until(end)
            return self._mask_expired(self._sample_ages[self._tick_of(begin) : self._tick_of(end)])

    def sample_ages_from_entry(self) -> Floats:
        """Return the sample ages of the whole recording, from the entry on."""
        with self._lock:
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
        queries = np.concatenate([one.queries for one in self._treatment_traffic])[first:last]
        errors = np.concatenate([one.errors for one in self._treatment_traffic])[first:last]
        users = np.concatenate([one.active_users for one in self._treatment_traffic])
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
            for one in self._matching(spec):
                return one
            made = StepRecording(spec, self.client, self._next_epoch)
            self._next_epoch += math.ceil(longest_seconds / 3600 + 24) * 3600
            self._recordings.append(made)
            return made

    def _matching(self, scene: TrafficSpec) -> Iterator[StepRecording]:
        return (one for one in self._recordings if one.spec == scene)
