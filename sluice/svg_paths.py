"""Scales and paths of SVG charts, for the report and the console."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

PixelPoint = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear or logarithmic map from values to pixels."""

    low: float
    high: float
    from_pixel: float
    to_pixel: float
    is_logarithmic: bool = False

    def pixel(self, value: float) -> float:
        low, high = self.low, self.high
        if self.is_logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        span = high - low or 1.0
        share = (value - low) / span
        return round(self.from_pixel + share * (self.to_pixel - self.from_pixel), 1)


def path_of(points: Sequence[PixelPoint]) -> str:
    """Write the ``d`` attribute of a line through the points."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def step_path(points: Sequence[PixelPoint]) -> str:
    """Write the ``d`` attribute of a line that keeps its value until the next point."""
    if not points:
        return ""
    (x, y), *rest = points
    return f"M{x:g} {y:g}" + "".join(f"H{x:g}V{y:g}" for x, y in rest)
