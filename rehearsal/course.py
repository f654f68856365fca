"""The course of one rehearsed rollout: which tape its clock reads from at each moment."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np

from rehearsal.arrays import Floats, finite
from rehearsal.faults import Placed, Trouble
from rehearsal.pace import START_HOUR, ages, placed_at, tick_seconds
from rehearsal.scenario import Fault, Scenario
from rehearsal.tape import Studio, Tape
from rehearsal.traffic import SPELL_TICKS, Scene, Setting
from rollout.plan import RolloutPlan, Step
from rollout.target import phases_at

_FOREVER = timedelta(days=365)


@dataclass(frozen=True)
class Entry:
    """A step that was entered: when, and the tape that tells what it was like."""

    step: Step
    at: datetime
    tape: Tape


@dataclass
class Course:
    """Turns the workflow's time into the time of a recording."""

    plan: RolloutPlan
    scenario: Scenario
    seed: int
    studio: Studio
    begin: datetime
    entries: list[Entry] = field(default_factory=list)
    weighed: dict[tuple[object, ...], Any] = field(default_factory=dict)
    """What ``rehearsal.evidence`` has weighed already."""

    def __post_init__(self) -> None:
        self._tick = tick_seconds(self.plan)
        self._ages = frozenset(ages(self.plan))
        self.enter(0, self.begin)  # its checklist measures before the step itself is live

    @property
    def percentage(self) -> float:
        """The share of users that the last step exposes, in per cent."""
        return setting(self.plan, self.plan.steps.index(self.entries[-1].step)).percentage

    def enter(self, index: int, at: datetime) -> None:
        """Note that the step at ``index`` went live: from now on its own tape is read."""
        step = self.plan.steps[index]
        scene = self._scene(index, at)
        longest = step.deadline + self.plan.escalation.p1_rolls_back_after + timedelta(days=30)
        tape = self.studio.tape(scene, longest.total_seconds() + scene.lead * self._tick)
        tape.begin(tape.entry + usual_stay(step).total_seconds() + SPELL_TICKS * self._tick)
        self.entries.append(Entry(step, at, tape))

    def recorded(self, at: datetime) -> tuple[Entry, float]:
        """The entry that holds at ``at``, and the recorded time of the last tick before it."""
        number, ticks = placed_at([one.at for one in self.entries], at, self._tick)
        entry = self.entries[number]
        return entry, entry.tape.entry + ticks * self._tick

    def query(self, promql: str, at: datetime, every: timedelta | None = None) -> float | None:
        """Answer as Prometheus would have at ``at``; it will be asked again ``every`` so long."""
        entry, epoch = self.recorded(at)
        if promql in self._ages:
            return finite(float(entry.tape.ages(epoch, epoch + self._tick)[0]))
        return entry.tape.at(promql, epoch, (every or entry.step.interval).total_seconds())

    def remembered(self, promql: str, at: datetime) -> tuple[float | None] | None:
        """What ``query`` would answer, where that takes no waiting; else None."""
        entry, epoch = self.recorded(at)
        return entry.tape.remembered(None if promql in self._ages else promql, epoch)

    def read_all(
        self, promqls: Sequence[str], ends: Sequence[datetime], every: timedelta
    ) -> list[Floats]:
        """Columns of what ``query`` would answer at times that lie ``every`` apart."""
        columns: list[list[Floats]] = [[] for _ in promqls]
        placed = [self.recorded(at) for at in ends]
        for _, group in groupby(placed, key=lambda one: id(one[0])):
            some = list(group)
            epochs = np.array([epoch for _, epoch in some])
            read = some[0][0].tape.read_all(promqls, epochs, every.total_seconds())
            for column, values in zip(columns, read, strict=True):
                column.append(values)
        return [np.concatenate(column) for column in columns]

    def fault_begins(self) -> datetime | None:
        """When the first fault began; None while its step was not entered, or nothing is wrong."""
        return min((at for fault in self.scenario.faults if (at := self._at(fault))), default=None)

    def _at(self, fault: Fault) -> datetime | None:
        step = fault.step_in(self.plan)
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
                q, e, u = entry.tape.exposure(*(entry.tape.entry + o for o in offsets))
                queries, errors, users = queries + q, errors + e, max(users, u)
        return queries, errors, users

    def _scene(self, index: int, at: datetime) -> Scene:
        step = self.plan.steps[index]
        lead = math.ceil(_lookback(step).total_seconds() / self._tick / SPELL_TICKS) * SPELL_TICKS
        hours = START_HOUR + _whole_hours(at - self.begin) - lead * self._tick / 3600
        placed = (self._placed(fault, index, at, lead) for fault in self.scenario.faults)
        return Scene(
            world=self.scenario.world,
            before=setting(self.plan, index - 1),
            now=setting(self.plan, index),
            lead=lead,
            tick_seconds=self._tick,
            hours=hours,
            learned_hours=self._learned_hours(index, at),
            trouble=Trouble(tuple(one for one in placed if one is not None)),
            seed=self.seed,
        )

    def _learned_hours(self, index: int, at: datetime) -> float:
        first = next((one.at for one in self.entries if (one.step.percentage or 0) > 0), None)
        return _whole_hours(at - first) if first is not None else 0.0

    def _placed(self, fault: Fault, index: int, at: datetime, lead: int) -> Placed | None:
        """The fault on the ticks of this step's tape; None when it isn't there during the step."""
        step = fault.step_in(self.plan)
        if step is None or self.plan.index(step.name) > index:
            return None
        entered = self._at(fault)
        begins = (entered or at + fault.after) - at
        lasts = fault.lasts or _FOREVER
        if begins + lasts < -_lookback(self.plan.steps[index]):
            return None
        first = lead + 1  # a tick's sample tells of the time before it
        ends = None if fault.lasts is None else first + self._ticks(begins + lasts)
        return Placed(fault, first + self._ticks(begins), ends, self._ticks(fault.grows_over))

    def _ticks(self, span: timedelta) -> int:
        return round(span.total_seconds() / self._tick)


def setting(plan: RolloutPlan, index: int) -> Setting:
    """Give what the router is set to while the step at ``index`` is live; before the first, nothing."""
    if index < 0:
        return Setting(0.0, flags_on=False, learning_on=False)
    phases = phases_at(plan, index)
    percentages = [s.percentage for s in plan.steps[: index + 1] if s.percentage is not None]
    percentage = 100.0 if plan.steps[index].delete_flag else (percentages or [0.0])[-1]
    learning_on = phases.enable_online_learning if phases else percentage > 0
    flags_on = phases.enable_feature_flags if phases else True
    return Setting(percentage if learning_on else 0.0, flags_on, learning_on)


def usual_stay(step: Step) -> timedelta:
    """How long a step lasts when every check is Successful."""
    return max(step.hold, step.initial_delay + step.interval + step.stable_for)


def _lookback(step: Step) -> timedelta:
    """How far back the step's queries look, and an hour more to begin with something."""
    windows = [gate.window for gate in (*step.gates, *step.red_flags)]
    return max(windows, default=timedelta(0)) + timedelta(hours=1)


def _whole_hours(span: timedelta) -> float:
    return float(round(span.total_seconds() / 3600))
