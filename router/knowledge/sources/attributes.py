"""Nested values as a record's attributes: dotted names, and lists of objects apart."""

import json
from collections.abc import Mapping
from typing import Any

from router.knowledge.records import Attribute
from router.knowledge.sources.cells import CellReader

NESTING_MAX = 8


def flatten(
    fields: Mapping[str, Any],
) -> tuple[dict[str, Attribute], dict[str, list[dict[str, Any]]]]:
    """Return dotted attributes, and the lists of objects apart.

    Raises:
        ValueError: a value cannot be an attribute; the message names the field.
    """
    attributes: dict[str, Attribute] = {}
    nested: dict[str, list[dict[str, Any]]] = {}
    pending = [(name, value, 0) for name, value in reversed(list(fields.items()))]
    while pending:
        name, value, depth = pending.pop()
        if isinstance(value, dict):
            if depth >= NESTING_MAX:
                raise ValueError(f"{name}: nested more than {NESTING_MAX} levels deep")
            pending += [(f"{name}.{key}", v, depth + 1) for key, v in reversed(list(value.items()))]
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            nested[name] = value
        elif value is not None and value != [] and value == value:  # noqa: PLR0124 - NaN is not itself
            attributes[name] = _to_attribute(name, value)
    return attributes, nested


def _to_attribute(name: str, value: object) -> Attribute:
    if isinstance(value, list):
        plain = all(isinstance(item, str | int | float) for item in value)
        return ", ".join(map(str, value)) if plain else json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str | int | float | bool):
        raise ValueError(f"{name}: text, a number or true/false is expected, not {value!r:.60}")  # noqa: TRY004 - a bad line, like the others
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError(f"{name}: {value} cannot be stored: write a finite number")
    bounded = CellReader(typed=True).read(value) if not isinstance(value, str) else value
    return bounded if isinstance(bounded, str | int | float | bool) else str(bounded)
