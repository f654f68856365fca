"""What was measured, at which time."""

import math
from datetime import datetime, timedelta

from sluice.rollout.analysis.gate import Cohort, Model

STALE_AFTER = timedelta(minutes=2)
"""A plan's default: eight scrapes of 15 s, or two of a minute."""


class Reading(Model):
    """One value of one metric at one time; ``value`` is None when there was no usable data.

    ``error`` tells that measuring itself failed (Prometheus out of reach, a bad query): that is
    never the same as having no data. ``samples`` is None when the metric has no sample query.
    ``age_seconds`` is how old the newest sample behind the value was at ``at``; None is unknown.
    ``stale`` tells that it was too old, or that nothing is scraped any more: that is no data.
    """

    metric: str
    cohort: Cohort
    at: datetime
    value: float | None = None
    samples: float | None = None
    age_seconds: float | None = None
    stale: bool = False
    error: str = ""

    @property
    def is_usable(self) -> bool:
        measured = not self.error and not self.stale
        return measured and self.value is not None and math.isfinite(self.value)

    @property
    def stale_reason(self) -> str:
        """Why it is stale, for people; empty when it isn't."""
        if not self.stale:
            return ""
        if self.age_seconds is None:
            return "its series are not scraped any more"
        return f"its newest sample is {self.age_seconds:.0f} s old"


class GateReadings(Model):
    """The readings that one gate is judged on: the value and, for relative gates, its reference."""

    reading: Reading
    reference: Reading | None = None
