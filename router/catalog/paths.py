"""Ways between kinds along the links: three at most, those to a join table counted as half."""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from router.catalog.model import Catalog

PATH_LINKS_MAX, PATH_COST_MAX = 5, 3.0
"""Links of a way, and what they cost together: a table that only joins two costs half a link."""
PATHS_MAX = 40
JOIN_TABLE_COST = 0.5
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
        for name, link in catalog.visible_links.items():
            self._steps[link.start].append(SchemaStep(name, False, link.end, self._cost(link.end)))
            self._steps[link.end].append(SchemaStep(name, True, link.start, self._cost(link.start)))
        self.between = lru_cache(maxsize=4096)(self._between)

    def steps(self, kind: str) -> list[SchemaStep]:
        """Return the steps that begin at ``kind``."""
        return self._steps[kind]

    def loose(self, path: SchemaPath) -> int:
        """Return how often a way only shares a parent: students and courses of one faculty."""
        links = self._catalog.visible_links
        return sum(
            not one.reverse and two.reverse and not links[one.link].relationship
            for one, two in pairwise(path)
        )

    def _start(self, path: SchemaPath) -> tuple[str, ...]:
        link = self._catalog.visible_links[path[0].link]
        return (link.end if path[0].reverse else link.start,)

    def _twice(self, kind: str) -> list[SchemaPath]:
        """Return two steps along one link of a kind to itself: a manager's manager."""
        own = [step for step in self._steps[kind] if step.end == kind]
        return [(step, step) for step in own]

    def _cost(self, kind: str) -> float:
        return JOIN_TABLE_COST if self._catalog.kinds[kind].join_table else 1.0

    def _between(self, start: str, end: str) -> tuple[SchemaPath, ...]:
        found: list[SchemaPath] = []
        self._extend(start, end, (), found)
        if start == end:
            found += self._twice(start)
        found.sort(
            key=lambda path: (
                sum(step.cost for step in path) + LOOSE_COST * self.loose(path),
                len(path),
            )
        )
        return tuple(path for path in found if not self._returns(path))[:PATHS_MAX]

    def _returns(self, path: SchemaPath) -> bool:
        """Return True for a way along a foreign key and straight back: rows beside the first."""
        return any(
            one.link == two.link
            and one.reverse != two.reverse
            and not self._catalog.visible_links[one.link].relationship
            for one, two in pairwise(path)
        )

    def _extend(self, here: str, end: str, path: SchemaPath, found: list[SchemaPath]) -> None:
        visited = {here, *(each.end for each in path), *(self._start(path) if path else ())}
        cost = sum(step.cost for step in path)
        for step in self._steps[here]:
            if cost + step.cost > PATH_COST_MAX:
                continue
            onto_itself = step.end == here and not any(each.end == here for each in path)
            if step.end in visited and step.end != end and not onto_itself:
                continue
            longer = (*path, step)
            if step.end == end:
                found.append(longer)
                continue
            if len(longer) < PATH_LINKS_MAX and step.end != end and len(found) < PATHS_MAX * 8:
                self._extend(step.end, end, longer, found)
