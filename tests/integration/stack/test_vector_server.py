"""The embedded vector server against qdrant-client's own in-memory implementation."""

import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from sluice.stack.collection_store import CollectionStore

pytestmark = pytest.mark.integration

SIZE = 8
DENSE = models.VectorParams(size=SIZE, distance=models.Distance.COSINE)


def random_points(count: int) -> list[models.PointStruct]:
    dice = random.Random(7)  # noqa: S311  # a seed, not a secret
    return [
        models.PointStruct(
            id=str(uuid.UUID(int=number)) if number % 2 else number,
            vector=[dice.gauss(0.0, 1.0) for _ in range(SIZE)],
            payload={
                "kind": dice.choice(["driver", "invoice", "truck"]),
                "amount": dice.randint(0, 100),
                "on": f"2026-0{dice.randint(1, 9)}-01T00:00:00Z",
                "tags": dice.sample(["a", "b", "c"], k=dice.randint(0, 3)),
                "links": [{"to": dice.choice(["x", "y"]), "weight": dice.randint(1, 3)}],
            },
        )
        for number in range(count)
    ]


def field_condition(key: str, **condition: object) -> models.FieldCondition:
    return models.FieldCondition.model_validate({"key": key, **condition})


DRIVER = field_condition("kind", match={"value": "driver"})
CHEAP = field_condition("amount", range={"lt": 30})
FILTERS = {
    "must": models.Filter(must=[DRIVER, CHEAP]),
    "should": models.Filter(should=[DRIVER, CHEAP]),
    "must not": models.Filter(must_not=[DRIVER]),
    "at least": models.Filter(
        min_should=models.MinShould(
            conditions=[DRIVER, CHEAP, field_condition("tags", is_empty=True)], min_count=2
        )
    ),
    "any": models.Filter(must=[field_condition("kind", match={"any": ["driver", "truck"]})]),
    "except": models.Filter(must=[field_condition("kind", match={"except": ["driver"]})]),
    "range": models.Filter(must=[field_condition("amount", range={"gte": 20, "lte": 60})]),
    "dates": models.Filter(must=[field_condition("on", range={"gt": "2026-04-15T00:00:00Z"})]),
    "count": models.Filter(must=[field_condition("tags", values_count={"gte": 2})]),
    "ids": models.Filter(must=[models.HasIdCondition(has_id=[0, 2, str(uuid.UUID(int=3))])]),
    "empty": models.Filter(
        must=[models.IsEmptyCondition(is_empty=models.PayloadField(key="tags"))]
    ),
    "inner": models.Filter(
        must=[models.Filter(should=[DRIVER, CHEAP]), field_condition("amount", range={"gt": 5})]
    ),
    "nested": models.Filter(
        must=[
            models.NestedCondition(
                nested=models.Nested(
                    key="links",
                    filter=models.Filter(
                        must=[
                            field_condition("to", match={"value": "x"}),
                            field_condition("weight", range={"gt": 1}),
                        ]
                    ),
                )
            )
        ]
    ),
}


@pytest_asyncio.fixture
async def server(qdrant_url: str) -> AsyncIterator[AsyncQdrantClient]:
    client = AsyncQdrantClient(url=qdrant_url, check_compatibility=False)
    yield client
    await client.delete_collection("things")
    await client.close()


@pytest_asyncio.fixture
async def reference() -> AsyncIterator[AsyncQdrantClient]:
    client = AsyncQdrantClient(":memory:")
    yield client
    await client.close()


async def fill_collection(client: AsyncQdrantClient) -> None:
    await client.create_collection("things", vectors_config=DENSE)
    await client.upsert("things", random_points(60), wait=True)


async def test_it_answers_as_the_client_itself_does(
    server: AsyncQdrantClient, reference: AsyncQdrantClient
) -> None:
    """Same points, same filters: same neighbours in the same order, same scores, same counts."""
    vector = [1.0] * SIZE
    for client in (server, reference):
        await fill_collection(client)
    for name, chosen in FILTERS.items():
        ours, theirs = [
            await client.query_points("things", query=vector, query_filter=chosen, limit=60)
            for client in (server, reference)
        ]
        assert [one.id for one in ours.points] == [one.id for one in theirs.points], name
        assert [one.payload for one in ours.points] == [one.payload for one in theirs.points]
        assert [one.score for one in ours.points] == pytest.approx(
            [one.score for one in theirs.points], abs=1e-5
        )
        assert 0 < len(ours.points) < 60, name  # a filter that selects all or none proves nothing
        counts = [await client.count("things", chosen) for client in (server, reference)]
        assert counts[0] == counts[1]


