"""Readings: values of metrics, each at one time."""

import math
from datetime import datetime, timedelta

from sluice.rollout.analysis.cohorts import Cohort
from sluice.rollout.analysis.gate import Model

STALE_AFTER = timedelta(minutes=2)
"""A plan's default: eight scrapes of 15 s, or two of a minute."""


class Reading(Model):
    """One value of one metric at one time; ``value`` is None when there was no usable data.

    ``error``: measuring itself failed (Prometheus out of reach, a bad query), which is never the
    same as no data. ``samples`` is None when the metric has no sample query; ``samples_missing``:
    it is 0 because no series counts them. ``age_seconds``: the age of the newest sample behind the
    value at ``at``; None is unknown. ``stale``: it was too old, or nothing is scraped any more.
    """

    metric: str
    cohort: Cohort
    at: datetime
    value: float | None = None
    samples: float | None = None
    samples_missing: bool = False
    age_seconds: float | None = None
    stale: bool = False
    error: str = ""

    @property
    def is_usable(self) -> bool:
        measured = not self.error and not self.stale
        return measured and self.value is not None and math.isfinite(self.value)

    @property
    def stale_reason(self) -> str:
        """Return the reason why it is stale, or an empty text."""
        if not self.stale:
            return ""
        if self.age_seconds is None:
            return "its series are not scraped any more"
        return f"its newest sample is {self.age_seconds:.0f} s old"


class GateReadings(Model):
    """The readings of one gate: the value and, for relative gates, its reference."""

    reading: Reading
    reference: Reading | None = None
