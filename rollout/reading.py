"""What was measured, at which time."""

import math
from datetime import datetime

from rollout.gate import Cohort, Model


class Reading(Model):
    """One value of one metric at one time; ``value`` is None when there was no usable data.

    ``error`` tells that measuring itself failed (Prometheus out of reach, a bad query): that is
    never the same as having no data. ``samples`` is None when the metric has no sample query.
    """

    metric: str
    cohort: Cohort
    at: datetime
    value: float | None = None
    samples: float | None = None
    error: str = ""

    @property
    def usable(self) -> bool:
        return not self.error and self.value is not None and math.isfinite(self.value)


class Measured(Model):
    """The readings that one gate is judged on: the value and, for relative gates, its reference."""

    reading: Reading
    reference: Reading | None = None
