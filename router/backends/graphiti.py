"""Temporal questions through a Graphiti service, when the router is given one.

``service`` needs Graphiti's ``search(query, num_results=…)``, which answers edges with ``uuid``,
``name``, ``fact`` and ``valid_at``.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from router.backends.base import Hit, SearchRequest, SearchResult


class GraphitiService(Protocol):
    """The one method of ``graphiti_core.Graphiti`` that is used."""

    async def search(self, query: str, *, num_results: int) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class GraphitiBackend:
    """Facts valid in the time asked for, in Graphiti's order. Guard maps its errors."""

    service: GraphitiService
    name: str = "graphiti"

    async def search(self, search: SearchRequest) -> SearchResult:
        edges = await self.service.search(search.query, num_results=search.limit)
        hits = [_hit(edge, place) for place, edge in enumerate(edges)]
        window = search.time_range
        if window is None or not window.is_bounded:
            return SearchResult(hits)
        return SearchResult(
            [h for h in hits if h.occurred_on and window.contains(_day(h.occurred_on))]
        )

    async def health(self) -> None:
        await self.service.search("health", num_results=1)


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _hit(edge: Any, place: int) -> Hit:  # noqa: ANN401 - graphiti_core is not a dependency of this project
    valid_at: datetime | None = edge.valid_at
    return Hit(
        id=str(edge.uuid),
        title=str(edge.name),
        text=str(edge.fact),
        source=f"graphiti/{edge.uuid}",
        score=1.0 / (1 + 0.1 * place),
        kind="fact",
        backend="graphiti",
        occurred_on=valid_at.date().isoformat() if valid_at else None,
    )
