"""Durations and thresholds as people write them: ``2d``, ``1h30m``, ``500ms``, ``5%``, ``+10%``, ``2x``."""

import math
import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from sluice.rollout.errors import QuantityError

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_RELATIVE = re.compile(r"([+-]\d+(?:\.\d+)?)%")
DURATION_CACHE_SIZE = 1024
"""Durations kept as read and as written: a plan's dozens are in every state and every query."""


def parse_duration(value: object) -> timedelta:
    """Read ``1h30m``, a number of seconds, or a timedelta.

    Raises:
        QuantityError: for anything else, negative durations included.
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (read := _parse_seconds(value)) is not None:
        seconds = read
    else:
        raise QuantityError(f"{value!r} is no duration; write for example 30s, 1h30m or 2d")
    if not 0 <= seconds < float("inf"):
        raise QuantityError(f"{value!r} is no duration; it must be finite and not negative")
    return timedelta(seconds=seconds)


@lru_cache(DURATION_CACHE_SIZE)
def _parse_seconds(text: str) -> float | None:
    if not _DURATION.fullmatch(text.strip()):
        return None
    return sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(text))


@lru_cache(DURATION_CACHE_SIZE)
def format_duration(value: timedelta) -> str:
    """Write a duration so that ``parse_duration`` reads the same one back: ``1d2h``."""
    rest = round(value.total_seconds() * 1000)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(_SECONDS[unit] * 1000)
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_threshold(value: object) -> float:
    """Read a threshold into the metric's base unit or, for relative gates, a relative change.

    ``1s`` → 1.0, ``5ms`` → 0.005, ``5%`` → 0.05, ``+10%`` → 0.1 (relative), ``2x`` → 1.0 (relative).

    Raises:
        QuantityError: for anything else; NaN and infinity are refused too.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    elif isinstance(value, str):
        number = _parse_threshold_text(value.strip())
    else:
        raise QuantityError(f"{value!r} is no threshold; write for example 0.5, 1s, 5%, +10% or 2x")
    if not math.isfinite(number):
        raise QuantityError(f"{value!r} is no threshold; it must be a finite number")
    return number


def _parse_threshold_text(text: str) -> float:
    if relative := _RELATIVE.fullmatch(text):
        return float(relative[1]) / 100
    if text.endswith("x"):
        return _parse_number(text, text[:-1]) - 1
    if text.endswith("%"):
        return _parse_number(text, text[:-1]) / 100
    if _DURATION.fullmatch(text):
        return parse_duration(text).total_seconds()
    return _parse_number(text, text)


def _parse_number(whole: str, part: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise QuantityError(
            f"{whole!r} is no threshold; write for example 0.5, 1s, 5%, +10% or 2x"
        ) from None


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
]
Threshold = Annotated[float, BeforeValidator(parse_threshold)]
