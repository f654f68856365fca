"""Qdrant's REST interface over its embedded engine: ``python -m stack.vector_server --help``.

The part of the interface that ``qdrant-client`` uses for collections, upsert, query, count,
retrieve, scroll, delete and payload indexes. It exists so that routers reach vectors in the demo
exactly as in production, by QDRANT_URL: the engine's folder admits a single process.
"""

import argparse
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import qdrant_edge as edge
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter
from qdrant_client.http import models

from stack.ports import LOOPBACK
from stack.vector_requests import filter_of, index_of, payload_of, points_of, query_of
from stack.vector_store import CollectionExistsError, CollectionNotFoundError, VectorStore

Answer = dict[str, Any]

routes = APIRouter()


async def _body(request: Request) -> bytes:
    return await request.body()


def _store(request: Request) -> VectorStore:
    store: VectorStore = request.app.state.store
    return store


Body = Annotated[bytes, Depends(_body)]
Store = Annotated[VectorStore, Depends(_store)]

INSERT: TypeAdapter[models.PointInsertOperations] = TypeAdapter(models.PointInsertOperations)
SELECT: TypeAdapter[models.PointsSelector] = TypeAdapter(models.PointsSelector)


# The handlers are plain functions: FastAPI runs them on its threads, as the engine blocks.
@routes.get("/")
def about() -> Answer:
    # The interface is the client's, so its version is what a client may expect.
    return {"title": "qdrant (embedded engine)", "version": version("qdrant-client")}


@routes.get("/readyz")
def ready(store: Store) -> Answer:
    return _answer(len(store.names()))


@routes.get("/collections")
def list_collections(store: Store) -> Answer:
    return _answer({"collections": [{"name": name} for name in store.names()]})


@routes.put("/collections/{name}")
def create_collection(name: str, body: Body, store: Store) -> Answer:
    store.create(name, models.CreateCollection.model_validate_json(body))
    return _answer(True)


@routes.get("/collections/{name}")
def describe_collection(name: str, store: Store) -> Answer:
    return _answer(store.describe(name))


@routes.get("/collections/{name}/exists")
def collection_exists(name: str, store: Store) -> Answer:
    return _answer({"exists": store.exists(name)})


@routes.delete("/collections/{name}")
def delete_collection(name: str, store: Store) -> Answer:
    return _answer(store.delete(name))


@routes.put("/collections/{name}/index")
def create_index(name: str, body: Body, store: Store) -> Answer:
    request = models.CreateFieldIndex.model_validate_json(body)
    operation = edge.UpdateOperation.create_field_index(
        request.field_name, index_of(request.field_schema)
    )
    return _updated(store, name, operation)


@routes.delete("/collections/{name}/index/{field}")
def delete_index(name: str, field: str, store: Store) -> Answer:
    return _updated(store, name, edge.UpdateOperation.delete_field_index(field))


@routes.put("/collections/{name}/points")
def upsert(name: str, body: Body, store: Store) -> Answer:
    points = points_of(INSERT.validate_json(body))
    return _updated(store, name, edge.UpdateOperation.upsert_points(points))


@routes.post("/collections/{name}/points/delete")
def delete_points(name: str, body: Body, store: Store) -> Answer:
    selected = SELECT.validate_json(body)
    if isinstance(selected, models.PointIdsList):
        operation = edge.UpdateOperation.delete_points(list(selected.points))
    else:
        chosen = filter_of(selected.filter) or edge.Filter()
        operation = edge.UpdateOperation.delete_points_by_filter(chosen)
    return _updated(store, name, operation)


@routes.post("/collections/{name}/points/query")
def query(name: str, body: Body, store: Store) -> Answer:
    request = query_of(models.QueryRequest.model_validate_json(body))
    found = store.use(name, lambda shard: shard.query(request))
    return _answer(
        {"points": [{**_record(one), "version": one.version, "score": one.score} for one in found]}
    )


@routes.post("/collections/{name}/points")
def retrieve(name: str, body: Body, store: Store) -> Answer:
    request = models.PointRequest.model_validate_json(body)
    # Qdrant gives the payload here unless told otherwise.
    with_payload = True if request.with_payload is None else payload_of(request.with_payload)
    found = store.use(
        name,
        lambda shard: shard.retrieve(list(request.ids), with_payload, request.with_vector or False),
    )
    return _answer([_record(one) for one in found])


@routes.post("/collections/{name}/points/count")
def count(name: str, body: Body, store: Store) -> Answer:
    request = models.CountRequest.model_validate_json(body)
    wanted = edge.CountRequest(request.exact is not False, filter_of(request.filter))
    return _answer({"count": store.use(name, lambda shard: shard.count(wanted))})


@routes.post("/collections/{name}/points/scroll")
def scroll(name: str, body: Body, store: Store) -> Answer:
    request = models.ScrollRequest.model_validate_json(body)
    if request.order_by is not None:
        raise ValueError("order_by isn't offered by the embedded vector server")
    wanted = edge.ScrollRequest(
        offset=request.offset,
        limit=request.limit,
        filter=filter_of(request.filter),
        with_payload=True if request.with_payload is None else payload_of(request.with_payload),
        with_vector=request.with_vector or False,
    )
    found, following = store.use(name, lambda shard: shard.scroll(wanted))
    return _answer({"points": [_record(one) for one in found], "next_page_offset": _id(following)})


def application(folder: Path) -> FastAPI:
    """The service over the collections below ``folder``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.store = VectorStore(folder)
        yield
        app.state.store.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.include_router(routes)
    for kind in (ValueError, CollectionNotFoundError):
        app.add_exception_handler(kind, _refuse)
    return app


def _refuse(_: Request, error: Exception) -> JSONResponse:
    """Qdrant's error body."""
    status = 400
    if isinstance(error, CollectionNotFoundError):
        status = 404
    elif isinstance(error, CollectionExistsError):
        status = 409
    return JSONResponse({"status": {"error": str(error)}}, status)


def _answer(result: object) -> Answer:
    return {"result": result, "status": "ok"}


def _updated(store: VectorStore, name: str, operation: edge.UpdateOperation) -> Answer:
    store.use(name, lambda shard: shard.update(operation))
    return _answer({"operation_id": None, "status": "completed"})


def _record(found: edge.Record | edge.ScoredPoint) -> Answer:
    return {"id": _id(found.id), "payload": found.payload, "vector": _plain(found.vector)}


def _id(given: "edge.PointId | None") -> int | str | None:
    return given if isinstance(given, int) or given is None else str(given)


def _plain(vector: object) -> object:
    if isinstance(vector, dict):
        return {name: _plain(one) for name, one in vector.items()}
    if isinstance(vector, edge.SparseVector):
        return {"indices": vector.indices, "values": vector.values}
    return vector


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m stack.vector_server")
    parser.add_argument("--folder", type=Path, required=True, help="where the collections lie")
    parser.add_argument("--port", type=int, required=True)
    settings = parser.parse_args(arguments)
    uvicorn.run(
        application(settings.folder), host=LOOPBACK, port=settings.port, log_level="warning"
    )


if __name__ == "__main__":
    main()
