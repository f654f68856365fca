"""Questions about meaning, answered from Qdrant: nearest vectors of the ``documents`` collection."""

from dataclasses import dataclass

from router.backends.base import Hit, SearchRequest, SearchResult
from router.backends.vector_store import ScoredPoint, VectorStore


@dataclass(frozen=True, slots=True)
class QdrantBackend:
    """``vectors`` belongs to the caller, who closes it."""

    vectors: VectorStore
    name: str = "qdrant"

    async def search(self, search: SearchRequest) -> SearchResult:
        points = await self.vectors.find_nearest(search.embedding.tolist(), search.limit)
        return SearchResult([_hit(point) for point in points if point.score > 0])

    async def health(self) -> None:
        await self.vectors.health()


def _hit(point: ScoredPoint) -> Hit:
    payload = point.payload
    return Hit(
        id=payload["id"],
        title=payload["title"],
        text=payload["text"],
        source=payload["source"],
        score=min(1.0, point.score),
        kind=payload["kind"],
        backend="qdrant",
        occurred_on=payload.get("occurred_on"),
    )
