"""The vector store: a Qdrant server (``server_vector_store.py``), or Qdrant's engine in a folder.

Both have the same port, so demo, tests and production differ in an address only. One process owns
a folder.
"""

import asyncio
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import qdrant_edge as edge

from router.errors import StoreUnavailable

COLLECTION = "documents"
EMBEDDING_DIMENSION = 384
_NAMESPACE = uuid.UUID("5b0c2f0a-94b1-4a55-9d83-4a6f3d1f7d55")


@dataclass(frozen=True, slots=True)
class VectorPoint:
    """A record's vector, (384,) floats, and what is needed to show it."""

    record_id: str
    vector: list[float]
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ScoredPoint:
    """A point found; ``score`` is the cosine, -1 to 1."""

    score: float
    payload: Mapping[str, Any]


class VectorStore(Protocol):
    """Cosine neighbours. Every call raises StoreUnavailable, nothing else."""

    async def ensure_collection(self) -> None:
        """Create the collection unless it exists."""
        ...

    async def upsert(self, points: Sequence[VectorPoint]) -> None: ...

    async def delete(self, record_ids: Sequence[str]) -> None:
        """Ids that are not there don't matter."""
        ...

    async def find_nearest(self, vector: list[float], limit: int) -> list[ScoredPoint]: ...

    async def health(self) -> None: ...

    async def close(self) -> None: ...


def point_id(record_id: str) -> str:
    """Qdrant wants UUIDs; the same record always gets the same one."""
    return str(uuid.uuid5(_NAMESPACE, record_id))


class EmbeddedVectorStore:
    """Qdrant's engine on ``folder``; its calls block, so they run on worker threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / COLLECTION
        self._opening = threading.Lock()
        self._shard: edge.EdgeShard | None = None

    async def ensure_collection(self) -> None:
        await self._run_in_thread(self._shard_or_open)

    async def upsert(self, points: Sequence[VectorPoint]) -> None:
        rows = [edge.Point(point_id(p.record_id), p.vector, dict(p.payload)) for p in points]
        await self._run_in_thread(
            lambda: self._shard_or_open().update(edge.UpdateOperation.upsert_points(rows))
        )

    async def delete(self, record_ids: Sequence[str]) -> None:
        ids: list[Any] = [point_id(record_id) for record_id in record_ids]
        await self._run_in_thread(
            lambda: self._shard_or_open().update(edge.UpdateOperation.delete_points(ids))
        )

    async def find_nearest(self, vector: list[float], limit: int) -> list[ScoredPoint]:
        request = edge.QueryRequest(limit, query=edge.Query.Nearest(vector), with_payload=True)
        points = await self._run_in_thread(lambda: self._shard_or_open().query(request))
        return [ScoredPoint(point.score, point.payload or {}) for point in points]

    async def health(self) -> None:
        await self._run_in_thread(self._shard_or_open)

    async def close(self) -> None:
        shard, self._shard = self._shard, None
        if shard is not None:
            await asyncio.to_thread(shard.close)

    def _shard_or_open(self) -> edge.EdgeShard:
        with self._opening:
            if self._shard is None:
                self._shard = _load_or_create_shard(self._folder)
            return self._shard

    async def _run_in_thread(self, work: Any) -> Any:  # noqa: ANN401 - the engine's own result types
        try:
            return await asyncio.to_thread(work)
        except Exception as error:  # the engine raises bare Exception
            raise store_unavailable(error) from error


class AbsentVectorStore:
    """A store without an address: over a catalogue the router needs none of its own."""

    async def ensure_collection(self) -> None:
        raise _no_address()

    async def upsert(self, points: Sequence[VectorPoint]) -> None:
        raise _no_address()

    async def delete(self, record_ids: Sequence[str]) -> None:
        raise _no_address()

    async def find_nearest(self, vector: list[float], limit: int) -> list[ScoredPoint]:
        raise _no_address()

    async def health(self) -> None:
        raise _no_address()

    async def close(self) -> None:
        """Nothing is open."""


def _load_or_create_shard(folder: Path) -> edge.EdgeShard:
    if folder.exists() and any(folder.iterdir()):
        return edge.EdgeShard.load(str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    config = edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(EMBEDDING_DIMENSION, edge.Distance.Cosine)
    )
    return edge.EdgeShard.create(str(folder), config)


def _no_address() -> StoreUnavailable:
    return StoreUnavailable("qdrant", "neither QDRANT_URL nor QDRANT_PATH is set")


def store_unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable("qdrant", type(error).__name__, str(error))
