"""Discovery of every store that has an address, as one catalogue."""

from collections.abc import Iterable, Mapping

from router.catalog.model import Catalog, CatalogKind, CatalogLink

StoreParts = tuple[Mapping[str, CatalogKind], Iterable[CatalogLink]]


def merge_catalogs(parts: Iterable[StoreParts]) -> Catalog:
    """Join the parts of several stores.

    A name that two stores use gets its store in front in the later one: ``graph.movie``. Names
    that differ in letter case only count as equal, for people do not write the difference.
    """
    kinds: dict[str, CatalogKind] = {}
    links: list[CatalogLink] = []
    for store_kinds, linked in parts:
        used_names = {name.lower() for name in kinds}
        names = {
            name: f"{kind.store}.{name}" if name.lower() in used_names else name
            for name, kind in store_kinds.items()
        }
        kinds |= {names[name]: kind for name, kind in store_kinds.items()}
        links += [
            link.model_copy(update={"start": names[link.start], "end": names[link.end]})
            for link in linked
        ]
    return Catalog(kinds=kinds, links=tuple(links))
