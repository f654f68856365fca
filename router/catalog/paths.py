"""Ways between kinds along the links: three at most, those to a join table counted as half."""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from router.catalog.identifiers import kind_phrases, singular, without_id
from router.catalog.model import Catalog, CatalogLink

PATH_LINKS_MAX, PATH_COST_MAX = 5, 3.4
"""Links of a way, and what they cost together: a table that only joins two costs half a link."""
PATHS_MAX = 40
JOIN_TABLE_COST = 0.5
VIEW_COST = 1.5
"""More of a link to a view, which repeats what the tables say."""
ROLE_COST = 0.1
"""Cost of a link in a role ("manager") where a plain one ("department") joins the same kinds."""
LOOSE_COST = 1.5
"""Cost of two rows that only share a parent: more than the way over a table between them."""


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """A link followed to the kind ``end``; ``reverse`` from the link's end to its start."""

    link: str
    reverse: bool
    end: str
    cost: float = 1.0


SchemaPath = tuple[SchemaStep, ...]


class SchemaPaths:
    """Every way between two kinds, cheapest first. Safe for threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._steps: dict[str, list[SchemaStep]] = defaultdict(list)
        roles = _roles(catalog)
        for name, link in catalog.visible_links.items():
            extra = ROLE_COST * (name in roles)
            there, back = self._cost(link.end) + extra, self._cost(link.start) + extra
            self._steps[link.start].append(SchemaStep(name, False, link.end, there))
            self._steps[link.end].append(SchemaStep(name, True, link.start, back))
        self.between = lru_cache(maxsize=4096)(self._between)

    def steps(self, kind: str) -> list[SchemaStep]:
        """Return the steps that begin at ``kind``."""
        return self._steps[kind]

    def loose(self, path: SchemaPath) -> int:
        """Return how often a way only shares a parent: students and courses of one faculty."""
        links = self._catalog.visible_links
        return sum(
            not first.reverse and second.reverse and not links[first.link].relationship
            for first, second in pairwise(path)
        )

    def _start(self, path: SchemaPath) -> tuple[str, ...]:
        link = self._catalog.visible_links[path[0].link]
        return (link.end if path[0].reverse else link.start,)

    def _twice(self, kind: str) -> list[SchemaPath]:
        """Return two steps along one link of a kind to itself: a manager's manager."""
        self_steps = [step for step in self._steps[kind] if step.end == kind]
        return [(step, step) for step in self_steps]

    def _cost(self, kind: str) -> float:
        facts = self._catalog.kinds[kind]
        return JOIN_TABLE_COST if facts.join_table else 1.0 + VIEW_COST * facts.view

    def _between(self, start: str, end: str) -> tuple[SchemaPath, ...]:
        paths: list[SchemaPath] = []
        self._extend(start, end, (), paths)
        if start == end:
            paths += self._twice(start)
        paths.sort(
            key=lambda path: (
                sum(step.cost for step in path) + LOOSE_COST * self.loose(path),
                len(path),
            )
        )
        return tuple(path for path in paths if not self._returns(path))[:PATHS_MAX]

    def _returns(self, path: SchemaPath) -> bool:
        """Return True for a way along a foreign key and straight back: rows beside the first."""
        return any(
            first.link == second.link
            and first.reverse != second.reverse
            and not self._catalog.visible_links[first.link].relationship
            for first, second in pairwise(path)
        )

    def _extend(self, current: str, end: str, path: SchemaPath, paths: list[SchemaPath]) -> None:
        visited = {
            current,
            *(earlier_step.end for earlier_step in path),
            *(self._start(path) if path else ()),
        }
        cost = sum(step.cost for step in path)
        for step in self._steps[current]:
            if cost + step.cost > PATH_COST_MAX:
                continue
            onto_itself = step.end == current and not any(
                earlier_step.end == current for earlier_step in path
            )
            if step.end in visited and step.end != end and not onto_itself:
                continue
            if step.end != end and self._catalog.kinds[step.end].view:
                continue  # a view repeats other tables: it joins nothing
            longer = (*path, step)
            if step.end == end:
                paths.append(longer)
                continue
            if len(longer) < PATH_LINKS_MAX and step.end != end and len(paths) < PATHS_MAX * 8:
                self._extend(step.end, end, longer, paths)


def _roles(catalog: Catalog) -> frozenset[str]:
    """Return the foreign keys in a role, between kinds that a plain one joins too."""
    links = {name: link for name, link in catalog.visible_links.items() if link.columns}
    plain = {frozenset((link.start, link.end)) for link in links.values() if _is_plain(link)}
    return frozenset(
        name
        for name, link in links.items()
        if not _is_plain(link) and frozenset((link.start, link.end)) in plain
    )


def _is_plain(link: CatalogLink) -> bool:
    """Return True for a foreign key that is called as the kind it leads to."""
    return {singular(word) for word in without_id(link.name)} <= {
        singular(word) for phrase in kind_phrases(link.end) for word in phrase.split()
    }
