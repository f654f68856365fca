"""A Qdrant server, searched with and without its own client, and the engine keep one contract."""

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from router.backends.point_search import ConnectionLimits, PointSearch
from router.backends.server_vector_store import ServerVectorStore
from router.backends.vector_store import (
    EMBEDDING_DIMENSION,
    EmbeddedVectorStore,
    VectorPoint,
    VectorStore,
)
from router.errors import StoreUnavailable

pytestmark = pytest.mark.integration
LIMITS = ConnectionLimits(connections=4, keep_alive_seconds=2.0, timeout_seconds=2.0)


def axis(number: int) -> list[float]:
    return [1.0 if place == number else 0.0 for place in range(EMBEDDING_DIMENSION)]


def point(name: str, number: int, text: str = "text") -> VectorPoint:
    return VectorPoint(name, axis(number), {"id": name, "text": text})


@pytest.fixture(params=["server", "client", "engine"])
async def vectors(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VectorStore]:
    store: VectorStore
    if request.param != "engine":
        url: str = request.getfixturevalue("qdrant_url")
        client = AsyncQdrantClient(url=url, check_compatibility=False)
        searches = PointSearch(url, LIMITS) if request.param == "server" else None
        store = ServerVectorStore(client, f"contract-{uuid.uuid4().hex}", searches)
    else:
        store = EmbeddedVectorStore(tmp_path)
    await store.ensure_collection()
    yield store
    await store.close()


async def test_the_nearest_comes_first_with_its_cosine(vectors: VectorStore) -> None:
    await vectors.upsert([point("a", 0), point("b", 1)])
    found = await vectors.find_nearest(axis(1), 2)
    assert [near.payload["id"] for near in found] == ["b", "a"]
    assert found[0].score == pytest.approx(1.0, abs=1e-4)


async def test_a_second_upsert_replaces(vectors: VectorStore) -> None:
    await vectors.upsert([point("a", 0, "old")])
    await vectors.upsert([point("a", 0, "new")])
    assert [near.payload["text"] for near in await vectors.find_nearest(axis(0), 5)] == ["new"]


async def test_what_is_deleted_is_gone_and_deleting_nothing_is_fine(vectors: VectorStore) -> None:
    await vectors.upsert([point("a", 0), point("b", 1)])
    await vectors.delete(["a", "never there"])
    assert [near.payload["id"] for near in await vectors.find_nearest(axis(0), 5)] == ["b"]


async def test_preparing_twice_keeps_what_is_there(vectors: VectorStore) -> None:
    await vectors.upsert([point("a", 0)])
    await vectors.ensure_collection()
    assert len(await vectors.find_nearest(axis(0), 5)) == 1


async def test_an_empty_collection_has_no_neighbours(vectors: VectorStore) -> None:
    assert await vectors.find_nearest(axis(0), 5) == []


async def test_a_vector_of_another_length_is_refused_as_unavailable(vectors: VectorStore) -> None:
    await vectors.upsert([point("a", 0)])
    with pytest.raises(StoreUnavailable):
        await vectors.find_nearest([1.0, 0.0], 5)


async def test_what_the_engine_stored_is_there_after_reopening(tmp_path: Path) -> None:
    first = EmbeddedVectorStore(tmp_path)
    await first.ensure_collection()
    await first.upsert([point("a", 0)])
    await first.close()
    again = EmbeddedVectorStore(tmp_path)
    assert [near.payload["id"] for near in await again.find_nearest(axis(0), 1)] == ["a"]
    await again.close()


async def test_a_server_that_is_away_is_unavailable() -> None:
    url = "http://127.0.0.1:9"
    client = AsyncQdrantClient(url=url, check_compatibility=False)
    away = ServerVectorStore(client, searches=PointSearch(url, LIMITS))
    calls: list[Callable[[], object]] = [
        away.health,
        away.ensure_collection,
        lambda: away.find_nearest(axis(0), 1),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable):
            await call()  # type: ignore[misc]  # both are coroutine functions
    await away.close()
