"""Names for the arrays of this package; numpy's own types can't tell what arithmetic gives."""

from typing import Any

from numpy.typing import NDArray

Floats = NDArray[Any]
"""Real numbers, one a tick; NaN is no data."""
Ticks = NDArray[Any]
"""Whole numbers: ticks, or counts at each."""
