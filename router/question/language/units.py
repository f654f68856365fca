"""Units of measure: "5 minutes" against a column of milliseconds.

A number with a unit is converted to the unit that the column's name says. Where the name says none of
the same dimension, the unit cannot be applied and is named.
"""

from collections.abc import Iterable, Mapping, Sequence

from router.question.language.grammar import DIMENSIONS

_UNITS: Mapping[str, Mapping[str, float]] = {
    "time": {
        "milliseconds millisecond millis msec ms": 1,
        "seconds second secs sec s": 1_000,
        "minutes minute mins min": 60_000,
        "hours hour hrs hr h": 3_600_000,
        "days day": 86_400_000,
        "weeks week": 604_800_000,
    },
    "size": {
        "bytes byte": 1,
        "kilobytes kilobyte kb": 1e3,
        "megabytes megabyte mb": 1e6,
        "gigabytes gigabyte gb": 1e9,
        "terabytes terabyte tb": 1e12,
    },
    "weight": {
        "grams gram g": 1,
        "kilograms kilogram kilos kilo kg": 1e3,
        "tonnes tonne tons t": 1e6,
    },
    "length": {
        "millimeters millimetres mm": 1,
        "centimeters centimetres cm": 10,
        "meters metres meter metre m": 1e3,
        "kilometers kilometres kilometer kilometre km": 1e6,
    },
}
_FACTORS: Mapping[str, tuple[str, float]] = {
    word: (dimension, factor)
    for dimension, units in _UNITS.items()
    for words, factor in units.items()
    for word in words.split()
}


def is_unit(word: str) -> bool:
    """Return True for a word that is a unit of measure."""
    return word in _FACTORS


def fitting_unit(unit: str, value: float, samples: Sequence[float]) -> str | None:
    """Return the unit in which ``value`` is of the size of a column's samples.

    A name such as ``length`` has no unit, but films of 46 to 185 are measured in minutes. It is
    ``unit`` itself where that fits, else the only one that does.
    """
    fits = _fitting(unit, value, samples)
    if any(_FACTORS[name] == _FACTORS[unit] for name in fits):
        return unit
    return fits[0] if len(fits) == 1 else None


def is_open(unit: str, value: float, samples: Sequence[float]) -> bool:
    """Return True where samples of many sizes leave open which of several units a column has."""
    return len(_fitting(unit, value, samples)) > 1


def _fitting(unit: str, value: float, samples: Sequence[float]) -> list[str]:
    """Return the units of the dimension in which ``value`` is of the size of the samples."""
    dimension, factor = _FACTORS[unit]
    if not samples:
        return []
    low, high = min(samples) / RANGE, max(samples) * RANGE
    names = [words.split()[0] for words in _UNITS[dimension]]
    return [name for name in names if low <= value * factor / _FACTORS[name][1] <= high]


def measures(unit: str, column_words: Iterable[str]) -> bool:
    """Return True where a column's words speak of the dimension of ``unit``."""
    named = {"time": "length", "length": "height"}.get(_FACTORS[unit][0], _FACTORS[unit][0])
    return bool(set(DIMENSIONS[named]) & set(column_words))


RANGE = 3
"""A number is of the size of samples up to this factor beyond them."""


def conversion(unit: str, column_words: Iterable[str]) -> float | None:
    """Return the factor from ``unit`` to the unit in a column's name, None where it has none.

    ``unit`` is one of the known units.
    """
    dimension, factor = _FACTORS[unit]
    for word in column_words:
        known = _FACTORS.get(word)
        if known is not None and known[0] == dimension:
            return factor / known[1]
    return None
