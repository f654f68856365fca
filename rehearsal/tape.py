"""Tapes: the recorded metrics of one step, written to Prometheus as far ahead as they are needed.

A tape is recorded under the step's own percentage, so both cohorts make sense whenever the rollout
gets there; rollouts that enter the step alike share it. Each has a time of its own in Prometheus.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from threading import RLock

import numpy as np

from rehearsal.arrays import Floats, finite
from rehearsal.ranges import Ranges
from rehearsal.traffic import SPELL_TICKS, Exposure, Scene, Traffic

FIRST_EPOCH = 1_000_000_000.0 // 3600 * 3600
AHEAD_SPELLS = 12
LOOKBACK_SECONDS = 300.0
CHECKS_AHEAD = 256
READERS = 4


@dataclass
class Tape:
    """One recorded step. Times here are Prometheus' (epoch seconds); ``entry`` is the step's begin."""

    scene: Scene
    ranges: Ranges
    base: float
    _traffic: Traffic = field(init=False)
    _until: float = field(init=False)
    _exposures: list[Exposure] = field(default_factory=list)
    _checks: dict[str, dict[int, float]] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)
    _ticks: dict[str, Floats] = field(default_factory=dict)
    _columns: dict[tuple[tuple[str, ...], float], tuple[float, list[Floats]]] = field(
        default_factory=dict
    )
    _ages: Floats = field(default_factory=lambda: np.zeros(0))
    _lock: RLock = field(default_factory=RLock)

    def __post_init__(self) -> None:
        self._traffic = Traffic(self.scene, self.base)
        self._until = self.base

    @property
    def tick(self) -> float:
        return self.scene.tick_seconds

    @property
    def entry(self) -> float:
        return self.base + self.scene.lead * self.tick

    def begin(self, epoch: float) -> None:
        """Record up to ``epoch`` at once, if nothing is recorded yet."""
        with self._lock:
            if self._until == self.base:
                self._record(self._spells_to(epoch))

    def reach(self, epoch: float) -> None:
        """Record at least up to ``epoch``.

        In pieces of one size: traffic is drawn piece by piece, so else it would depend on who asks
        first, the watch for a day or a check for its moment.
        """
        with self._lock:
            while self._spells_to(epoch) > 0:
                self._record(AHEAD_SPELLS)

    def _spells_to(self, epoch: float) -> int:
        return math.ceil((epoch - self._until) / (SPELL_TICKS * self.tick))

    def _record(self, spells: int) -> None:
        seconds, chunk, exposure = self._traffic.next(spells)
        ticks = np.round((seconds - self.base) / self.tick).astype(np.int64)
        seen = self._traffic.scraped(ticks)
        if seen.any():
            # An instance of its own: Prometheus takes a series' samples only in order of time.
            mine = ("instance", f"tape-{self.base:.0f}")
            series = {tuple(sorted((mine, *key))): v[seen] for key, v in chunk.items()}
            self.ranges.write(seconds[seen], series)
        self._exposures.append(exposure)
        last = self._ages[-1] + self.tick if len(self._ages) else math.inf
        since = np.where(seen, seconds, -np.inf)
        since[0] = max(since[0], seconds[0] - last)
        self._ages = np.concatenate([self._ages, seconds - np.maximum.accumulate(since)])
        self._until = self.base + self._traffic.tick * self.tick

    def at(self, promql: str, epoch: float, step: float) -> float | None:
        """One reading; it is read ahead in ``step``s, or in the shorter ones that it is asked in."""
        with self._lock:
            known = self._checks.setdefault(promql, {})
            tick = self._tick_of(epoch)
            if tick not in known:
                since = epoch - self._asked.get(promql, epoch)
                self._read_ahead(promql, epoch, since if 0 < since < step else step)
            self._asked[promql] = epoch
            return finite(known[tick])

    def remembered(self, promql: str | None, epoch: float) -> tuple[float | None] | None:
        """One reading that was read ahead (None: the age of samples), in a tuple by itself.

        None where it wasn't, or where another thread is reading: that would be waited for.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            tick = self._tick_of(epoch)
            if promql is None:
                recorded = tick < len(self._ages)
                return (finite(float(self._fresh(self._ages[tick]))),) if recorded else None
            known = self._checks.get(promql, {})
            if tick not in known:
                return None
            self._asked[promql] = epoch
            return (finite(known[tick]),)
        finally:
            self._lock.release()

    def prepare(self, promql: str, epoch: float, step: float) -> None:
        """Read ahead what will probably be asked at ``epoch`` and every ``step`` after it."""
        with self._lock:
            if self._tick_of(epoch) not in self._checks.setdefault(promql, {}):
                self._read_ahead(promql, epoch, step)

    def read_since(self, told: dict[str, int]) -> dict[str, dict[int, float]]:
        """Readings of each expression beyond the ``told`` first ones, by their ticks after the entry.

        ``told`` is brought up to date.
        """
        with self._lock:
            lead, more = self.scene.lead, {}
            for promql, known in self._checks.items():
                new = islice(known.items(), told.get(promql, 0), None)
                if found := {tick - lead: value for tick, value in new}:
                    more[promql] = found
                told[promql] = len(known)
            return more

    def _read_ahead(self, promql: str, epoch: float, step: float) -> None:
        self.reach(epoch + self.tick)
        step = max(self.tick, round(step / self.tick) * self.tick)
        count = min(CHECKS_AHEAD, int((self._until - self.tick - epoch) // step) + 1)
        times = epoch + step * np.arange(count)
        values = self.ranges.read(promql, times, step)
        known = self._checks[promql]
        known.update(zip(map(self._tick_of, times), values.tolist(), strict=True))

    def read_all(self, promqls: Sequence[str], epochs: Floats, every: float) -> list[Floats]:
        """Columns of readings at ``epochs``, which lie ``every`` seconds apart, give or take a tick.

        All that is recorded is read at once: the next shift asks for what comes then.
        """
        with self._lock:
            self.reach(epochs[-1] + self.tick)
            step = every if every % self.tick == 0 else self.tick
            begin, columns = self._columns.get((tuple(promqls), step), (epochs[0], []))
            index = np.round((epochs - begin) / step).astype(np.int64)
            fits = index[0] >= 0 and np.allclose(begin + index * step, epochs, atol=self.tick)
            if not columns or not fits or index[-1] >= len(columns[0]):
                begin, index = epochs[0], np.round((epochs - epochs[0]) / step).astype(np.int64)
                times = np.arange(begin, self._until - self.tick / 2, step)
                columns = self.ranges.read_all(promqls, times, step)
                self._columns[tuple(promqls), step] = begin, columns
            return [column[index] for column in columns]

    def prepare_columns(self, promqls: Sequence[str], epoch: float, every: float) -> None:
        """Read the columns that ``read_all`` will be asked for, from ``epoch`` on, as recorded."""
        with self._lock:
            if self._until - self.tick / 2 > epoch:
                self.read_all(promqls, np.array([epoch]), every)

    def _tick_of(self, epoch: float) -> int:
        return round((epoch - self.base) / self.tick)

    def every_tick(self, promql: str, begin: float, end: float) -> Floats:
        """Readings at every tick from ``begin`` to before ``end``; NaN is no data."""
        with self._lock:
            self.warm([promql], end)
            ticks = self._ticks[promql]
            return ticks[self._tick_of(begin) : self._tick_of(end)]

    def warm(self, promqls: Sequence[str], end: float) -> None:
        """Read every tick of several expressions up to ``end``, side by side: Prometheus has cores."""
        with self._lock:
            self.reach(end)
            missing = [one for one in dict.fromkeys(promqls) if self._lacks(one, end)]
            if not missing:
                return
            with ThreadPoolExecutor(min(READERS, len(missing))) as pool:
                for promql, more in zip(missing, pool.map(self._rest, missing), strict=True):
                    known = self._ticks.get(promql, np.zeros(0))
                    self._ticks[promql] = np.concatenate([known, more])

    def _lacks(self, promql: str, end: float) -> bool:
        return len(self._ticks.get(promql, ())) < self._tick_of(end)

    def _rest(self, promql: str) -> Floats:
        """All that is recorded and wasn't read: what is asked for next lies there too."""
        known = len(self._ticks.get(promql, ()))
        times = self.base + self.tick * np.arange(known, self._tick_of(self._until))
        return self.ranges.read(promql, times, self.tick)

    def ages(self, begin: float, end: float) -> Floats:
        """How old the newest sample was at every tick, in seconds; NaN past Prometheus' memory.

        Every tick is scraped whole or not at all, so this is any series' ``time() - timestamp()``,
        which Prometheus itself would take minutes for over so many ticks.
        """
        with self._lock:
            self.reach(end)
            return self._fresh(self._ages[self._tick_of(begin) : self._tick_of(end)])

    def ages_ahead(self) -> Floats:
        """The same from the entry on, for all that is recorded."""
        with self._lock:
            return self._fresh(self._ages[self.scene.lead :])

    @property
    def recorded_until(self) -> float:
        """Up to where it is recorded."""
        return self._until

    def _fresh(self, ages: Floats) -> Floats:
        return np.where(ages < LOOKBACK_SECONDS, ages, np.nan)

    def exposure(self, begin: float, end: float) -> tuple[int, int, int]:
        """Queries of the treatment in a span, how many failed, and the most users in one spell."""
        first, last = (round((epoch - self.base) / self.tick) for epoch in (begin, end))
        queries = np.concatenate([one.queries for one in self._exposures])[first:last]
        errors = np.concatenate([one.errors for one in self._exposures])[first:last]
        users = np.concatenate([one.active_users for one in self._exposures])
        spells = users[first // SPELL_TICKS : last // SPELL_TICKS + 1]
        return int(queries.sum()), int(errors.sum()), int(spells.max(initial=0))


@dataclass
class Studio:
    """Makes tapes, one for each scene, at times of Prometheus that never meet."""

    ranges: Ranges
    _tapes: list[Tape] = field(default_factory=list)
    _next: float = FIRST_EPOCH
    _lock: RLock = field(default_factory=RLock)

    def tape(self, scene: Scene, longest_seconds: float) -> Tape:
        """Give the tape of ``scene``; ``longest_seconds`` is how long it may get."""
        with self._lock:
            for one in self._matching(scene):
                return one
            made = Tape(scene, self.ranges, self._next)
            self._next += math.ceil(longest_seconds / 3600 + 24) * 3600
            self._tapes.append(made)
            return made

    def _matching(self, scene: Scene) -> Iterator[Tape]:
        return (one for one in self._tapes if one.scene == scene)
