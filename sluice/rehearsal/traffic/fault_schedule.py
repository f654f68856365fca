"""Fault schedules: the strength of each fault at each tick."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sluice.rehearsal.arrays import Floats, Ints
from sluice.rehearsal.traffic.scenario import FaultKind, ScenarioFault

SYSTEM_COHORT = "system"
"""The cohort of metrics without one: queue, memory, learner, Redis, processes."""


@dataclass(frozen=True)
class ScheduledFault:
    """A fault on the ticks of one recording; its begin may be negative, an end of None is never."""

    fault: ScenarioFault
    start_tick: int
    end_tick: int | None
    ramp_ticks: int

    def strength(self, ticks: Ints) -> Floats:
        """Return the strength at each tick, from 0 (absent) to 1 (full)."""
        age = ticks - self.start_tick
        is_active = (age >= 0) & (ticks < self.end_tick if self.end_tick is not None else True)
        return is_active * np.clip((age + 1) / max(self.ramp_ticks, 1), 0, 1)


@dataclass(frozen=True)
class FaultSchedule:
    """All faults of one recording."""

    faults: Sequence[ScheduledFault]

    def added_size(self, kind: FaultKind, cohort: str, ticks: Ints) -> Floats:
        """Return the sum of the sizes at each tick (a fault without a size counts as 1)."""
        total = np.zeros(len(ticks))
        for scheduled in self._matching(kind, cohort):
            total += (scheduled.fault.size or 1.0) * scheduled.strength(ticks)
        return total

    def factor(self, kind: FaultKind, cohort: str, ticks: Ints) -> Floats:
        """Return the product of the factors at each tick; 1 without a fault."""
        product = np.ones(len(ticks))
        for scheduled in self._matching(kind, cohort):
            product *= 1 + ((scheduled.fault.size or 1.0) - 1) * scheduled.strength(ticks)
        return product

    def _matching(self, kind: FaultKind, cohort: str) -> list[ScheduledFault]:
        faults_of_kind = [fault for fault in self.faults if fault.fault.kind is kind]
        return [
            scheduled
            for scheduled in faults_of_kind
            if cohort == SYSTEM_COHORT or scheduled.fault.cohort in (cohort, "all")
        ]
