"""Readings of one recorded step, read from Prometheus ahead of the questions and kept."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import RLock
from typing import Protocol

import numpy as np

from sluice.rehearsal.arrays import Floats, nan_to_none
from sluice.rehearsal.prometheus.range_query import PrometheusClient
from sluice.rehearsal.traffic.traffic_spec import TrafficSpec

CHECKS_AHEAD = 256
READERS = 4


class RecordedSpan(Protocol):
    """The recording that the cache reads from. Times are Prometheus' (epoch seconds)."""

    spec: TrafficSpec
    client: PrometheusClient
    base_epoch: float
    lock: RLock

    @property
    def tick_seconds(self) -> float:
        """Return the length of a tick."""
        ...

    @property
    def end_epoch(self) -> float:
        """Return the time up to which samples are recorded."""
        ...

    def record_until(self, epoch: float) -> None:
        """Record at least up to ``epoch``."""

    def tick_of(self, epoch: float) -> int:
        """Return the number of ticks from the begin of the recording to ``epoch``."""
        ...

    def sample_age_at(self, tick: int) -> tuple[float | None] | None:
        """Return the age of samples at a recorded tick."""
        ...


class ReadAheadCache:
    """Reads expressions ahead: by check, by column, or at every tick."""

    def __init__(self, recording: RecordedSpan) -> None:
        self._recording = recording
        self._check_readings: dict[str, dict[int, float]] = {}
        self._batches: list[tuple[str, list[int]]] = []
        self._last_query_epoch: dict[str, float] = {}
        self._tick_readings: dict[str, Floats] = {}
        self._columns: dict[tuple[tuple[str, ...], float], tuple[float, list[Floats]]] = {}

    def value_at(self, promql: str, epoch: float, step: float) -> float | None:
        """Return one reading; prefetch at ``step`` intervals, or at shorter ones when queried so.

        The first reading comes alone: a window that is cut to the time live is another query at each
        check, and is sent once.
        """
        with self._recording.lock:
            readings = self._check_readings.setdefault(promql, {})
            tick = self._recording.tick_of(epoch)
            if tick not in readings:
                since = epoch - self._last_query_epoch.get(promql, epoch)
                checks = CHECKS_AHEAD if readings else 1
                self._read_ahead(promql, epoch, since if 0 < since < step else step, checks)
            self._last_query_epoch[promql] = epoch
            return nan_to_none(readings[tick])

    def cached_value(self, promql: str | None, epoch: float) -> tuple[float | None] | None:
        """Return a prefetched reading (None: the sample age) in a tuple.

        None when it was not prefetched, or while another thread reads.
        """
        if not self._recording.lock.acquire(blocking=False):
            return None
        try:
            tick = self._recording.tick_of(epoch)
            if promql is None:
                return self._recording.sample_age_at(tick)
            readings = self._check_readings.get(promql, {})
            if tick not in readings:
                return None
            self._last_query_epoch[promql] = epoch
            return (nan_to_none(readings[tick]),)
        finally:
            self._recording.lock.release()

    def prefetch_at(self, promql: str, epoch: float, step: float) -> None:
        """Prefetch the probable queries at ``epoch`` and every ``step`` after it."""
        with self._recording.lock:
            if self._recording.tick_of(epoch) not in self._check_readings.setdefault(promql, {}):
                self._read_ahead(promql, epoch, step)

    def readings_after(self, count: int) -> tuple[dict[str, dict[int, float]], int]:
        """Return all but the first ``count`` batches of readings, by ticks after the entry.

        The second value is the count of batches now.
        """
        with self._recording.lock:
            lead, later = self._recording.spec.lead_ticks, dict[str, dict[int, float]]()
            for promql, ticks in self._batches[count:]:
                readings = self._check_readings[promql]
                later.setdefault(promql, {}).update({tick - lead: readings[tick] for tick in ticks})
            return later, len(self._batches)

    def _read_ahead(
        self, promql: str, epoch: float, step: float, checks: int = CHECKS_AHEAD
    ) -> None:
        self._recording.record_until(epoch + self._recording.tick_seconds)
        step = max(
            self._recording.tick_seconds,
            round(step / self._recording.tick_seconds) * self._recording.tick_seconds,
        )
        count = min(
            checks,
            int((self._recording.end_epoch - self._recording.tick_seconds - epoch) // step) + 1,
        )
        times = epoch + step * np.arange(count)
        values = self._recording.client.read(promql, times, step)
        ticks = [self._recording.tick_of(time) for time in times]
        self._check_readings[promql].update(zip(ticks, values.tolist(), strict=True))
        self._batches.append((promql, ticks))

    def read_columns(self, promqls: Sequence[str], epochs: Floats, every: float) -> list[Floats]:
        """Return columns of readings at ``epochs``, ``every`` seconds apart to within a tick.

        The whole recording is read at once, for the next watch.
        """
        with self._recording.lock:
            self._recording.record_until(epochs[-1] + self._recording.tick_seconds)
            step = (
                every if every % self._recording.tick_seconds == 0 else self._recording.tick_seconds
            )
            begin, columns = self._columns.get((tuple(promqls), step), (epochs[0], []))
            index = np.round((epochs - begin) / step).astype(np.int64)
            fits = index[0] >= 0 and np.allclose(
                begin + index * step, epochs, atol=self._recording.tick_seconds
            )
            if not columns or not fits or index[-1] >= len(columns[0]):
                begin, index = epochs[0], np.round((epochs - epochs[0]) / step).astype(np.int64)
                times = np.arange(
                    begin, self._recording.end_epoch - self._recording.tick_seconds / 2, step
                )
                columns = self._recording.client.read_columns(promqls, times, step)
                self._columns[tuple(promqls), step] = begin, columns
            return [column[index] for column in columns]

    def prefetch_columns(self, promqls: Sequence[str], epoch: float, every: float) -> None:
        """Prefetch the columns from ``epoch`` on, as far as recorded."""
        with self._recording.lock:
            if self._recording.end_epoch - self._recording.tick_seconds / 2 > epoch:
                self.read_columns(promqls, np.array([epoch]), every)

    def tick_values(self, promql: str, begin: float, end: float) -> Floats:
        """Return readings at every tick from ``begin`` to before ``end``; NaN means no data."""
        with self._recording.lock:
            self.prefetch([promql], end)
            ticks = self._tick_readings[promql]
            return ticks[self._recording.tick_of(begin) : self._recording.tick_of(end)]

    def prefetch(self, promqls: Sequence[str], end: float) -> None:
        """Prefetch every tick of several expressions up to ``end``, in parallel."""
        with self._recording.lock:
            self._recording.record_until(end)
            missing = [
                expression
                for expression in dict.fromkeys(promqls)
                if self._is_missing_ticks(expression, end)
            ]
            if not missing:
                return
            with ThreadPoolExecutor(min(READERS, len(missing))) as pool:
                for promql, new_readings in zip(
                    missing, pool.map(self._read_missing_ticks, missing), strict=True
                ):
                    earlier_readings = self._tick_readings.get(promql, np.zeros(0))
                    self._tick_readings[promql] = np.concatenate([earlier_readings, new_readings])

    def _is_missing_ticks(self, promql: str, end: float) -> bool:
        return len(self._tick_readings.get(promql, ())) < self._recording.tick_of(end)

    def _read_missing_ticks(self, promql: str) -> Floats:
        """Read every tick that is recorded and was not read yet."""
        read_count = len(self._tick_readings.get(promql, ()))
        times = self._recording.base_epoch + self._recording.tick_seconds * np.arange(
            read_count, self._recording.tick_of(self._recording.end_epoch)
        )
        return self._recording.client.read(promql, times, self._recording.tick_seconds)