async def test_points_are_read_paged_and_deleted(server: AsyncQdrantClient) -> None:
    await fill_collection(server)
    (found,) = await server.retrieve("things", [2], with_vectors=True)
    assert isinstance(found.vector, list)
    assert len(found.vector) == SIZE

    first, following = await server.scroll("things", limit=40)
    rest, end = await server.scroll("things", limit=40, offset=following)
    assert (len(first), len(rest), end) == (40, 20, None)

    await server.delete("things", models.PointIdsList(points=[2]))
    await server.delete("things", models.FilterSelector(filter=models.Filter(must=[DRIVER])))
    assert await server.retrieve("things", [2]) == []
    assert (await server.count("things", models.Filter(must=[DRIVER]))).count == 0


async def test_upsert_replaces_by_id(server: AsyncQdrantClient) -> None:
    await fill_collection(server)
    await server.upsert("things", random_points(60))
    assert (await server.count("things")).count == 60


async def test_payload_can_be_chosen(server: AsyncQdrantClient) -> None:
    await fill_collection(server)
    await server.create_payload_index("things", "kind", models.PayloadSchemaType.KEYWORD)
    for wanted, keys in ((["kind"], {"kind"}), (False, set())):
        found = await server.query_points(
            "things", query=[1.0] * SIZE, limit=1, with_payload=wanted
        )
        assert set(found.points[0].payload or {}) == keys
    info = await server.get_collection("things")
    assert info.points_count == 60
    assert info.config.params.vectors == DENSE
    assert set(info.payload_schema) == {"kind"}


@pytest.mark.parametrize(
    ("vector", "filtered", "collection", "status"),
    [
        ([1.0, 2.0], None, "things", 400),
        ([1.0] * SIZE, None, "nothing", 404),
        (3, None, "things", 400),
        (
            [1.0] * SIZE,
            models.Filter(
                must=[
                    models.FieldCondition(
                        key="at",
                        geo_radius=models.GeoRadius(center=models.GeoPoint(lon=1, lat=1), radius=1),
                    )
                ]
            ),
            "things",
            400,
        ),
    ],
)
async def test_what_it_cannot_do_is_refused(
    server: AsyncQdrantClient,
    vector: list[float] | int,
    filtered: models.Filter | None,
    collection: str,
    status: int,
) -> None:
    """Wrong dimension, no such collection, query by id, geo: an error, never an empty answer."""
    await fill_collection(server)
    with pytest.raises(UnexpectedResponse) as refused:
        await server.query_points(collection, query=vector, query_filter=filtered)
    assert refused.value.status_code == status


@pytest.mark.parametrize("name", ["", "..", ".hidden", "../other", "a/b"])
def test_a_collection_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    store = CollectionStore(tmp_path / "collections")
    with pytest.raises(ValueError, match="can't be the name"):
        store.create(name, models.CreateCollection(vectors=DENSE))
    assert list(tmp_path.iterdir()) == [tmp_path / "collections"]


def test_collections_are_still_there_after_a_restart(tmp_path: Path) -> None:
    store = CollectionStore(tmp_path)
    store.create("things", models.CreateCollection(vectors={"text": DENSE}))
    store.create("gone", models.CreateCollection(vectors=DENSE))
    assert store.delete("gone") is True
    assert store.delete("gone") is False
    described = store.describe("things")
    store.close()

    again = CollectionStore(tmp_path)
    assert again.names() == ["things"]
    assert again.describe("things") == described
    again.close()


async def test_a_second_creation_is_a_conflict(server: AsyncQdrantClient) -> None:
    await fill_collection(server)
    with pytest.raises(UnexpectedResponse) as refused:
        await server.create_collection("things", vectors_config=DENSE)
    assert refused.value.status_code == 409
