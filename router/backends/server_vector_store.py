"""Vectors of a Qdrant server. Apart from the port, for its client takes seconds to import."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException

from router.backends.point_search import POINT_SEARCH_ERRORS, PointSearch
from router.backends.vector_store import (
    COLLECTION,
    EMBEDDING_DIMENSION,
    ScoredPoint,
    VectorPoint,
    point_id,
    store_unavailable,
)

SERVER_ERRORS = (ApiException, QdrantException, httpx.HTTPError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class ServerVectorStore:
    """``client`` talks to a Qdrant server; ``searches``, where there is one, takes the searches."""

    client: AsyncQdrantClient
    collection: str = COLLECTION
    searches: PointSearch | None = None

    async def ensure_collection(self) -> None:
        try:
            if not await self.client.collection_exists(self.collection):
                vectors = models.VectorParams(
                    size=EMBEDDING_DIMENSION, distance=models.Distance.COSINE
                )
                await self.client.create_collection(self.collection, vectors_config=vectors)
        except SERVER_ERRORS as error:
            raise store_unavailable(error) from error

    async def upsert(self, points: Sequence[VectorPoint]) -> None:
        rows = [
            models.PointStruct(id=point_id(p.record_id), vector=p.vector, payload=dict(p.payload))
            for p in points
        ]
        try:
            await self.client.upsert(self.collection, points=rows, wait=True)
        except SERVER_ERRORS as error:
            raise store_unavailable(error) from error

    async def delete(self, record_ids: Sequence[str]) -> None:
        ids: list[models.ExtendedPointId] = [point_id(record_id) for record_id in record_ids]
        try:
            await self.client.delete(self.collection, models.PointIdsList(points=ids), wait=True)
        except SERVER_ERRORS as error:
            raise store_unavailable(error) from error

    async def find_nearest(self, vector: list[float], limit: int) -> list[ScoredPoint]:
        if self.searches is not None:
            return await self._search(self.searches, vector, limit)
        try:
            response = await self.client.query_points(
                self.collection, query=vector, limit=limit, with_payload=True
            )
        except SERVER_ERRORS as error:
            raise store_unavailable(error) from error
        return [ScoredPoint(point.score, point.payload or {}) for point in response.points]

    async def _search(
        self, searches: PointSearch, vector: list[float], limit: int
    ) -> list[ScoredPoint]:
        request = {"query": vector, "limit": limit, "with_payload": True}
        try:
            points = await searches.post(self.collection, "query", request)
            return [ScoredPoint(point["score"], point["payload"] or {}) for point in points]
        except POINT_SEARCH_ERRORS as error:
            raise store_unavailable(error) from error

    async def health(self) -> None:
        try:
            await self.client.get_collections()
        except SERVER_ERRORS as error:
            raise store_unavailable(error) from error

    async def close(self) -> None:
        await self.client.close()
        if self.searches is not None:
            await self.searches.close()
