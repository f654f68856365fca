"""Qdrant's REST interface over its embedded engine: ``python -m sluice.stack.vector_server --help``.

It serves the requests of ``qdrant-client`` for collections, upsert, query, count, retrieve, scroll,
delete and payload indexes. Routers then reach vectors by QDRANT_URL, in the demo as in production;
the engine's folder itself admits a single process.
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

from sluice.stack.collection_store import (
    CollectionExistsError,
    CollectionNotFoundError,
    CollectionStore,
)
from sluice.stack.port_allocator import LOOPBACK
from sluice.stack.vector_requests import (
    convert_filter,
    convert_index,
    convert_payload_selector,
    convert_points,
    convert_query,
)

ResponseBody = dict[str, Any]

routes = APIRouter()


async def _body(request: Request) -> bytes:
    return await request.body()


def _store(request: Request) -> CollectionStore:
    store: CollectionStore = request.app.state.store
    return store


Body = Annotated[bytes, Depends(_body)]
Store = Annotated[CollectionStore, Depends(_store)]

INSERT: TypeAdapter[models.PointInsertOperations] = TypeAdapter(models.PointInsertOperations)
SELECT: TypeAdapter[models.PointsSelector] = TypeAdapter(models.PointsSelector)


# The engine blocks, so the handlers are plain functions: FastAPI runs them on threads.
@routes.get("/")
def about() -> ResponseBody:
    # The interface follows the client, so its version is the client's.
    return {"title": "qdrant (embedded engine)", "version": version("qdrant-client")}


@routes.get("/readyz")
def ready(store: Store) -> ResponseBody:
    return _success_body(len(store.names()))


@routes.get("/collections")
def list_collections(store: Store) -> ResponseBody:
    return _success_body({"collections": [{"name": name} for name in store.names()]})


@routes.put("/collections/{name}")
def create_collection(name: str, body: Body, store: Store) -> ResponseBody:
    store.create(name, models.CreateCollection.model_validate_json(body))
    return _success_body(True)


@routes.get("/collections/{name}")
def describe_collection(name: str, store: Store) -> ResponseBody:
    return _success_body(store.describe(name))


@routes.get("/collections/{name}/exists")
def collection_exists(name: str, store: Store) -> ResponseBody:
    return _success_body({"exists": store.exists(name)})


@routes.delete("/collections/{name}")
def delete_collection(name: str, store: Store) -> ResponseBody:
    return _success_body(store.delete(name))


@routes.put("/collections/{name}/index")
def create_index(name: str, body: Body, store: Store) -> ResponseBody:
    request = models.CreateFieldIndex.model_validate_json(body)
    operation = edge.UpdateOperation.create_field_index(
        request.field_name, convert_index(request.field_schema)
    )
    return _apply_update(store, name, operation)


@routes.delete("/collections/{name}/index/{field}")
def delete_index(name: str, field: str, store: Store) -> ResponseBody:
    return _apply_update(store, name, edge.UpdateOperation.delete_field_index(field))


@routes.put("/collections/{name}/points")
def upsert(name: str, body: Body, store: Store) -> ResponseBody:
    points = convert_points(INSERT.validate_json(body))
    return _apply_update(store, name, edge.UpdateOperation.upsert_points(points))


@routes.post("/collections/{name}/points/delete")
def delete_points(name: str, body: Body, store: Store) -> ResponseBody:
    selected = SELECT.validate_json(body)
    if isinstance(selected, models.PointIdsList):
        operation = edge.UpdateOperation.delete_points(list(selected.points))
    else:
        point_filter = convert_filter(selected.filter) or edge.Filter()
        operation = edge.UpdateOperation.delete_points_by_filter(point_filter)
    return _apply_update(store, name, operation)


@routes.post("/collections/{name}/points/query")
def query(name: str, body: Body, store: Store) -> ResponseBody:
    request = convert_query(models.QueryRequest.model_validate_json(body))
    points = store.run(name, lambda shard: shard.query(request))
    return _success_body(
        {
            "points": [
                {**_record_json(point), "version": point.version, "score": point.score}
                for point in points
            ]
        }
    )


@routes.post("/collections/{name}/points")
def retrieve(name: str, body: Body, store: Store) -> ResponseBody:
    request = models.PointRequest.model_validate_json(body)
    # Qdrant returns the payload by default here.
    with_payload = (
        True if request.with_payload is None else convert_payload_selector(request.with_payload)
    )
    points = store.run(
        name,
        lambda shard: shard.retrieve(list(request.ids), with_payload, request.with_vector or False),
    )
    return _success_body([_record_json(point) for point in points])


@routes.post("/collections/{name}/points/count")
def count(name: str, body: Body, store: Store) -> ResponseBody:
    request = models.CountRequest.model_validate_json(body)
    count_request = edge.CountRequest(request.exact is not False, convert_filter(request.filter))
    return _success_body({"count": store.run(name, lambda shard: shard.count(count_request))})


@routes.post("/collections/{name}/points/scroll")
def scroll(name: str, body: Body, store: Store) -> ResponseBody:
    request = models.ScrollRequest.model_validate_json(body)
    if request.order_by is not None:
        raise ValueError(
            "order_by is not supported by the embedded vector server; set QDRANT_URL to a Qdrant server"
        )
    scroll_request = edge.ScrollRequest(
        offset=request.offset,
        limit=request.limit,
        filter=convert_filter(request.filter),
        with_payload=True
        if request.with_payload is None
        else convert_payload_selector(request.with_payload),
        with_vector=request.with_vector or False,
    )
    points, following = store.run(name, lambda shard: shard.scroll(scroll_request))
    return _success_body(
        {
            "points": [_record_json(point) for point in points],
            "next_page_offset": _id_json(following),
        }
    )


def create_app(folder: Path) -> FastAPI:
    """Build the service over the collections below ``folder``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.store = CollectionStore(folder)
        yield
        app.state.store.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.include_router(routes)
    for kind in (ValueError, CollectionNotFoundError):
        app.add_exception_handler(kind, _error_response)
    return app


def _error_response(_: Request, error: Exception) -> JSONResponse:
    """Return Qdrant's error body."""
    status = 400
    if isinstance(error, CollectionNotFoundError):
        status = 404
    elif isinstance(error, CollectionExistsError):
        status = 409
    return JSONResponse({"status": {"error": str(error)}}, status)


def _success_body(result: object) -> ResponseBody:
    return {"result": result, "status": "ok"}


def _apply_update(
    store: CollectionStore, name: str, operation: edge.UpdateOperation
) -> ResponseBody:
    store.run(name, lambda shard: shard.update(operation))
    return _success_body({"operation_id": None, "status": "completed"})


def _record_json(points: edge.Record | edge.ScoredPoint) -> ResponseBody:
    return {
        "id": _id_json(points.id),
        "payload": points.payload,
        "vector": _vector_json(points.vector),
    }


def _id_json(point_id: "edge.PointId | None") -> int | str | None:
    return point_id if isinstance(point_id, int) or point_id is None else str(point_id)


def _vector_json(vector: object) -> object:
    if isinstance(vector, dict):
        return {name: _vector_json(part) for name, part in vector.items()}
    if isinstance(vector, edge.SparseVector):
        return {"indices": vector.indices, "values": vector.values}
    return vector


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sluice.stack.vector_server")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the collections")
    parser.add_argument("--port", type=int, required=True)
    settings = parser.parse_args(arguments)
    uvicorn.run(create_app(settings.folder), host=LOOPBACK, port=settings.port, log_level="warning")


if __name__ == "__main__":
    main()
