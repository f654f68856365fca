"""What a question demands of records: a filter, what of it can't be met, and how it is loosened.

Pure values. ``filters.py`` reads them out of a question, ``statements.py`` makes SQL of them.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from router.backends.windows import Window

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
Value = str | float | bool
_LOWER, _UPPER = (">", ">="), ("<", "<=")
_COMPARE: Mapping[Operator, Callable[[Any, Any], Any]] = {
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
    def said(self) -> str:
        """The value in words."""
        return f"{self.value:.12g}" if isinstance(self.value, float) else str(self.value)

    def __str__(self) -> str:
        return f"{self.attribute} {self.operator} {self.said}"


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
    either: frozenset[str] = frozenset()
    window: Window | None = None
    order_by: str | None = None
    descending: bool = True
    count: bool = False
    left_out: tuple[str, ...] = ()
    words: str = field(default="", compare=False)  # the question, for ranking by text

    @property
    def empty(self) -> bool:
        return not (self.kinds or self.conditions or self.ids or self.names or self.window)

    @property
    def demands(self) -> tuple[str, ...]:
        """In words, all that a record must meet besides its kind."""
        window = (str(self.window),) if self.window and self.window.bounded else ()
        names = (f"a mention of {name}" for name in self.names)
        return (*map(str, self.conditions), *names, *window)

    @property
    def contradiction(self) -> str:
        """In words, what no record can meet all of; empty when nothing stands against another."""
        if self.window and self.window.impossible:
            return str(self.window)
        return " and ".join(map(str, next(self._clashes(), ())))

    def _clashes(self) -> Iterator[tuple[Condition, Condition]]:
        for place, one in enumerate(self.conditions):
            for other in self.conditions[place + 1 :]:
                if one.attribute == other.attribute and self._clash(one, other):
                    yield one, other

    def _clash(self, one: Condition, other: Condition) -> bool:
        if one.operator == "=" == other.operator:
            return one.value != other.value and one.attribute not in self.either
        return not (_admits(one, other) and _admits(other, one))

    def relaxed(self, steps: int = 1) -> "Filter":
        """A wider try: what contradicts itself first, then names, conditions from the last, window."""
        wider = self
        for _ in range(steps):
            wider = wider._wider()
        return wider

    def _wider(self) -> "Filter":
        if self.contradiction:
            return self._consistent()
        if self.names:
            return self._without(f"a mention of {' and '.join(self.names)}", names=())
        if self.conditions:
            return self._without(str(self.conditions[-1]), conditions=self.conditions[:-1])
        if self.window and self.window.bounded:
            return self._without(str(self.window), window=None)
        return replace(self, window=None)

    def _consistent(self) -> "Filter":
        return self._without_clash()._consistent() if self.contradiction else self  # noqa: SLF001  its own kind

    def _without_clash(self) -> "Filter":
        """Any of the values that exclude each other; of bounds and dates that do, neither."""
        if self.window and self.window.impossible:
            return self._without(str(self.window), window=None)
        one, other = next(self._clashes())
        said = f"{one} and {other}"
        if one.operator == "=" == other.operator:
            either = self.either | {one.attribute}
            return self._without(f"{said} together (either will do)", either=either)
        kept = tuple(c for c in self.conditions if c not in (one, other))
        return self._without(said, conditions=kept)

    def _without(self, said: str, **changes: object) -> "Filter":
        return replace(self, left_out=(*self.left_out, said), **changes)  # type: ignore[arg-type]  # its own fields


def _admits(one: Condition, other: Condition) -> bool:
    """Whether some value meets both, as far as ``one`` alone fixes or bounds it."""
    if type(one.value) is not type(other.value):
        return True
    if one.operator == "=":
        return _holds(one.value, other)
    if one.operator in _LOWER and other.operator in _UPPER:
        # Strict on either side leaves nothing at the bound itself.
        both = one.operator == ">=" and other.operator == "<="
        return other.value >= one.value if both else other.value > one.value  # type: ignore[operator]  # same type
    return True


def _holds(value: Value, condition: Condition) -> bool:
    return bool(_COMPARE[condition.operator](value, condition.value))
