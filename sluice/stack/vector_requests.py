"""Requests in Qdrant's REST models, turned into the ones of its embedded engine.

What the embedded server doesn't offer (geo conditions, prefetch, recommendation, inference) is
refused with UnsupportedError, never ignored.
"""

from collections.abc import Callable
from typing import Any

import qdrant_edge as edge
from qdrant_client.http import models


class UnsupportedError(ValueError):
    """The request asks for something the embedded server doesn't offer."""

    def __init__(self, what: object) -> None:
        super().__init__(
            f"{what} isn't offered by the embedded vector server; set QDRANT_URL to a Qdrant server"
        )


def convert_filter(model: models.Filter | None) -> edge.Filter | None:
    if model is None:
        return None
    minimum = model.min_should
    return edge.Filter(
        must=_conditions(model.must),
        should=_conditions(model.should),
        must_not=_conditions(model.must_not),
        min_should=edge.MinShould(_conditions(minimum.conditions) or [], minimum.min_count)
        if minimum
        else None,
    )


def _conditions(given: Any) -> list[Any] | None:  # noqa: ANN401  # the REST models' own unions
    if given is None:
        return None
    return [_condition(one) for one in (given if isinstance(given, list) else [given])]


def _condition(given: models.Condition) -> "edge.ConditionType":
    convert = CONDITIONS.get(type(given))
    if convert is None:
        raise UnsupportedError(f"the condition {type(given).__name__}")
    converted: edge.ConditionType = convert(given)
    return converted


def convert_index(model: models.PayloadFieldSchema | None) -> edge.PayloadSchemaType:
    """The kind of a payload index; further parameters tune a server and are left out here."""
    if model is None:
        raise UnsupportedError("a payload index without a type")
    kind = model if isinstance(model, models.PayloadSchemaType) else model.type
    index: edge.PayloadSchemaType = getattr(edge.PayloadSchemaType, kind.value.title())
    return index


def _field(given: models.FieldCondition) -> edge.FieldCondition:
    if given.geo_bounding_box or given.geo_radius or given.geo_polygon:
        raise UnsupportedError("a geo condition")
    return edge.FieldCondition(
        key=given.key,
        match=MATCHES[type(given.match)](given.match) if given.match else None,
        range=_range(given.range) if given.range else None,
        values_count=edge.ValuesCount(**given.values_count.model_dump())
        if given.values_count
        else None,
        is_empty=given.is_empty,
        is_null=given.is_null,
    )


def _range(given: models.RangeInterface) -> edge.RangeFloat | edge.RangeDateTime:
    if isinstance(given, models.Range):
        return edge.RangeFloat(**given.model_dump())
    return edge.RangeDateTime(**given.model_dump(mode="json"))


def _nested(given: models.NestedCondition) -> edge.NestedCondition:
    return edge.NestedCondition(
        given.nested.key, convert_filter(given.nested.filter) or edge.Filter()
    )


CONDITIONS: dict[type, Callable[[Any], Any]] = {
    models.Filter: convert_filter,
    models.FieldCondition: _field,
    models.NestedCondition: _nested,
    models.IsEmptyCondition: lambda one: edge.IsEmptyCondition(one.is_empty.key),
    models.IsNullCondition: lambda one: edge.IsNullCondition(one.is_null.key),
    models.HasIdCondition: lambda one: edge.HasIdCondition(set(one.has_id)),
    models.HasVectorCondition: lambda one: edge.HasVectorCondition(one.has_vector),
}

MATCHES: dict[type, Callable[[Any], Any]] = {
    models.MatchValue: lambda one: edge.MatchValue(one.value),
    models.MatchText: lambda one: edge.MatchText(one.text),
    models.MatchTextAny: lambda one: edge.MatchTextAny(one.text_any),
    models.MatchPhrase: lambda one: edge.MatchPhrase(one.phrase),
    models.MatchPrefix: lambda one: edge.MatchPrefix(one.prefix),
    models.MatchSubstring: lambda one: edge.MatchSubstring(one.substring),
    models.MatchAny: lambda one: edge.MatchAny(one.any),
    models.MatchExcept: lambda one: edge.MatchExcept(one.except_),
}


def convert_query(model: models.QueryRequest) -> edge.QueryRequest:
    """A nearest-neighbour query; without a vector, a listing by id."""
    if model.prefetch or model.lookup_from:
        raise UnsupportedError("prefetch or lookup_from")
    vector = model.query.nearest if isinstance(model.query, models.NearestQuery) else model.query
    return edge.QueryRequest(
        limit=10 if model.limit is None else model.limit,  # Qdrant's own default
        offset=model.offset,
        query=None if vector is None else edge.Query.Nearest(convert_vector(vector), model.using),
        filter=convert_filter(model.filter),
        score_threshold=model.score_threshold,
        params=_params(model.params),
        with_vector=model.with_vector or False,
        with_payload=convert_payload_selector(model.with_payload),
    )


def _params(given: models.SearchParams | None) -> edge.SearchParams | None:
    if given is None:
        return None
    return edge.SearchParams(
        hnsw_ef=given.hnsw_ef,
        exact=given.exact or False,
        indexed_only=given.indexed_only or False,
    )


def convert_payload_selector(model: models.WithPayloadInterface | None) -> "edge.WithPayloadType":
    if isinstance(model, models.PayloadSelectorInclude):
        return edge.PayloadSelector.Include(model.include)
    if isinstance(model, models.PayloadSelectorExclude):
        return edge.PayloadSelector.Exclude(model.exclude)
    return model or False


def convert_vector(model: object) -> "edge.NamedVector":
    """One vector: dense, or sparse."""
    if isinstance(model, models.SparseVector):
        return edge.SparseVector(model.indices, model.values)
    if isinstance(model, list):
        return model
    raise UnsupportedError(f"a vector given as {type(model).__name__}")


def convert_points(model: models.PointInsertOperations) -> list[edge.Point]:
    if not isinstance(model, models.PointsList):
        raise UnsupportedError("inserting points as columns")
    return [edge.Point(one.id, _vectors(one.vector), one.payload or {}) for one in model.points]


def _vectors(given: models.VectorStruct) -> "edge.Vector":
    if isinstance(given, dict):
        return {name: convert_vector(one) for name, one in given.items()}
    if isinstance(given, list):
        return given
    raise UnsupportedError(f"a vector given as {type(given).__name__}")


def convert_collection_config(model: models.CreateCollection) -> edge.EdgeConfig:
    sparse = model.sparse_vectors or {}
    return edge.EdgeConfig(
        vectors=_vector_params(model.vectors),
        sparse_vectors={
            name: edge.EdgeSparseVectorParams(modifier=_modifier(one))
            for name, one in sparse.items()
        },
    )


def _modifier(given: models.SparseVectorParams) -> edge.Modifier | None:
    return edge.Modifier.Idf if given.modifier is models.Modifier.IDF else None


def _vector_params(
    given: models.VectorsConfig | None,
) -> edge.EdgeVectorParams | dict[str, edge.EdgeVectorParams] | None:
    if given is None:
        return None
    if isinstance(given, dict):
        return {name: _dense(one) for name, one in given.items()}
    return _dense(given)


def _dense(given: models.VectorParams) -> edge.EdgeVectorParams:
    return edge.EdgeVectorParams(given.size, getattr(edge.Distance, given.distance.value))
