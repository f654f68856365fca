"""Users of both cohorts beside the promised share, by step, by process and by the hour first seen.

A sample-ratio mismatch voids every comparison. Where it comes from shows in its parts: one process
that gives everybody the control, one step, or the hours after a lost record.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from sluice.flag_rules import FULL_PERCENTAGE
from sluice.rollout.analysis.gate import Metric, Model
from sluice.rollout.analysis.statistic import SampleRatio
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import State

CHANCE_MAX = 0.001
"""A part whose share comes by chance once in so many looks, divided by the number of parts, is unlike the promise."""
USERS_MIN = 20


class SharedSpan(Model):
    """A time in which one share of users had the treatment."""

    step: str
    share: float
    since: datetime
    until: datetime


class CohortSplit(Model):
    """The users of one part, and the share that the flag promised."""

    by: Literal["step", "process", "hour"]
    name: str
    share: float
    treatment: float
    control: float

    @property
    def chance(self) -> float:
        """Return how often chance alone is as far from the promised share, by the normal approximation."""
        users = self.treatment + self.control
        spread = math.sqrt(users * self.share * (1 - self.share))
        if users < USERS_MIN or not spread:
            return 1.0
        distance = max(abs(self.treatment - users * self.share) - 0.5, 0.0)
        return math.erfc(distance / spread / math.sqrt(2))

    @property
    def text(self) -> str:
        """The part with its users, its share and the promised one."""
        users = self.treatment + self.control
        share = f"{self.treatment / users:.2%}" if users else "unknown"
        return (
            f"{self.by:<8} {self.name:<28} {self.treatment:>9,.0f} treatment {self.control:>9,.0f} "
            f"control  {share:>8} of {self.share:.2%} promised"
        )


def unlike_splits(splits: Sequence[CohortSplit]) -> list[CohortSplit]:
    """Return the parts whose share is too far from the promise for chance among so many parts."""
    return [split for split in splits if split.chance * len(splits) < CHANCE_MAX]


def shared_spans(state: State, now: datetime) -> Iterator[SharedSpan]:
    """Yield each time with two cohorts, from the timeline; the live one ends now."""
    changes: list[Event] = []
    for event in state.timeline:
        if event.percentage is not None and (
            not changes or changes[-1].percentage != event.percentage
        ):
            changes.append(event)
    ends = [*(event.at for event in changes[1:]), now]
    for event, until in zip(changes, ends, strict=True):
        share = (event.percentage or 0.0) / FULL_PERCENTAGE
        if 0 < share < 1 and event.at < until:
            yield SharedSpan(step=event.step or "", share=share, since=event.at, until=until)


def sample_ratio_metric(state: State) -> Metric | None:
    """Return the plan's metric of new users; None without a sample-ratio gate."""
    metrics = state.plan.metrics.values()
    return next((m for m in metrics if isinstance(m.statistic, SampleRatio)), None)
