"""A catalogue in memory: kinds, their columns, and the links between kinds.

A *kind* is a table, a node label or a collection. Names are unique in one catalogue. Everything
is frozen, so one catalogue serves all requests of a process.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

StoreName = Literal["postgres", "graph", "qdrant"]
ColumnType = Literal[
    "text",
    "integer",
    "number",
    "boolean",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "uuid",
    "enum",
    "list",
    "other",
]
NUMERIC: frozenset[ColumnType] = frozenset(("integer", "number"))
TEMPORAL: frozenset[ColumnType] = frozenset(("date", "timestamp", "timestamptz"))
TIME_UNITS = frozenset(("year", "date"))
"""Units of columns of another type that hold times: a year as a number, a date as ISO text."""
TEXTUAL: frozenset[ColumnType] = frozenset(("text", "enum"))


SCOPE = re.compile(r"^\s*(?P<column>\w+)\s*=\s*\$(?P<variable>tenant|user)\s*$")
"""A row condition that binds rows to the tenant or the user who asks."""


class CatalogPart(BaseModel):
    """A frozen part of the file; an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CatalogColumn(CatalogPart):
    """A column or property. ``distinct`` and ``nulls`` are estimates; ``samples`` are values."""

    type: ColumnType
    words: tuple[str, ...] = ()
    description: str = ""
    distinct: int | None = None
    nulls: float | None = None
    samples: tuple[str, ...] = ()
    unit: str = ""
    hide: bool = False


def is_temporal(column: CatalogColumn) -> bool:
    """Return True for dates, times and years."""
    return column.type in TEMPORAL or column.unit in TIME_UNITS


def is_flag_column(column: CatalogColumn) -> bool:
    """Return True for a column that says yes or no."""
    return column.type == "boolean" or column.unit == "flag"


class CatalogKind(CatalogPart):
    """A table, a node label or a collection.

    ``source`` is its name in the store (``schema.table`` for Postgres). ``where`` conditions hold
    for every row that a question may reach. ``certainty`` is how sure discovery is of its guesses.
    """

    store: StoreName
    source: str
    key: tuple[str, ...] = ()
    title: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    date: str | None = None
    words: tuple[str, ...] = ()
    description: str = ""
    rows: int | None = None
    certainty: float = Field(default=1.0, ge=0, le=1)
    view: bool = False
    join_table: bool = False
    where: tuple[str, ...] = ()
    hide: bool = False
    embedding: str | None = None
    vector: str | None = None
    dimension: int | None = None
    columns: Mapping[str, CatalogColumn] = {}

    @property
    def visible(self) -> Mapping[str, CatalogColumn]:
        """The columns that questions may use."""
        return {name: column for name, column in self.columns.items() if not column.hide}

    @property
    def scopes(self) -> tuple[tuple[str, str], ...] | None:
        """The columns that must equal the caller's ``tenant`` or ``user``; None for other conditions.

        Values of such a kind are known to those callers alone, values of a kind with other
        conditions to nobody.
        """
        found = [SCOPE.match(text) for text in self.where]
        if any(match is None for match in found):
            return None
        return tuple((match["column"], match["variable"]) for match in found if match)

    @model_validator(mode="after")
    def _roles_are_columns(self) -> "CatalogKind":
        roles = {"key": self.key, "title": self.title, "text": self.text, "date": (self.date,)}
        for role, names in roles.items():
            for name in names:
                if name is not None and name not in self.columns and self.store != "qdrant":
                    raise ValueError(f"{role}: {name!r} is not among columns of {self.source}")
        return self


class CatalogLink(CatalogPart):
    """A way from one kind to another.

    Postgres: ``columns`` pairs the columns of ``start`` with those of ``end`` (a foreign key).
    Graph: ``relationship`` is the type, which points from ``start`` to ``end``.
    """

    name: str
    start: str
    end: str
    columns: tuple[tuple[str, str], ...] = ()
    relationship: str | None = None
    words: tuple[str, ...] = ()
    reverse_words: tuple[str, ...] = ()
    properties: Mapping[str, CatalogColumn] = {}
    rows: int | None = None
    hide: bool = False

    @property
    def id(self) -> str:
        """A name that is unique in the catalogue."""
        return f"{self.start}.{self.name}.{self.end}"


class Catalog(CatalogPart):
    """Kinds and links of a team's stores."""

    version: Literal[1] = 1
    kinds: Mapping[str, CatalogKind] = {}
    links: tuple[CatalogLink, ...] = ()

    @model_validator(mode="after")
    def _links_fit(self) -> "Catalog":
        for link in self.links:
            self._require_link(link)
        return self

    def _require_link(self, link: CatalogLink) -> None:
        for role, kind in (("start", link.start), ("end", link.end)):
            if kind not in self.kinds:
                raise ValueError(f"links: {link.name}: {role}: no kind {kind!r} in kinds")
        if self.kinds[link.start].store != self.kinds[link.end].store:
            raise ValueError(f"links: {link.name}: {link.start} and {link.end} are in two stores")
        for near, far in link.columns:
            for kind, column in ((link.start, near), (link.end, far)):
                if column not in self.kinds[kind].columns:
                    raise ValueError(f"links: {link.name}: {kind} has no column {column!r}")

    @cached_property
    def visible_kinds(self) -> Mapping[str, CatalogKind]:
        """The kinds that questions may use."""
        return {name: kind for name, kind in self.kinds.items() if not kind.hide}

    @property
    def hidden_names(self) -> tuple[str, ...]:
        """The names and words of hidden kinds, and of hidden columns of all kinds."""
        names: list[str] = []
        for name, kind in self.kinds.items():
            names += (name, *kind.words) if kind.hide else ()
            for column, facts in kind.columns.items():
                names += (column, *facts.words) if facts.hide or kind.hide else ()
        return tuple(names)

    @cached_property
    def visible_links(self) -> Mapping[str, CatalogLink]:
        """The links that questions may follow, by id."""
        kinds = self.visible_kinds
        return {
            link.id: link
            for link in self.links
            if not link.hide and link.start in kinds and link.end in kinds
        }

    def of_store(self, store: StoreName) -> Iterator[tuple[str, CatalogKind]]:
        """Return the visible kinds of one store."""
        return ((name, kind) for name, kind in self.visible_kinds.items() if kind.store == store)
