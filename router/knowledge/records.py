"""The records of a knowledge base, with text, attributes and links.

One record lands in every store: a node in the graph, a row in Postgres, a point in Qdrant.
"""

from dataclasses import dataclass, field

Attribute = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Link:
    """A directed relation to another record; ``kind`` becomes the relationship type (``DRIVES``)."""

    kind: str
    target: str


@dataclass(frozen=True, slots=True)
class Record:
    """One thing the router can find.

    ``id`` is stable across ingestions (they are idempotent by it). ``local_id`` is the id that the
    record has in its own file: a name that questions and links use. ``kind`` is a lower-case noun
    (``driver``, ``invoice``); ``source`` is what a reader is shown (``invoices/INV-1042``).
    Dates in ``attributes`` are ISO 8601 strings; ``occurred_on`` among them is the record's own date.
    """

    id: str
    kind: str
    title: str
    text: str
    source: str
    attributes: dict[str, Attribute] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    local_id: str = ""
