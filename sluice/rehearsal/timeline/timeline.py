"""The timeline of one rehearsed rollout: the recording that applies at each time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np

from sluice.rehearsal.arrays import Floats, nan_to_none
from sluice.rehearsal.ticks import START_HOUR, locate_tick, sample_age_queries, tick_seconds
from sluice.rehearsal.timeline.step_recording import RecordingPool, StepRecording
from sluice.rehearsal.traffic.fault_schedule import FaultSchedule, ScheduledFault
from sluice.rehearsal.traffic.period_records import ACTIVITY_WINDOW_TICKS
from sluice.rehearsal.traffic.scenario import Scenario, ScenarioFault
from sluice.rehearsal.traffic.series_filter import step_series
from sluice.rehearsal.traffic.traffic_spec import RouterState, TrafficSpec
from sluice.rollout.engine.flag_target import phases_at
from sluice.rollout.plan.schema import RolloutPlan, Step

_UNBOUNDED = timedelta(days=365)


@dataclass(frozen=True)
class StepEntry:
    """The entry of a step: its time and its recording."""

    step: Step
    at: datetime
    recording: StepRecording


@dataclass
class Timeline:
    """Mapping of the workflow's time to the times of recordings."""

    plan: RolloutPlan
    scenario: Scenario
    seed: int
    pool: RecordingPool
    begin: datetime
    entries: list[StepEntry] = field(default_factory=list)
    evidence_cache: dict[tuple[object, ...], Any] = field(default_factory=dict)
    """Cache of ``sluice.rehearsal.lookahead.batch_evidence``."""

    def __post_init__(self) -> None:
        self._tick = tick_seconds(self.plan)
        self._age_queries = frozenset(sample_age_queries(self.plan))
        self.enter_step(0, self.begin)  # its checklist measures before the step itself is live

    @property
    def percentage(self) -> float:
        """Return the exposure of the last step, in per cent."""
        return router_state_at(self.plan, self.plan.steps.index(self.entries[-1].step)).percentage

    def enter_step(self, index: int, at: datetime) -> None:
        """Record that the step at ``index`` went live; its recording applies from now on."""
        step = self.plan.steps[index]
        scene = self._traffic_spec(index, at)
        longest = step.deadline + self.plan.escalation.p1_rolls_back_after + timedelta(days=30)
        recording = self.pool.recording_for(
            scene, longest.total_seconds() + scene.lead_ticks * self._tick
        )
        recording.record_initial(
            recording.entry_epoch
            + expected_duration(step).total_seconds()
            + ACTIVITY_WINDOW_TICKS * self._tick
        )
        self.entries.append(StepEntry(step, at, recording))

    def locate(self, at: datetime) -> tuple[StepEntry, float]:
        """Return the entry that covers ``at``, and the recorded time of the last tick before it."""
        number, ticks = locate_tick([step_entry.at for step_entry in self.entries], at, self._tick)
        entry = self.entries[number]
        return entry, entry.recording.entry_epoch + ticks * self._tick

    def query(self, promql: str, at: datetime, every: timedelta | None = None) -> float | None:
        """Return the value that Prometheus has at ``at``; ``every`` is the query interval."""
        entry, epoch = self.locate(at)
        if promql in self._age_queries:
            return nan_to_none(float(entry.recording.sample_ages(epoch, epoch + self._tick)[0]))
        return entry.recording.readings.value_at(
            promql, epoch, (every or entry.step.interval).total_seconds()
        )

    def cached(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """Return the answer of ``query`` when it is cached; else None."""
        entry, epoch = self.locate(at)
        return entry.recording.readings.cached_value(
            None if promql in self._age_queries else promql, epoch
        )

    def read_columns(
        self, promqls: Sequence[str], ends: Sequence[datetime], every: timedelta
    ) -> list[Floats]:
        """Return columns of the answers of ``query`` at times ``every`` apart."""
        columns: list[list[Floats]] = [[] for _ in promqls]
        locations = [self.locate(at) for at in ends]
        for _, group in groupby(locations, key=lambda location: id(location[0])):
            members = list(group)
            epochs = np.array([epoch for _, epoch in members])
            column_values = members[0][0].recording.readings.read_columns(
                promqls, epochs, every.total_seconds()
            )
            for column, values in zip(columns, column_values, strict=True):
                column.append(values)
        return [np.concatenate(column) for column in columns]

    def first_fault_at(self) -> datetime | None:
        """Return the begin of the first fault; None before its step, or without a fault."""
        return min(
            (at for fault in self.scenario.faults if (at := self._fault_start(fault))), default=None
        )

    def _fault_start(self, fault: ScenarioFault) -> datetime | None:
        step = fault.find_step(self.plan)
        at = next((entry.at for entry in self.entries if entry.step is step), None)
        return at + fault.after if at is not None else None

    def exposure(self, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """Return treatment queries, failures and users between two times, over all recordings."""
        queries = errors = users = 0
        ends = [next_entry.at for next_entry in self.entries[1:]] + [end]
        for entry, until in zip(self.entries, ends, strict=True):
            first, last = max(begin, entry.at), min(end, until)
            if first < last:
                offsets = ((boundary - entry.at).total_seconds() for boundary in (first, last))
                q, e, u = entry.recording.exposure(
                    *(entry.recording.entry_epoch + o for o in offsets)
                )
                queries, errors, users = queries + q, errors + e, max(users, u)
        return queries, errors, users

    def _traffic_spec(self, index: int, at: datetime) -> TrafficSpec:
        step = self.plan.steps[index]
        lead = (
            math.ceil(_lookback(step).total_seconds() / self._tick / ACTIVITY_WINDOW_TICKS)
            * ACTIVITY_WINDOW_TICKS
        )
        hours = START_HOUR + _whole_hours(at - self.begin) - lead * self._tick / 3600
        scheduled_faults = (
            self._schedule_fault(fault, index, at, lead) for fault in self.scenario.faults
        )
        return TrafficSpec(
            traffic=self.scenario.traffic,
            previous_state=router_state_at(self.plan, index - 1),
            current_state=router_state_at(self.plan, index),
            lead_ticks=lead,
            tick_seconds=self._tick,
            start_hour=hours,
            learned_hours=self._learned_hours(index, at),
            learning_hours=learning_hours(self.plan),
            faults=FaultSchedule(tuple(fault for fault in scheduled_faults if fault is not None)),
            seed=self.seed,
            series=step_series(self.plan, index),
        )

    def _learned_hours(self, index: int, at: datetime) -> float:
        first = next((entry.at for entry in self.entries if (entry.step.percentage or 0) > 0), None)
        if first is None:
            return 0.0
        hours = (at - first).total_seconds() / 3600
        return float(round(hours)) if learning_hours(self.plan) > 1 else hours

    def _schedule_fault(
        self, fault: ScenarioFault, index: int, at: datetime, lead: int
    ) -> ScheduledFault | None:
        """Return the fault on the ticks of this recording; None when it is absent."""
        step = fault.find_step(self.plan)
        if step is None or self.plan.index(step.name) > index:
            return None
        entered = self._fault_start(fault)
        begins = (entered or at + fault.after) - at
        lasts = fault.duration or _UNBOUNDED
        if begins + lasts < -_lookback(self.plan.steps[index]):
            return None
        first = lead + 1  # a sample covers the time before its tick
        ends = None if fault.duration is None else first + self._to_ticks(begins + lasts)
        return ScheduledFault(
            fault, first + self._to_ticks(begins), ends, self._to_ticks(fault.ramp_up)
        )

    def _to_ticks(self, span: timedelta) -> int:
        return round(span.total_seconds() / self._tick)


def router_state_at(plan: RolloutPlan, index: int) -> RouterState:
    """Return the router's state while the step at ``index`` is live."""
    if index < 0:
        return RouterState(0.0, flags_on=False, learning_on=False)
    phases = phases_at(plan, index)
    percentages = [s.percentage for s in plan.steps[: index + 1] if s.percentage is not None]
    percentage = 100.0 if plan.steps[index].delete_flag else (percentages or [0.0])[-1]
    learning_on = phases.enable_online_learning if phases else percentage > 0
    flags_on = phases.enable_feature_flags if phases else True
    return RouterState(percentage if learning_on else 0.0, flags_on, learning_on)


def learning_hours(plan: RolloutPlan) -> float:
    """Return the hours in which the rehearsed learner learns: a fifth of the plan's holds."""
    holds = sum((step.hold for step in plan.steps), timedelta(0))
    return 0.2 * holds.total_seconds() / 3600


def expected_duration(step: Step) -> timedelta:
    """Return the duration of a step when every check is Successful."""
    return max(step.hold, step.initial_delay + step.interval + step.stable_for)


def _lookback(step: Step) -> timedelta:
    """Return the longest lookback of the step's queries, plus an hour."""
    windows = [gate.window for gate in (*step.gates, *step.red_flags)]
    return max(windows, default=timedelta(0)) + timedelta(hours=1)


def _whole_hours(span: timedelta) -> float:
    return float(round(span.total_seconds() / 3600))
