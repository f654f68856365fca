"""Many rehearsals of one scenario with different seeds: rates and delays, with their intervals."""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from rehearsal.outcome import Outcome
from rollout.gate import Model
from rollout.quantity import Duration

_Z = 1.96
"""95 %, two-sided."""


class Study(Model):
    """``false_rollbacks``: rolled back before (or without) a fault. Delays are of the others."""

    scenario: str
    by: str
    runs: int
    false_rollbacks: int
    ends: dict[str, int]
    delays: tuple[Duration, ...]

    @property
    def false_rollback_rate(self) -> float:
        return self.false_rollbacks / self.runs

    @property
    def false_rollback_interval(self) -> tuple[float, float]:
        """95 %, by Wilson's score: it stays sensible at none of few."""
        return wilson(self.false_rollbacks, self.runs)

    def delay(self, share: float) -> timedelta | None:
        """The delay within which ``share`` of the detected faults were detected."""
        if not self.delays:
            return None
        return self.delays[min(len(self.delays) - 1, math.ceil(share * len(self.delays)) - 1)]

    def delay_interval(self, share: float) -> tuple[timedelta, timedelta] | None:
        """95 % interval of that quantile from the order statistics; needs no distribution."""
        n = len(self.delays)
        if not n:
            return None
        spread = _Z * math.sqrt(n * share * (1 - share))
        low, high = math.floor(n * share - spread), math.ceil(n * share + spread)
        return self.delays[max(low - 1, 0)], self.delays[min(high, n - 1)]


def study_of(outcomes: Sequence[Outcome]) -> Study:
    """Sum up the outcomes of one scenario.

    Raises:
        ValueError: there are none.
    """
    if not outcomes:
        raise ValueError("a study needs at least one rehearsal")
    return Study(
        scenario=outcomes[0].scenario,
        by=outcomes[0].by,
        runs=len(outcomes),
        false_rollbacks=sum(one.false_alarm for one in outcomes),
        ends=dict(Counter(f"{one.end} in {one.step}" if one.step else one.end for one in outcomes)),
        delays=tuple(
            sorted(o.delay for o in outcomes if o.delay is not None and not o.false_alarm)
        ),
    )


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (E. B. Wilson, JASA 22, 1927)."""
    share, z2 = hits / runs, _Z**2
    middle = (share + z2 / (2 * runs)) / (1 + z2 / runs)
    half = _Z * math.sqrt(share * (1 - share) / runs + z2 / (4 * runs**2)) / (1 + z2 / runs)
    return max(0.0, middle - half), min(1.0, middle + half)
