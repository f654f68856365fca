"""Faults over time: how strong each one is at each tick."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rehearsal.arrays import Floats, Ticks
from rehearsal.scenario import Fault, FaultKind

SYSTEM = "system"
"""The cohort of what has none: queue, memory, learner, Redis, processes."""


@dataclass(frozen=True)
class Placed:
    """A fault on the ticks of one tape: ``begins`` may be negative, ``ends`` None is never."""

    fault: Fault
    begins: int
    ends: int | None
    grows: int

    def strength(self, ticks: Ticks) -> Floats:
        """From 0 (not there) to 1 (fully there)."""
        age = ticks - self.begins
        there = (age >= 0) & (ticks < self.ends if self.ends is not None else True)
        return there * np.clip((age + 1) / max(self.grows, 1), 0, 1)


@dataclass(frozen=True)
class Trouble:
    """All faults of one tape."""

    placed: Sequence[Placed]

    def added(self, kind: FaultKind, cohort: str, ticks: Ticks) -> Floats:
        """Sum of the sizes at each tick (a fault without a size counts as 1)."""
        total = np.zeros(len(ticks))
        for one in self._of(kind, cohort):
            total += (one.fault.size or 1.0) * one.strength(ticks)
        return total

    def factor(self, kind: FaultKind, cohort: str, ticks: Ticks) -> Floats:
        """Product of the factors at each tick; 1 where nothing is wrong."""
        product = np.ones(len(ticks))
        for one in self._of(kind, cohort):
            product *= 1 + ((one.fault.size or 1.0) - 1) * one.strength(ticks)
        return product

    def _of(self, kind: FaultKind, cohort: str) -> list[Placed]:
        found = [one for one in self.placed if one.fault.kind is kind]
        return [one for one in found if cohort == SYSTEM or one.fault.cohort in (cohort, "all")]
