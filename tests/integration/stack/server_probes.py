"""Each embedded server asked through the driver that the product uses."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import httpx
import neo4j
import redis.asyncio
from qdrant_client import AsyncQdrantClient, models
from temporalio.client import Client

Environment = Mapping[str, str]


async def count_in_redis(env: Environment) -> int:
    """Each probe notes that it was here, through the real driver, and gives the count of notes."""
    async with redis.asyncio.Redis.from_url(env["REDIS_URL"]) as client:
        return int(await client.incr("notes"))


async def count_in_postgres(env: Environment) -> int:
    connection = await asyncpg.connect(env["POSTGRES_DSN"])
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS notes (at timestamptz DEFAULT now())")
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        await connection.execute("INSERT INTO notes DEFAULT VALUES")
        return int(await connection.fetchval("SELECT count(*) FROM notes"))
    finally:
        await connection.close()


async def count_in_graph(env: Environment) -> int:
    auth = (env["NEO4J_USER"], env["NEO4J_PASSWORD"])
    async with neo4j.AsyncGraphDatabase.driver(env["NEO4J_URI"], auth=auth) as driver:
        query = "CREATE (:Note) WITH 1 AS one MATCH (n:Note) RETURN count(n) AS notes"
        result = await driver.execute_query(query, database_=env["NEO4J_DATABASE"])
        return int(result.records[0]["notes"])


async def count_in_qdrant(env: Environment) -> int:
    client = AsyncQdrantClient(url=env["QDRANT_URL"], check_compatibility=False)
    try:
        if not await client.collection_exists("notes"):
            vectors = models.VectorParams(size=2, distance=models.Distance.COSINE)
            await client.create_collection("notes", vectors_config=vectors)
        known = (await client.count("notes")).count
        point = models.PointStruct(id=known, vector=[1.0, float(known)], payload={"n": known})
        await client.upsert("notes", [point], wait=True)
        found = await client.query_points("notes", query=[1.0, float(known)], limit=1)
        assert found.points[0].id == known
        return (await client.count("notes")).count
    finally:
        await client.close()


async def count_in_temporal(env: Environment) -> int:
    client = await Client.connect(env["TEMPORAL_ADDRESS"], namespace=env["TEMPORAL_NAMESPACE"])
    runs = [run async for run in client.list_workflows()]
    await client.start_workflow("Note", id=f"note-{len(runs)}", task_queue="nobody")
    for _ in range(100):  # visibility is written a moment later
        if len([run async for run in client.list_workflows()]) > len(runs):
            return len(runs) + 1
        await asyncio.sleep(0.05)
    raise AssertionError("the workflow never became visible")


async def count_in_prometheus(env: Environment) -> int:
    """Check that it scrapes itself: one series is its own."""
    query = 'up{job="prometheus"} == 1'
    return await wait_for_nonzero(lambda: series_count(env["PROMETHEUS_URL"], query))


PROBES: dict[str, Callable[[Environment], Awaitable[int]]] = {
    "redis": count_in_redis,
    "postgres": count_in_postgres,
    "graph": count_in_graph,
    "qdrant": count_in_qdrant,
    "temporal": count_in_temporal,
    "prometheus": count_in_prometheus,
}


async def series_count(url: str, query: str) -> int:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/api/v1/query", params={"query": query})
    return len(answer.raise_for_status().json()["data"]["result"])


async def wait_for_nonzero(count: Callable[[], Awaitable[int]]) -> int:
    """Ask until it isn't zero, for half a minute at most."""
    for _ in range(300):
        if found := await count():
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("it stayed zero")
