"""Discovery of Qdrant collections: vectors, dimensions, payload fields from a bounded sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from router.catalog.guesses import ColumnFacts, roles_of
from router.catalog.identifiers import phrase_of
from router.catalog.model import CatalogColumn, CatalogKind, ColumnType

SAMPLE_POINTS = 200
SAMPLES = 10
SAMPLE_CHARS = 80
LOCAL_MODEL = "local:all-MiniLM-L6-v2"
LOCAL_DIMENSION = 384
OWN_COLLECTIONS = frozenset(("documents",))
_OWN_FIELDS = frozenset(("id", "kind", "title", "text", "source", "occurred_on"))


@dataclass(frozen=True, slots=True)
class _Vector:
    name: str | None
    size: int


async def discover_qdrant(client: httpx.AsyncClient) -> dict[str, CatalogKind]:
    """Read the collections behind ``client``, whose base URL is Qdrant's. Raises httpx.HTTPError."""
    reply = await _get(client, "/collections")
    names = sorted(collection["name"] for collection in reply["collections"])
    kinds = {}
    for name in names:
        points = await _post(client, name, {"limit": SAMPLE_POINTS, "with_payload": True})
        if name in OWN_COLLECTIONS and _is_own(points):
            continue
        kinds[name] = _kind(name, await _get(client, f"/collections/{name}"), points)
    return kinds


async def _get(client: httpx.AsyncClient, path: str) -> Any:  # noqa: ANN401 - JSON
    reply = await client.get(path)
    reply.raise_for_status()
    return reply.json()["result"]


async def _post(
    client: httpx.AsyncClient, name: str, body: Mapping[str, object]
) -> list[Mapping[str, Any]]:
    reply = await client.post(f"/collections/{name}/points/scroll", json=body)
    reply.raise_for_status()
    points: list[Mapping[str, Any]] = reply.json()["result"]["points"]
    return points


def _is_own(points: Sequence[Mapping[str, Any]]) -> bool:
    """Return True for the collection that ``sluice ingest`` fills."""
    return all((point.get("payload") or {}).keys() >= _OWN_FIELDS for point in points[:1])


def _kind(
    name: str, described: Mapping[str, Any], points: Sequence[Mapping[str, Any]]
) -> CatalogKind:
    values: dict[str, list[Any]] = {}
    for point in points:
        for field, value in (point.get("payload") or {}).items():
            values.setdefault(field, []).append(value)
    facts = {
        field: _fact(field_values, len(points)) for field, field_values in sorted(values.items())
    }
    roles = roles_of(name, ("id",), facts)
    vector = _vector(described["config"]["params"].get("vectors") or {})
    return CatalogKind(
        store="qdrant",
        source=name,
        key=("id",),
        title=roles.title,
        text=roles.text,
        date=roles.date,
        words=(phrase_of(name),),
        rows=described.get("points_count"),
        certainty=1.0 if vector and vector.size == LOCAL_DIMENSION else 0.5,
        vector=vector.name if vector else None,
        dimension=vector.size if vector else None,
        embedding=LOCAL_MODEL if vector and vector.size == LOCAL_DIMENSION else None,
        columns={field: fact.column for field, fact in facts.items()},
    )


def _vector(configured: Mapping[str, Any]) -> _Vector | None:
    """Return the unnamed vector, or the named one that our model fits, or the first."""
    if "size" in configured:
        return _Vector(None, configured["size"])
    vectors = [
        _Vector(name, vector_config["size"]) for name, vector_config in sorted(configured.items())
    ]
    fitting = [vector for vector in vectors if vector.size == LOCAL_DIMENSION]
    return next(iter(fitting or vectors), None)


def _fact(values: Sequence[Any], sampled: int) -> ColumnFacts:
    kind = _type(values)
    texts = list(dict.fromkeys(str(value)[:SAMPLE_CHARS] for value in values))
    column = CatalogColumn(
        type=kind,
        distinct=len(texts),
        nulls=round(1 - len(values) / max(sampled, 1), 3),
        samples=tuple(texts[:SAMPLES]),
    )
    return ColumnFacts(column, sum(len(str(value)) for value in values) / len(values))


def _type(values: Sequence[Any]) -> ColumnType:
    for types, kind in _TYPES:
        if all(isinstance(value, types) for value in values):
            return kind
    return "other"


_TYPES: tuple[tuple[tuple[type, ...], ColumnType], ...] = (
    ((bool,), "boolean"),
    ((int,), "integer"),
    ((int, float), "number"),
    ((str,), "text"),
    ((list,), "list"),
)
