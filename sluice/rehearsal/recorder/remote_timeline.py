"""A timeline recorded by another process, with a cache of its readings."""

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from sluice.rehearsal.arrays import Floats, nan_to_none
from sluice.rehearsal.lookahead.watch_spec import Breach, WatchSpec
from sluice.rehearsal.recorder.client import RecorderClient
from sluice.rehearsal.recorder.requests import (
    CountExposure,
    FetchFirstFault,
    FetchReadings,
    FetchSampleAges,
    FindBreach,
    ReadingsByQuery,
    RecordStepEntry,
    StartTimeline,
    TimelineSpec,
)
from sluice.rehearsal.ticks import locate_tick, sample_age_queries, tick_seconds
from sluice.rehearsal.traffic.scenario import Scenario
from sluice.rollout.plan.schema import RolloutPlan, Step


@dataclass
class RemoteTimeline:
    """Timeline that reads from the recorder process."""

    plan: RolloutPlan
    scenario: Scenario
    seed: int
    client: RecorderClient
    begin: datetime
    steps: list[Step] = field(default_factory=list)
    _entry_times: list[datetime] = field(default_factory=list)
    _readings: list[ReadingsByQuery] = field(default_factory=list)
    _sample_ages: list[Floats | None] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._tick = tick_seconds(self.plan)
        self._age_queries = frozenset(sample_age_queries(self.plan))
        self.client.call(
            StartTimeline(TimelineSpec(self.plan, self.scenario, self.seed, self.begin))
        )
        self._add_entry(0, self.begin)

    def enter_step(self, index: int, at: datetime) -> None:
        """Record that the step at ``index`` went live."""
        self.client.call(RecordStepEntry(index, at))
        self._add_entry(index, at)

    def _add_entry(self, index: int, at: datetime) -> None:
        self.steps.append(self.plan.steps[index])
        self._readings.append({})
        self._sample_ages.append(None)
        self._entry_times.append(at)

    def query(self, promql: str, at: datetime) -> float | None:
        """Return the value that Prometheus has at ``at``.

        Raises:
            RehearsalError: Prometheus or the recorder process failed.
        """
        with self._lock:
            if (cached := self.cached(promql, at)) is not None:
                return cached[0]
            number, tick = locate_tick(self._entry_times, at, self._tick)
            if promql in self._age_queries:
                column = self.client.call(FetchSampleAges(at))
                self._sample_ages[number] = column
                return nan_to_none(float(column[tick]))
            new_readings = self.client.call(FetchReadings(promql, at))
            for expression, readings in new_readings.items():
                self._readings[number].setdefault(expression, {}).update(readings)
            return nan_to_none(self._readings[number][promql][tick])

    def cached(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """Return the answer of ``query`` when it is cached; else None."""
        number, tick = locate_tick(self._entry_times, at, self._tick)
        if promql in self._age_queries:
            column = self._sample_ages[number]
            if column is None or not 0 <= tick < len(column):
                return None
            return (nan_to_none(float(column[tick])),)
        readings = self._readings[number].get(promql, {})
        return (nan_to_none(readings[tick]),) if tick in readings else None

    def next_breach(self, spec: WatchSpec, now: datetime, until: datetime) -> Breach:
        """Find the next breach; see ``sluice.rehearsal.lookahead.lookahead``."""
        return self.client.call(FindBreach(spec, now, until))

    def first_fault_at(self) -> datetime | None:
        """Return the begin of the first fault; None before its step, or without a fault."""
        return self.client.call(FetchFirstFault())

    def exposure(self, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """Return treatment queries, failures and users between two times."""
        return self.client.call(CountExposure(begin, end))
