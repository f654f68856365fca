"""Durations, thresholds and shares as people write them: ``2d``, ``1h30m``, ``5%``, ``+10%``, ``2x``."""

import math
import re
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, assert_never

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from sluice.rollout.errors import QuantityError

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_NUMBER = r"\d+(?:\.\d+)?"
_LONG_UNITS = (("m", "minute", 59), ("h", "hour", 48), ("d", "day", math.inf))
DURATION_MAX = timedelta(days=36500)
DURATION_CACHE_SIZE = 1024
"""Durations kept as read and as written: a plan's dozens are in every state and every query."""
DURATION_EXAMPLES = "30s, 1h30m or 2d"
THRESHOLD_EXAMPLES = "0.5, 1s, 5%, +10% or 2x"


class ThresholdForm(StrEnum):
    """The form in which a threshold is written; each form fits some metrics and gates only."""

    NUMBER = "number"
    PERCENT = "percent"
    CHANGE = "change"
    FACTOR = "factor"
    DURATION = "duration"


_FORMS = (
    (ThresholdForm.CHANGE, re.compile(rf"[+-]{_NUMBER}%", re.ASCII)),
    (ThresholdForm.PERCENT, re.compile(rf"{_NUMBER}%", re.ASCII)),
    (ThresholdForm.FACTOR, re.compile(rf"{_NUMBER}x", re.ASCII)),
    (ThresholdForm.DURATION, _DURATION),
    (ThresholdForm.NUMBER, re.compile(rf"[+-]?(?:{_NUMBER}|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)),
)


def parse_duration(value: object) -> timedelta:
    """Read ``1h30m``, 0, or a timedelta.

    Raises:
        QuantityError: anything else, a number without unit, a negative duration, or one beyond
            ``DURATION_MAX``.
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = _to_float(value)
    elif isinstance(value, str) and (parsed := _parse_seconds(value)) is not None:
        seconds = parsed
    else:
        hint = _sexagesimal_hint(value) or DURATION_EXAMPLES
        raise QuantityError(f"{shorten(value)} is not a duration; write for example {hint}")
    if not 0 <= seconds <= DURATION_MAX.total_seconds():
        raise QuantityError(
            f"{shorten(value)} is not a duration; it must be from 0s to {DURATION_MAX.days}d"
        )
    if seconds and isinstance(value, int | float):
        raise QuantityError(f"{value} has no unit; write for example {value}s or {value}m")
    return timedelta(seconds=seconds)


def _sexagesimal_hint(value: object) -> str:
    match = re.fullmatch(r"(\d+):(\d\d)", value, re.ASCII) if isinstance(value, str) else None
    return f"{match[1]}h{match[2]}m or {match[1]}m{match[2]}s" if match else ""


@lru_cache(DURATION_CACHE_SIZE)
def _parse_seconds(text: str) -> float | None:
    if not _DURATION.fullmatch(text.strip()):
        return None
    parts = [(float(number), _SECONDS[unit]) for number, unit in _PART.findall(text)]
    sizes = [size for _, size in parts]
    if sizes != sorted(set(sizes), reverse=True):  # 5m5m: one of them is a slip
        return None
    return sum(number * size for number, size in parts)


def whole_seconds(value: timedelta) -> timedelta:
    """Round to whole seconds."""
    return timedelta(seconds=round(value.total_seconds()))


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


def format_whole_seconds(value: timedelta) -> str:
    """Format a duration in whole seconds: ``3m51s`` for 3 min 51.2 s."""
    return format_duration(whole_seconds(value))


def format_elapsed(value: timedelta) -> str:
    """Format a measured time for people: ``0.32 s``, ``12.3 s``, ``3m51s``, ``2d5h``."""
    seconds = value.total_seconds()
    if seconds < _SECONDS["m"] - 0.05:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    rounding = _SECONDS["m"] if seconds >= _SECONDS["d"] else 1.0
    return format_duration(timedelta(seconds=round(seconds / rounding) * rounding))


def format_hours(hours: float) -> str:
    """Format hours for people, rounded up: ``20 s``, ``45 minutes``, ``7 hours``, ``9 days``."""
    seconds = math.ceil(round(hours * _SECONDS["h"], 6))
    if seconds < _SECONDS["m"]:
        return f"{seconds} s"
    counts = (
        (math.ceil(seconds / _SECONDS[unit]), name, count_max)
        for unit, name, count_max in _LONG_UNITS
    )
    count, name, _ = next(entry for entry in counts if entry[0] <= entry[2])
    return format_count(count, name)


def format_count(count: int, noun: str) -> str:
    """Format a count of things for people: ``1 gate``, ``1,200 gates``, ``2 processes``."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def parse_threshold(value: object) -> float:
    """Read a threshold into the metric's base unit or, for relative gates, a relative change.

    ``1s`` → 1.0, ``5ms`` → 0.005, ``5%`` → 0.05, ``+10%`` → 0.1 (relative), ``2x`` → 1.0 (relative).

    Raises:
        QuantityError: anything else, NaN and infinity included.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = _to_float(value)
    elif isinstance(value, str) and (form := threshold_form(value)) is not None:
        number = _parse_threshold_text(value.strip(), form)
    else:
        raise QuantityError(
            f"{shorten(value)} is not a threshold; write for example {THRESHOLD_EXAMPLES}"
        )
    if not math.isfinite(number):
        raise QuantityError(f"{shorten(value)} is not a threshold; it must be a finite number")
    return number


def threshold_form(value: object) -> ThresholdForm | None:
    """Return the form in which a threshold is written; None when it is not a threshold."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return ThresholdForm.NUMBER
    text = value.strip() if isinstance(value, str) else ""
    return next((form for form, pattern in _FORMS if pattern.fullmatch(text)), None)


def _parse_threshold_text(text: str, form: ThresholdForm) -> float:
    match form:
        case ThresholdForm.CHANGE | ThresholdForm.PERCENT:
            return float(text[:-1]) / 100
        case ThresholdForm.FACTOR:
            return float(text[:-1]) - 1
        case ThresholdForm.DURATION:
            return parse_duration(text).total_seconds()
        case ThresholdForm.NUMBER:
            return float(text)
        case _:
            assert_never(form)


def parse_share(value: object) -> float:
    """Read a share of a whole: ``0.05`` or ``5%``.

    Raises:
        QuantityError: anything else; ``+5%``, ``2x`` and ``50ms`` mean other things.
    """
    if threshold_form(value) not in (ThresholdForm.NUMBER, ThresholdForm.PERCENT):
        raise QuantityError(f"{shorten(value)} is not a share; write for example 0.05 or 5%")
    return parse_threshold(value)


def parse_number(value: object) -> object:
    """Pass numbers and their text on to pydantic, and refuse true and false.

    Raises:
        QuantityError: a boolean, which pydantic would read as 1 or 0, or an underscore between digits.
    """
    if isinstance(value, bool):
        raise QuantityError(f"{str(value).lower()} is not a number; write for example 1")
    if isinstance(value, str) and "_" in value:
        raise QuantityError(f"{shorten(value)} is not a number; write for example 100")
    return value


def _to_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def shorten(value: object) -> str:
    """Return the value as an error shows it: at most 60 characters, whatever was written."""
    length_max = 60
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**length_max:
        return "a number of more than 60 digits"
    text = repr(value)
    return text if len(text) <= length_max else f"{text[:length_max]}…"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "examples": DURATION_EXAMPLES.split(", ")}),
]
_QUANTITY_SCHEMA = WithJsonSchema(
    {"type": ["string", "number"], "examples": THRESHOLD_EXAMPLES.split(", ")}
)
Threshold = Annotated[float, BeforeValidator(parse_threshold), _QUANTITY_SCHEMA]
Share = Annotated[float, BeforeValidator(parse_share), _QUANTITY_SCHEMA]
Whole = Annotated[int, BeforeValidator(parse_number)]
Number = Annotated[float, BeforeValidator(parse_number)]
