"""What a question demands of records: a filter, what of it can't be met, and how it is loosened.

Pure values. ``filters.py`` reads them out of a question, ``statements.py`` makes SQL of them.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from router.backends.time_expressions import TimeRange

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
Value = str | float | bool
_LOWER, _UPPER = (">", ">="), ("<", "<=")
_COMPARISON_FUNCTIONS: Mapping[Operator, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """``attribute operator value``; numbers compare as numbers, ISO dates as text."""

    attribute: str
    operator: Operator
    value: Value

    @property
    def value_text(self) -> str:
        """The value in words."""
        return f"{self.value:.12g}" if isinstance(self.value, float) else str(self.value)

    def __str__(self) -> str:
        return f"{self.attribute} {self.operator} {self.value_text}"


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for. ``order_by`` is an attribute, sorted descending when ``descending``.

    Of an attribute in ``either`` any one of its demanded values will do ("overdue or paid").
    ``left_out`` says in words what the question demands and this filter does not.
    """

    kinds: frozenset[str] = frozenset()
    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # proper names every record must mention
    conditions: tuple[Condition, ...] = ()
    alternative_attributes: frozenset[str] = frozenset()
    time_range: TimeRange | None = None
    order_by: str | None = None
    descending: bool = True
    count: bool = False
    left_out: tuple[str, ...] = ()
    question: str = field(default="", compare=False)  # the question, for ranking by text

    @property
    def is_empty(self) -> bool:
        return not (self.kinds or self.conditions or self.ids or self.names or self.time_range)

    @property
    def requirements(self) -> tuple[str, ...]:
        """In words, all that a record must meet besides its kind."""
        window = (str(self.time_range),) if self.time_range and self.time_range.is_bounded else ()
        names = (f"a mention of {name}" for name in self.names)
        return (*map(str, self.conditions), *names, *window)

    @property
    def contradiction(self) -> str:
        """In words, what no record can meet all of; empty when nothing stands against another."""
        if self.time_range and self.time_range.is_empty:
            return str(self.time_range)
        return " and ".join(map(str, next(self._contradictory_pairs(), ())))

    def _contradictory_pairs(self) -> Iterator[tuple[Condition, Condition]]:
        for place, one in enumerate(self.conditions):
            for other in self.conditions[place + 1 :]:
                if one.attribute == other.attribute and self._is_contradiction(one, other):
                    yield one, other

    def _is_contradiction(self, one: Condition, other: Condition) -> bool:
        if one.operator == "=" == other.operator:
            return one.value != other.value and one.attribute not in self.alternative_attributes
        return not (_is_compatible(one, other) and _is_compatible(other, one))

    def relax(self, steps: int = 1) -> "Filter":
        """A wider try: what contradicts itself first, then names, conditions from the last, window."""
        wider = self
        for _ in range(steps):
            wider = wider._relax_once()
        return wider

    def _relax_once(self) -> "Filter":
        if self.contradiction:
            return self._without_contradictions()
        if self.names:
            return self._without(f"a mention of {' and '.join(self.names)}", names=())
        if self.conditions:
            return self._without(str(self.conditions[-1]), conditions=self.conditions[:-1])
        if self.time_range and self.time_range.is_bounded:
            return self._without(str(self.time_range), time_range=None)
        return replace(self, time_range=None)

    def _without_contradictions(self) -> "Filter":
        if not self.contradiction:
            return self
        return self._without_first_contradiction()._without_contradictions()  # noqa: SLF001  its own kind

    def _without_first_contradiction(self) -> "Filter":
        """Any of the values that exclude each other; of bounds and dates that do, neither."""
        if self.time_range and self.time_range.is_empty:
            return self._without(str(self.time_range), time_range=None)
        one, other = next(self._contradictory_pairs())
        said = f"{one} and {other}"
        if one.operator == "=" == other.operator:
            either = self.alternative_attributes | {one.attribute}
            return self._without(f"{said} together (either will do)", alternative_attributes=either)
        kept = tuple(c for c in self.conditions if c not in (one, other))
        return self._without(said, conditions=kept)

    def _without(self, said: str, **changes: object) -> "Filter":
        return replace(self, left_out=(*self.left_out, said), **changes)  # type: ignore[arg-type]  # its own fields


def _is_compatible(one: Condition, other: Condition) -> bool:
    """Whether some value meets both, as far as ``one`` alone fixes or bounds it."""
    if type(one.value) is not type(other.value):
        return True
    if one.operator == "=":
        return _satisfies(one.value, other)
    if one.operator in _LOWER and other.operator in _UPPER:
        # Strict on either side leaves nothing at the bound itself.
        both = one.operator == ">=" and other.operator == "<="
        return other.value >= one.value if both else other.value > one.value  # type: ignore[operator]  # same type
    return True


def _satisfies(value: Value, condition: Condition) -> bool:
    return bool(_COMPARISON_FUNCTIONS[condition.operator](value, condition.value))
