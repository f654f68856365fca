"""The course of one rehearsed rollout: which tape its clock reads from at each moment."""

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
from sluice.rehearsal.traffic.scenario import Scenario, ScenarioFault
from sluice.rehearsal.traffic.synthetic_metrics import ACTIVITY_WINDOW_TICKS
from sluice.rehearsal.traffic.traffic_spec import RouterState, TrafficSpec
from sluice.rollout.engine.flag_target import phases_at
from sluice.rollout.plan.schema import RolloutPlan, Step

_UNBOUNDED = timedelta(days=365)


@dataclass(frozen=True)
class StepEntry:
    """A step that was entered: when, and the tape that tells what it was like."""

    step: Step
    at: datetime
    recording: StepRecording


@dataclass
class Timeline:
    """Turns the workflow's time into the time of a recording."""

    plan: RolloutPlan
    scenario: Scenario
    seed: int
    pool: RecordingPool
    begin: datetime
    entries: list[StepEntry] = field(default_factory=list)
    evidence_cache: dict[tuple[object, ...], Any] = field(default_factory=dict)
    """What ``sluice.rehearsal.lookahead.batch_evidence`` has weighed already."""

    def __post_init__(self) -> None:
        self._tick = tick_seconds(self.plan)
        self._age_queries = frozenset(sample_age_queries(self.plan))
        self.enter_step(0, self.begin)  # its checklist measures before the step itself is live

    @property
    def percentage(self) -> float:
        """The share of users that the last step exposes, in per cent."""
        return router_state_at(self.plan, self.plan.steps.index(self.entries[-1].step)).percentage

    def enter_step(self, index: int, at: datetime) -> None:
        """Note that the step at ``index`` went live: from now on its own tape is read."""
        step = self.plan.steps[index]
        scene = self._traffic_spec(index, at)
        longest = step.deadline + self.plan.escalation.p1_rolls_back_after + timedelta(days=30)
        tape = self.pool.recording_for(
            scene, longest.total_seconds() + scene.lead_ticks * self._tick
        )
        tape.record_initial(
            tape.entry_epoch
            + expected_duration(step).total_seconds()
            + ACTIVITY_WINDOW_TICKS * self._tick
        )
        self.entries.append(StepEntry(step, at, tape))

    def locate(self, at: datetime) -> tuple[StepEntry, float]:
        """The entry that holds at ``at``, and the recorded time of the last tick before it."""
        number, ticks = locate_tick([one.at for one in self.entries], at, self._tick)
        entry = self.entries[number]
        return entry, entry.recording.entry_epoch + ticks * self._tick

    def query(self, promql: str, at: datetime, every: timedelta | None = None) -> float | None:
        """Answer as Prometheus would have at ``at``; it will be asked again ``every`` so long."""
        entry, epoch = self.locate(at)
        if promql in self._age_queries:
            return nan_to_none(float(entry.recording.sample_ages(epoch, epoch + self._tick)[0]))
        return entry.recording.value_at(
            promql, epoch, (every or entry.step.interval).total_seconds()
        )

    def cached(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """What ``query`` would answer, where that takes no waiting; else None."""
        entry, epoch = self.locate(at)
        return entry.recording.cached_value(None if promql in self._age_queries else promql, epoch)

    def read_columns(
        self, promqls: Sequence[str], ends: Sequence[datetime], every: timedelta
    ) -> list[Floats]:
        """Columns of what ``query`` would answer at times that lie ``every`` apart."""
        columns: list[list[Floats]] = [[] for _ in promqls]
        placed = [self.locate(at) for at in ends]
        for _, group in groupby(placed, key=lambda one: id(one[0])):
            some = list(group)
            epochs = np.array([epoch for _, epoch in some])
            read = some[0][0].recording.read_columns(promqls, epochs, every.total_seconds())
            for column, values in zip(columns, read, strict=True):
                column.append(values)
        return [np.concatenate(column) for column in columns]

    def first_fault_at(self) -> datetime | None:
        """When the first fault began; None while its step was not entered, or nothing is wrong."""
        return min(
            (at for fault in self.scenario.faults if (at := self._fault_start(fault))), default=None
        )

    def _fault_start(self, fault: ScenarioFault) -> datetime | None:
        step = fault.find_step(self.plan)
        at = next((one.at for one in self.entries if one.step is step), None)
        return at + fault.after if at is not None else None

    def exposure(self, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """Treatment queries, failed ones and users between two times, over all tapes."""
        queries = errors = users = 0
        ends = [one.at for one in self.entries[1:]] + [end]
        for entry, until in zip(self.entries, ends, strict=True):
            first, last = max(begin, entry.at), min(end, until)
            if first < last:
                offsets = ((one - entry.at).total_seconds() for one in (first, last))
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
        placed = (self._schedule_fault(fault, index, at, lead) for fault in self.scenario.faults)
        return TrafficSpec(
            traffic=self.scenario.traffic,
            previous_state=router_state_at(self.plan, index - 1),
            current_state=router_state_at(self.plan, index),
            lead_ticks=lead,
            tick_seconds=self._tick,
            start_hour=hours,
            learned_hours=self._learned_hours(index, at),
            faults=FaultSchedule(tuple(one for one in placed if one is not None)),
            seed=self.seed,
        )

    def _learned_hours(self, index: int, at: datetime) -> float:
        first = next((one.at for one in self.entries if (one.step.percentage or 0) > 0), None)
        return _whole_hours(at - first) if first is not None else 0.0

    def _schedule_fault(
        self, fault: ScenarioFault, index: int, at: datetime, lead: int
    ) -> ScheduledFault | None:
        """The fault on the ticks of this step's tape; None when it isn't there during the step."""
        step = fault.find_step(self.plan)
        if step is None or self.plan.index(step.name) > index:
            return None
        entered = self._fault_start(fault)
        begins = (entered or at + fault.after) - at
        lasts = fault.duration or _UNBOUNDED
        if begins + lasts < -_lookback(self.plan.steps[index]):
            return None
        first = lead + 1  # a tick's sample tells of the time before it
        ends = None if fault.duration is None else first + self._to_ticks(begins + lasts)
        return ScheduledFault(
            fault, first + self._to_ticks(begins), ends, self._to_ticks(fault.ramp_up)
        )

    def _to_ticks(self, span: timedelta) -> int:
        return round(span.total_seconds() / self._tick)


def router_state_at(plan: RolloutPlan, index: int) -> RouterState:
    """Give what the router is set to while the step at ``index`` is live; before the first, nothing."""
    if index < 0:
        return RouterState(0.0, flags_on=False, learning_on=False)
    phases = phases_at(plan, index)
    percentages = [s.percentage for s in plan.steps[: index + 1] if s.percentage is not None]
    percentage = 100.0 if plan.steps[index].delete_flag else (percentages or [0.0])[-1]
    learning_on = phases.enable_online_learning if phases else percentage > 0
    flags_on = phases.enable_feature_flags if phases else True
    return RouterState(percentage if learning_on else 0.0, flags_on, learning_on)


def expected_duration(step: Step) -> timedelta:
    """How long a step lasts when every check is Successful."""
    return max(step.hold, step.initial_delay + step.interval + step.stable_for)


def _lookback(step: Step) -> timedelta:
    """How far back the step's queries look, and an hour more to begin with something."""
    windows = [gate.window for gate in (*step.gates, *step.red_flags)]
    return max(windows, default=timedelta(0)) + timedelta(hours=1)


def _whole_hours(span: timedelta) -> float:
    return float(round(span.total_seconds() / 3600))
