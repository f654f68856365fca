"""Values for people: with their unit, and never alike when they differ."""

from sluice.rollout.analysis.gate import Gate, GateKind, Metric
from sluice.rollout.analysis.verdict import Effect, Verdict

PER_HOUR = "/h"
"""The end of a slope's unit: ``bytes/h``."""
_THOUSAND = 999.5
"""Three digits round up to a thousand from here on."""
_BYTE_SCALES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_DIGITS_MAX = 16
_BASE_SUFFIXES = {"seconds": " s", "bytes": " B"}


def gate_unit(gate: Gate, metric: Metric) -> str:
    """Return the unit of a gate's value: the metric's, or for a trend that per hour."""
    return f"{metric.unit}{PER_HOUR}" if gate.kind is GateKind.TREND else metric.unit


def format_value(value: float | None, unit: str) -> str:
    """Format a value for people: ``412 ms``, ``1.2 %``, ``0.71``; a dash for None."""
    if value is None:
        return "–"
    value += 0.0  # minus zero is zero
    if unit.endswith(PER_HOUR):
        return f"{format_value(value, unit.removesuffix(PER_HOUR))} an hour"
    if unit == "seconds":
        is_long = abs(value) * 1000 >= _THOUSAND
        return f"{value:.2f} s" if is_long else f"{value * 1000:.3g} ms"
    if unit == "ratio":
        return f"{value:.2%}"
    if unit == "bytes":
        scale, name = _byte_scale(value)
        return f"{value / scale:.3g} {name}"
    return f"{value:.3g}" if abs(value) < _THOUSAND else f"{value:,.0f}"


def _byte_scale(value: float) -> tuple[float, str]:
    return next((scale for scale in _BYTE_SCALES if abs(value) >= scale[0] * 0.9995), (1.0, "B"))


def format_distinct(values: tuple[float | None, float | None], unit: str) -> tuple[str, str]:
    """Format two values with the same number of digits, as many as tell them apart."""
    first, second = values
    texts = format_value(first, unit), format_value(second, unit)
    if first is None or second is None or texts[0] != texts[1] or first == second:
        return texts
    scale, suffix = _exact_form(max(abs(first), abs(second)), unit)
    for digits in range(1, _DIGITS_MAX):
        texts = f"{first * scale:.{digits}f}{suffix}", f"{second * scale:.{digits}f}{suffix}"
        if texts[0] != texts[1]:
            return texts
    # Scaled, they could be one number: every digit of the metric's own unit shows that they differ.
    pace = " an hour" if unit.endswith(PER_HOUR) else ""
    suffix = f"{_BASE_SUFFIXES.get(unit.removesuffix(PER_HOUR), '')}{pace}"
    return f"{first!r}{suffix}", f"{second!r}{suffix}"


def _exact_form(size: float, unit: str) -> tuple[float, str]:
    """Return the factor and the suffix with which values of this size are written."""
    base = unit.removesuffix(PER_HOUR)
    pace = " an hour" if base != unit else ""
    if base == "bytes":
        scale, name = _byte_scale(size)
        return 1 / scale, f" {name}{pace}"
    scale, suffix = {"seconds": (1000.0, " ms"), "ratio": (100.0, "%")}.get(base, (1.0, ""))
    return scale, f"{suffix}{pace}"


def format_verdict(verdict: Verdict) -> tuple[str, str]:
    """Format a verdict's reading and its limit, so that they differ where the values do."""
    return format_distinct((verdict.value, verdict.limit), verdict.unit)


def format_effect(effect: Effect) -> str:
    """Format an effect with its interval and the harmful limit; a bound without a number is unknown."""
    if effect.estimate is None:
        return "not known yet"
    word = "times the control" if effect.kind == "ratio" else "against the control"
    sign = "" if effect.kind == "ratio" else "+"
    low, high = (
        "unknown" if bound is None else f"{bound:{sign}.3g}" for bound in (effect.low, effect.high)
    )
    limit = "" if effect.limit is None else f"; harm beyond {effect.limit:{sign}.3g}"
    return f"{effect.estimate:{sign}.3g} {word} ({low} to {high}{limit})"
