"""A compiled statement, and what both compilers share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from router.catalog.model import Catalog, CatalogKind

VALUE_COLUMN = "value"
GROUP_COLUMN = "group"
SORT_COLUMN = "$sort"
"""The value that rows are ordered by, beside columns of the team's own names."""
Caller = Mapping[str, str | None]


_FUNCTIONS = {
    "count": "count",
    "sum": "sum",
    "average": "avg",
    "minimum": "min",
    "maximum": "max",
}


def aggregate_call(function: str, argument: str) -> str:
    """Return the call of an aggregate function, which SQL and Cypher write alike."""
    if function == "distinct":
        return f"count(DISTINCT {argument})"
    return f"{_FUNCTIONS[function]}({argument})"


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """Text with placeholders, and the values to bind in order.

    The text holds identifiers of the catalogue and constants of the compiler, never a value.
    """

    text: str
    values: tuple[object, ...]


@dataclass(slots=True)
class StatementScope:
    """State of one compilation: the catalogue, the caller, the values and aliases so far."""

    catalog: Catalog
    caller: Caller
    values: list[object] = field(default_factory=list)
    aliases: int = 0

    def bind(self, value: object) -> int:
        """Add a value; return its number, from 1."""
        self.values.append(value)
        return len(self.values)

    def alias(self) -> str:
        """Return a new alias."""
        self.aliases += 1
        return f"t{self.aliases}"

    def kind(self, name: str) -> CatalogKind:
        """Return a kind by name."""
        return self.catalog.kinds[name]
