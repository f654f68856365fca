"""The filter of a question: its conditions, its contradictions, and how it is relaxed.

These are pure values. ``filter_parser.py`` parses a question into a filter, and
``sql_builder.py`` builds SQL from it.
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
        """Return the value in words."""
        return f"{self.value:.12g}" if isinstance(self.value, float) else str(self.value)

    def __str__(self) -> str:
        return f"{self.attribute} {self.operator} {self.value_text}"


@dataclass(frozen=True, slots=True)
class Filter:
    """The conditions of a search. ``order_by`` is an attribute, sorted descending when ``descending``.

    A record needs only one of the values of an attribute in ``alternative_attributes``
    ("overdue or paid"). ``left_out`` lists, in words, the question's conditions that this filter omits.
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
        """Return, in words, the conditions that a record must meet besides its kind."""
        window = (str(self.time_range),) if self.time_range and self.time_range.is_bounded else ()
        names = (f"a mention of {name}" for name in self.names)
        return (*map(str, self.conditions), *names, *window)

    @property
    def contradiction(self) -> str:
        """Return, in words, the conditions that exclude each other; empty when none do."""
        if self.time_range and self.time_range.is_empty:
            return str(self.time_range)
        return " and ".join(map(str, next(self._contradictory_pairs(), ())))

    def _contradictory_pairs(self) -> Iterator[tuple[Condition, Condition]]:
        for place, condition in enumerate(self.conditions):
            for later in self.conditions[place + 1 :]:
                if condition.attribute == later.attribute and self._is_contradiction(
                    condition, later
                ):
                    yield condition, later

    def _is_contradiction(self, first: Condition, second: Condition) -> bool:
        if first.operator == "=" == second.operator:
            return (
                first.value != second.value and first.attribute not in self.alternative_attributes
            )
        return not (_is_compatible(first, second) and _is_compatible(second, first))

    def relax(self, steps: int = 1) -> "Filter":
        """Return a wider filter, with one condition fewer for each step.

        A contradiction goes first, then the names, the conditions from the last, and the window.
        """
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
        """Return the filter with either of two contradictory values, or without contradictory bounds."""
        if self.time_range and self.time_range.is_empty:
            return self._without(str(self.time_range), time_range=None)
        first, second = next(self._contradictory_pairs())
        description = f"{first} and {second}"
        if first.operator == "=" == second.operator:
            either = self.alternative_attributes | {first.attribute}
            return self._without(
                f"{description} together (either will do)", alternative_attributes=either
            )
        consistent = tuple(c for c in self.conditions if c not in (first, second))
        return self._without(description, conditions=consistent)

    def _without(self, condition_text: str, **changes: object) -> "Filter":
        return replace(self, left_out=(*self.left_out, condition_text), **changes)  # type: ignore[arg-type]  # its own fields


def _is_compatible(first: Condition, second: Condition) -> bool:
    """Return true unless ``first`` fixes or bounds the value so that ``second`` cannot hold."""
    if type(first.value) is not type(second.value):
        return True
    if first.operator == "=":
        return _satisfies(first.value, second)
    if first.operator in _LOWER and second.operator in _UPPER:
        # A strict comparison on either side excludes the bound itself.
        is_inclusive = first.operator == ">=" and second.operator == "<="
        return second.value >= first.value if is_inclusive else second.value > first.value  # type: ignore[operator]  # same type
    return True


def _satisfies(value: Value, condition: Condition) -> bool:
    return bool(_COMPARISON_FUNCTIONS[condition.operator](value, condition.value))
