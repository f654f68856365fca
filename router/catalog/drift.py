"""The difference between a catalogue's file and what discovery finds now."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from router.catalog.model import Catalog, CatalogKind

DriftKind = Literal["added", "lost", "changed"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. ``place`` is a kind, ``kind.column`` or a link."""

    change: DriftKind
    place: str
    message: str


def drift(file: Catalog, stores: Catalog) -> Iterator[Drift]:
    """Yield what the stores have and the file lacks, and the reverse.

    Kinds are matched by store and source, for people may rename them in the file.
    """
    now = {(kind.store, kind.source): (name, kind) for name, kind in stores.kinds.items()}
    for name, kind in file.kinds.items():
        current = now.pop((kind.store, kind.source), None)
        if current is None:
            yield Drift("lost", name, f"{kind.store} has no {kind.source} any more")
        else:
            yield from _columns(name, kind, current[1])
    for name, kind in now.values():
        yield Drift("added", name, f"{kind.store} has {kind.source}; the file lacks it")
    yield from _links(file, stores)


def _columns(name: str, file: CatalogKind, store: CatalogKind) -> Iterator[Drift]:
    missing = [column for column in file.columns if column not in store.columns]
    added = [column for column in store.columns if column not in file.columns]
    for column in missing:
        candidates = [
            new_column
            for new_column in added
            if store.columns[new_column].type == file.columns[column].type
        ]
        hint = f"; renamed to {candidates[0]}?" if len(candidates) == 1 else ""
        yield Drift("lost", f"{name}.{column}", f"{file.source} has no such column{hint}")
    for column in added:
        yield Drift("added", f"{name}.{column}", f"{store.columns[column].type}; the file lacks it")
    for column, facts in file.columns.items():
        store_column = store.columns.get(column)
        if store_column is not None and store_column.type != facts.type:
            yield Drift("changed", f"{name}.{column}", f"{facts.type} is {store_column.type} now")


def _links(file: Catalog, stores: Catalog) -> Iterator[Drift]:
    file_links = {_identity(file, link.start, link.end, link.name) for link in file.links}
    for link in stores.links:
        if _identity(stores, link.start, link.end, link.name) not in file_links:
            yield Drift(
                "added", f"{link.start} → {link.end}", f"link {link.name}; the file lacks it"
            )


def _identity(catalog: Catalog, start: str, end: str, name: str) -> tuple[str, str, str]:
    return catalog.kinds[start].source, catalog.kinds[end].source, name
