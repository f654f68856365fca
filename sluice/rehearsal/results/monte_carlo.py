"""Monte Carlo summary: rates and delays over many seeds of one scenario, with intervals."""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from sluice.rehearsal.results.result import RehearsalResult
from sluice.rehearsal.traffic.scenario import RehearsalEnding
from sluice.rollout.analysis.gate import Model
from sluice.rollout.units import Duration

_Z = 1.96
"""The normal quantile of a two-sided 95 % interval."""


class FalseAction(Model):
    """A pause or rollback without a fault: the seed that repeats it, its rules, and their reason."""

    seed: int
    ending: RehearsalEnding
    step: str | None
    names: tuple[str, ...] = ()
    at: str
    """The rollout's own time, such as ``day 9 14:05``."""
    reason: str = ""

    @property
    def rule(self) -> str:
        """Return the step and the rules that acted; the ending when no rule did."""
        return f"{self.step}/{', '.join(self.names) or self.ending}"


class MonteCarloSummary(Model):
    """Results over many seeds.

    A false rollback precedes the fault or lacks one; delays are of the others.
    """

    scenario: str
    runner: str
    runs: int
    false_rollbacks: int
    endings: dict[str, int]
    detection_delays: tuple[Duration, ...]
    false_actions: tuple[FalseAction, ...] = ()

    @property
    def false_rollback_rate(self) -> float:
        return self.false_rollbacks / self.runs

    @property
    def false_rollback_interval(self) -> tuple[float, float]:
        """Return the 95 % interval by Wilson's score, which is valid for zero of few."""
        return wilson_interval(self.false_rollbacks, self.runs)

    def delay_quantile(self, share: float) -> timedelta | None:
        """Return the delay within which ``share`` of the detected faults were detected."""
        if not self.detection_delays:
            return None
        return self.detection_delays[
            min(len(self.detection_delays) - 1, math.ceil(share * len(self.detection_delays)) - 1)
        ]

    def delay_interval(self, share: float) -> tuple[timedelta, timedelta] | None:
        """Return the distribution-free 95 % interval of that quantile, from order statistics."""
        n = len(self.detection_delays)
        if not n:
            return None
        spread = _Z * math.sqrt(n * share * (1 - share))
        low, high = math.floor(n * share - spread), math.ceil(n * share + spread)
        return self.detection_delays[max(low - 1, 0)], self.detection_delays[min(high, n - 1)]


def summarize(results: Sequence[RehearsalResult]) -> MonteCarloSummary:
    """Sum up the outcomes of one scenario.

    Raises:
        ValueError: the sequence is empty.
    """
    if not results:
        raise ValueError("a summary needs at least one rehearsal")
    return MonteCarloSummary(
        scenario=results[0].scenario,
        runner=results[0].runner,
        runs=len(results),
        false_rollbacks=sum(result.is_false_alarm for result in results),
        endings=dict(
            Counter(
                f"{result.ending} in {result.step}" if result.step else result.ending
                for result in results
            )
        ),
        false_actions=tuple(filter(None, map(_false_action, results))),
        detection_delays=tuple(
            sorted(
                o.detection_delay
                for o in results
                if o.detection_delay is not None and not o.is_false_alarm
            )
        ),
    )


def _false_action(result: RehearsalResult) -> FalseAction | None:
    """Return the pause or rollback of a run without a fault; None for the others."""
    has_fault = result.fault_at is not None and result.fault_at <= result.ended_at
    if result.ending is RehearsalEnding.HEALTHY or has_fault:
        return None
    last = result.timeline[-1].text if result.timeline else ""
    return FalseAction(
        seed=result.seed,
        ending=result.ending,
        step=result.step,
        names=result.trigger.names if result.trigger is not None else (),
        at=result.format_time(result.ended_at),
        reason=result.trigger.reason if result.trigger is not None else last,
    )


def wilson_interval(hits: int, runs: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (E. B. Wilson, JASA 22, 1927)."""
    share, z2 = hits / runs, _Z**2
    middle = (share + z2 / (2 * runs)) / (1 + z2 / runs)
    half = _Z * math.sqrt(share * (1 - share) / runs + z2 / (4 * runs**2)) / (1 + z2 / runs)
    return max(0.0, middle - half), min(1.0, middle + half)
