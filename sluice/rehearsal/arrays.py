"""Names for the arrays of this package; numpy's own types can't tell what arithmetic gives."""

import math
from typing import Any

from numpy.typing import NDArray

Floats = NDArray[Any]
"""Real numbers, one a tick; NaN is no data."""
Ints = NDArray[Any]
"""Whole numbers: ticks, or counts at each."""


def nan_to_none(value: float) -> float | None:
    """A reading as ports tell it: NaN is no data."""
    return None if math.isnan(value) else value
