"""Types of this package's arrays; numpy's own types do not cover arithmetic."""

import math
from typing import Any

from numpy.typing import NDArray

Floats = NDArray[Any]
"""Real numbers, one per tick; NaN means no data."""
Ints = NDArray[Any]
"""Whole numbers: ticks, or counts per tick."""


def nan_to_none(value: float) -> float | None:
    """Return a reading as ports give it: None instead of NaN."""
    return None if math.isnan(value) else value
